"""litert-quantizer (the successor of ai-edge-quantizer) on a model in memory, with the parent's inputs and outputs."""

from __future__ import annotations

import io
import re
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from steelyard.compress.errors import CompressionInputError
from steelyard.compress.tflite.activation_ranges import Range
from steelyard.compress.tflite.flatbuffer_model import model_bytes, parse_model
from steelyard.compress.tflite.graph import FLOAT32_TYPE, QUANTIZED_TYPES, Graph, inputs_of, is_quantized, outputs_of
from steelyard.compress.tools import tool_errors

TOOLS = ("litert-quantizer", "ai-edge-litert")
ALL_LAYERS = ".*"
_CONVERSIONS = frozenset({"QUANTIZE", "DEQUANTIZE"})
_INNER_SUFFIX = "_quantized"

# Adds rules to a litert-quantizer ``Quantizer``.
Rules = Callable[[Any], None]


def quantize(parent: Graph, rules: Rules, *, ranges: Mapping[str, Range] | None = None) -> Graph:
    """Return the quantized model, whose inputs and outputs have the names and types of the parent's.

    Args:
        parent: the float model; left as it is.
        rules: what to quantize.
        ranges: of activations by name of tensor, for rules that quantize those.

    Raises:
        CompressionError: litert-quantizer failed.
    """
    model = parse_model(model_bytes(parent.model))
    # It looks through the signatures without asking whether there are any.
    model.signatureDefs = model.signatureDefs or []
    measured = None
    if ranges is not None:
        measured = {name: {"min": np.array([low]), "max": np.array([high])} for name, (low, high) in ranges.items()}
    with tool_errors("litert-quantizer"), warnings.catch_warnings(), redirect_stderr(io.StringIO()):
        # It warns of its own choices (tensors that are kept), never of the model, and draws bars.
        warnings.simplefilter("ignore")
        from litert_quantizer.quantizer import Quantizer

        quantizer = Quantizer(model_bytes(model))
        rules(quantizer)
        result = quantizer.quantize(measured, enable_progress_bar=False, enable_progress_report=False)
    made = parse_model(bytes(result.quantized_model))
    made.signatureDefs = made.signatureDefs or None
    return _with_names_of(parent, made)


def _with_names_of(parent: Graph, made: Any) -> Graph:
    """Give inputs and outputs their names back, which conversions beside them took over."""
    graph = Graph(made)
    places = {graph.name(index): index for index in range(len(graph.tensors))}
    ends = [*zip(parent.inputs, graph.inputs, strict=True), *zip(parent.outputs, graph.outputs, strict=True)]
    for old, new in ends:
        wanted = parent.name(old)
        if graph.name(new) == wanted:
            continue
        inner = places.get(wanted)
        if inner is not None:
            graph.tensors[inner].name = _free_name(wanted + _INNER_SUFFIX, places).encode()
        graph.tensors[new].name = wanted.encode()
    return Graph(made)


def _free_name(name: str, taken: Mapping[str, int]) -> str:
    while name in taken:
        name += "_"
    return name


def kept_scopes(graph: Graph, globs: Sequence[str]) -> list[str]:
    """Return patterns of litert-quantizer for the operators whose kind or output fits one of the globs.

    Raises:
        CompressionInputError: unknown_operator: a glob that fits nothing.
    """
    scopes: list[str] = []
    for glob in globs:
        found = [one for one in graph.operators if _fits(graph, one, glob)]
        if not found:
            raise CompressionInputError(
                "unknown_operator",
                f"keep_float has {glob!r}, and no operator of the model is of that kind or makes a tensor of that "
                "name; write the name of its output, or a kind as CONV_2D",
            )
        scopes += [re.escape("".join(f"{graph.name(output)};" for output in outputs_of(one))) for one in found]
    return [f"^{scope}" for scope in dict.fromkeys(scopes)]


def keep_in_float(quantizer: Any, scopes: Sequence[str]) -> None:
    """Add rules to a litert-quantizer ``Quantizer`` that leave operators as they are; see ``kept_scopes``."""
    from litert_quantizer.qtyping import TFLOperationName
    from litert_quantizer.quantizer import AlgorithmName

    for scope in scopes:
        quantizer.update_quantization_recipe(
            scope, TFLOperationName.ALL_SUPPORTED, algorithm_key=AlgorithmName.NO_QUANTIZE
        )


def _fits(graph: Graph, operator: Any, glob: str) -> bool:
    names = (graph.kind(operator), *(graph.name(output) for output in outputs_of(operator)))
    return any(fnmatchcase(name, glob) for name in names)


def refuse_nothing_done(graph: Graph, name: str, kind: str, advice: str) -> None:
    """Refuse a result without a quantized tensor.

    Raises:
        CompressionInputError: nothing_to_quantize.
    """
    if not any(tensor.type in QUANTIZED_TYPES and is_quantized(tensor) for tensor in graph.tensors):
        raise CompressionInputError("nothing_to_quantize", f"{name} has no operator that {kind} quantizes; {advice}")


def operators_note(graph: Graph, words: str) -> str:
    """Return how many operators work on quantized numbers, and which were left in float."""
    counted = computing_operators(graph)
    left = Counter(graph.kind(operator) for operator in counted if not reads_quantized(graph, operator))
    note = f"{len(counted) - left.total()} of {len(counted)} operators {words}"
    if not left:
        return note
    named = ", ".join(f"{count} {kind}" for kind, count in sorted(left.items(), key=lambda item: (-item[1], item[0])))
    return f"{note}; left in float: {named}"


def computing_operators(graph: Graph) -> list[Any]:
    """Return the operators but the conversions between forms of numbers, in the order of the file."""
    return [operator for operator in graph.operators if graph.kind(operator) not in _CONVERSIONS]


def reads_quantized(graph: Graph, operator: Any) -> bool:
    """Return whether an operator works on quantized numbers, or on none that could be."""
    tensors = [graph.tensors[index] for index in (*inputs_of(operator), *outputs_of(operator))]
    if not any(tensor.type == FLOAT32_TYPE or is_quantized(tensor) for tensor in tensors):
        return True  # shapes and indices: nothing that could be quantized
    return any(tensor.type in QUANTIZED_TYPES and is_quantized(tensor) for tensor in tensors)

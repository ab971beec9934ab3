"""Refuse TFLite models that the rewriting of files cannot work on, in a sentence that says why."""

from __future__ import annotations

from pathlib import Path

from steelyard.compress.contract import FLOAT32
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.tflite.flatbuffer_model import read_model
from steelyard.compress.tflite.graph import Graph
from steelyard.compress.tflite.model_form import graph_form

_CONTROL_FLOW = frozenset({"IF", "WHILE", "CALL", "CALL_ONCE", "STABLEHLO_WHILE", "STABLEHLO_CASE"})
_STATE = frozenset({"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"})
_SELECT_TF = "CUSTOM:Flex"


def float_graph(path: Path, kind: str) -> Graph:
    """Return the graph of a float model that step ``kind`` can change, every tensor with a name of its own.

    Raises:
        CompressionInputError: see ``refuse_unfit``.
        CompressionError: the file is damaged.
    """
    graph = Graph(read_model(path))
    refuse_unfit(graph, path.name, kind)
    _make_names_distinct(graph)
    return graph


def refuse_unfit(graph: Graph, name: str, kind: str) -> None:
    """Refuse a model that step ``kind`` cannot change safely; ``name`` is the model's in sentences.

    Raises:
        CompressionInputError: already_sparse, already_compressed, select_tf_ops, control_flow, several_signatures or
            duplicate_names or nameless_input (of inputs or outputs).
    """
    _refuse_other_forms(graph, name, kind)
    kinds = {graph.kind(operator) for operator in graph.operators}
    flex = sorted(one.removeprefix(_SELECT_TF) for one in kinds if one.startswith(_SELECT_TF))
    if flex:
        raise CompressionInputError(
            "select_tf_ops",
            f"{name} uses the TensorFlow operator{'s' if len(flex) > 1 else ''} {', '.join(flex)}, which LiteRT does "
            "not have; convert it again with TFLITE_BUILTINS only",
        )
    flow = sorted(kinds & (_CONTROL_FLOW | _STATE))
    if flow:
        raise CompressionInputError(
            "control_flow",
            f"{name} has control flow or variables ({', '.join(flow)}), whose graphs {kind} cannot change together; "
            "convert it without them, with the state as inputs and outputs",
        )
    signature_count = len(graph.model.signatureDefs or ())
    if signature_count > 1:
        raise CompressionInputError(
            "several_signatures",
            f"{name} has {signature_count} signatures, and {kind} works on one; convert each to a model of its own",
        )
    _refuse_one_name_twice(graph, name)


def _refuse_other_forms(graph: Graph, name: str, kind: str) -> None:
    if any(tensor.sparsity is not None for tensor in graph.tensors):
        raise CompressionInputError(
            "already_sparse",
            f"{name} stores its weights sparsely, which {kind} cannot read; put sparse-encoding last, or give the "
            "model that it was made from",
        )
    form = graph_form(graph)
    if form != FLOAT32:
        raise CompressionInputError(
            "already_compressed",
            f"{name} is already {form}, and {kind} starts from {FLOAT32}; give the model that it was made from",
        )


def _refuse_one_name_twice(graph: Graph, name: str) -> None:
    for what, ends in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        names = [graph.name(index) for index in ends]
        twice = next((one for one in names if names.count(one) > 1), None)
        if twice is not None:
            raise CompressionInputError(
                "duplicate_names",
                f"{name} has two {what} named {twice!r}, which data cannot tell apart; convert it again with names of "
                "their own",
            )
    inputs = {graph.name(index) for index in graph.inputs}
    both = next((one for one in (graph.name(index) for index in graph.outputs) if one in inputs), None)
    if both is not None:
        raise CompressionInputError(
            "duplicate_names",
            f"{name} has an input and an output named {both!r}; convert it again with names of their own, and without "
            "outputs that are inputs",
        )
    if "" in inputs:
        raise CompressionInputError(
            "nameless_input", f"{name} has an input without a name; convert it again with names for its inputs"
        )


def _make_names_distinct(graph: Graph) -> None:
    """Give tensors inside of the model names of their own, since litert-quantizer finds them by name."""
    ends = {id(graph.tensors[index]) for index in (*graph.inputs, *graph.outputs)}
    taken = {graph.name(index) for index in (*graph.inputs, *graph.outputs)}
    for number, tensor in enumerate(one for inner in graph.model.subgraphs for one in inner.tensors):
        if id(tensor) in ends:
            continue
        wish = (tensor.name or b"").decode("utf-8", "replace")
        name = wish if wish and wish not in taken else f"{wish}_{number}"
        while name in taken:
            name += "_"
        taken.add(name)
        tensor.name = name.encode()

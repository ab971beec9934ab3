"""Weights of TFLite models in few bits or in float16, with activations in float: "weight-only" and "float16"."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from steelyard.compress.contract import Step, StepContext, StepReport
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.recipe import step_settings
from steelyard.compress.settings import AUTO
from steelyard.compress.steps.float16 import Float16
from steelyard.compress.tflite.conditions import float_graph
from steelyard.compress.tflite.flatbuffer_model import as_bytes, write_model
from steelyard.compress.tflite.graph import Graph
from steelyard.compress.tflite.quantizer import (
    ALL_LAYERS,
    TOOLS,
    Rules,
    keep_in_float,
    kept_scopes,
    quantize,
    refuse_nothing_done,
)
from steelyard.compress.tflite.settings import globs_of, refuse_unhonoured, setting
from steelyard.compress.tools import tool_versions

_LARGEST_FLOAT16 = float(np.finfo(np.float16).max)
_ROUND_TO_NEAREST = "rtn"
_WEIGHT_ONLY_HONOURED: dict[str, tuple[object, ...]] = {
    "bits": (8, 4),
    "method": (AUTO, _ROUND_TO_NEAREST),
    "symmetric": (AUTO, True, False),
    "per_channel": (AUTO, True),
    "block_size": (0,),
    "form": (AUTO,),
}
_WEIGHT_ONLY_INSTEAD = {
    "bits": "and LiteRT unpacks weights of 8 or 4 bits; write one of the two",
    "method": 'which needs the gradients of blocks that TFLite models do not have; write method = "rtn"',
    "block_size": "while LiteRT's DEQUANTIZE takes one scale a channel; leave it out",
    "per_channel": "while one scale a channel costs nothing here; leave it out",
}


def weight_only(step: Step, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
    """Write the model with weights stored in 8 or 4 bits, one scale a channel, unpacked to float32 when it is loaded.

    ``step`` has the settings ``bits``, ``method``, ``block_size`` and ``symmetric``.

    Raises:
        CompressionInputError: the settings or the model do not suit this format.
        CompressionError: litert-quantizer failed.
    """
    refuse_unhonoured(step, _WEIGHT_ONLY_HONOURED, _WEIGHT_ONLY_INSTEAD)
    parent = float_graph(model_path, step.kind)
    bits = 4 if setting(step, "bits", 8) == 4 else 8
    symmetric = setting(step, "symmetric", True) is not False
    context.progress("quantizing weights", 0, 1)
    kept = kept_scopes(parent, globs_of(step, "keep_float"))
    made = quantize(parent, _weight_only_rules(bits, symmetric, kept))
    refuse_nothing_done(made, model_path.name, step.kind, "its weights are stored as they are")
    write_model(made.model, out_path)
    context.progress("quantizing weights", 1, 1)
    resolved = {"bits": bits, "method": _ROUND_TO_NEAREST, "symmetric": symmetric, "block_size": 0}
    known = step_settings(step)
    return StepReport(
        settings={**known, **{key: value for key, value in resolved.items() if key in known}},
        tool_versions=tool_versions(*TOOLS),
        notes=(f"{_unpacked_count(made)} weight tensors are stored in {bits} bits, with one scale a channel",),
    )


def float16(step: Float16, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
    """Write the model with weights stored in float16, unpacked when it is loaded; inputs and outputs stay float32.

    Weights beyond 65,504 become the largest that float16 holds. A runtime with float16 arithmetic (XNNPACK on newer Arm
    processors, GPUs) may compute in it when it is told to.

    Raises:
        CompressionInputError: the settings or the model do not suit this format.
        CompressionError: litert-quantizer failed.
    """
    refuse_unhonoured(
        step,
        {"keep_io_types": (True,)},
        {"keep_io_types": "while TFLite models keep float32 inputs and outputs; write keep_io_types = true"},
    )
    parent = float_graph(model_path, step.kind)
    context.progress("converting to float16", 0, 1)
    clipped_count = _clip_weights(parent)
    kept = kept_scopes(parent, globs_of(step, "keep_float"))
    made = quantize(parent, _float16_rules(kept))
    if not _unpacked_count(made):
        raise CompressionInputError(
            "nothing_to_quantize",
            f"{model_path.name} has no operator that {step.kind} converts; its file holds hardly any weights",
        )
    write_model(made.model, out_path)
    context.progress("converting to float16", 1, 1)
    notes = [f"{_unpacked_count(made)} weight tensors are stored in float16; LiteRT unpacks them where it has to"]
    if clipped_count:
        notes.append(f"{clipped_count} weights beyond 65,504 became the largest number that float16 holds")
    return StepReport(settings=step_settings(step), tool_versions=tool_versions(*TOOLS), notes=tuple(notes))


def _clip_weights(graph: Graph) -> int:
    """Bring weights into the range of float16, and return how many were outside of it."""
    count = 0
    for _operator, tensor, values in graph.weights():
        outside = int((np.abs(values) > _LARGEST_FLOAT16).sum())
        if outside:
            buffer = graph.model.buffers[graph.tensors[tensor].buffer]
            buffer.data = as_bytes(np.clip(values, -_LARGEST_FLOAT16, _LARGEST_FLOAT16))
            count += outside
    return count


def _unpacked_count(graph: Graph) -> int:
    return sum(graph.kind(operator) == "DEQUANTIZE" for operator in graph.operators)


def _weight_only_rules(bits: int, symmetric: bool, kept_operators: list[str]) -> Rules:
    def rules(quantizer: Any) -> None:
        from litert_quantizer import qtyping

        # As its add_weight_only_config, which knows symmetric weights only.
        weights = qtyping.TensorQuantizationConfig(
            num_bits=bits, symmetric=symmetric, granularity=qtyping.QuantGranularity.CHANNELWISE
        )
        config = qtyping.OpQuantizationConfig(
            weight_tensor_config=weights,
            compute_precision=qtyping.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        )
        quantizer.update_quantization_recipe(ALL_LAYERS, qtyping.TFLOperationName.ALL_SUPPORTED, config)
        keep_in_float(quantizer, kept_operators)

    return rules


def _float16_rules(kept_operators: list[str]) -> Rules:
    def rules(quantizer: Any) -> None:
        from litert_quantizer.qtyping import TFLOperationName
        from litert_quantizer.quantizer import AlgorithmName

        quantizer.add_weight_only_config(
            ALL_LAYERS, TFLOperationName.ALL_SUPPORTED, 16, algorithm_key=AlgorithmName.FLOAT_CASTING
        )
        keep_in_float(quantizer, kept_operators)

    return rules

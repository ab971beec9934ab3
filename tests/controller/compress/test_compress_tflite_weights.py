"""Weights of TFLite models in few bits, unpacked to float32: near the parent, small, and refused in a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard.compress.contract import TFLITE, WEIGHT_ONLY, StepContext, StepReport
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.tflite.model_form import numeric_form
from steelyard.compress.tflite.weight_formats import weight_only
from tests.controller.compress.tflite_running import graph_of, images, kinds, outputs, sqnr_db
from tests.support.tflite_nets import mobile_net, perceptron


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    """The settings of the step, as the function reads them."""

    kind = "weight-only"

    bits: int = 8
    method: str = "rtn"
    block_size: int = 0
    symmetric: bool = True
    keep_float: tuple[str, ...] = ()


def _made(model: Path, step: Any) -> tuple[Path, StepReport]:
    out = model.with_name(f"made-{model.name}")
    context = StepContext(work_dir=model.parent, progress=lambda message, done, total: None, model_format=TFLITE)
    return out, weight_only(step, model, out, context)


@pytest.mark.parametrize(
    ("step", "least_sqnr_db"),
    [
        (_Settings(), 35),
        (_Settings(symmetric=False), 35),
        (_Settings(bits=4), 12),
        (_Settings(bits=4, symmetric=False), 12),
    ],
)
def test_weights_in_few_bits_agree_with_their_parent(tmp_path: Path, step: Any, least_sqnr_db: float) -> None:
    model = perceptron(tmp_path / "m.tflite", features=64, hidden=128)
    data = images(shape=(64,), name="x")
    made, report = _made(model, step)
    assert numeric_form(made) == WEIGHT_ONLY
    assert kinds(made).count("DEQUANTIZE") == 2
    assert sqnr_db(outputs(model, data), outputs(made, data)) > least_sqnr_db
    assert model.stat().st_size - made.stat().st_size > (1 - step.bits / 32 - 0.1) * 4 * (64 * 128 + 128 * 4)
    assert report.settings["bits"] == step.bits
    assert report.notes == (f"2 weight tensors are stored in {step.bits} bits, with one scale a channel",)


def test_an_uneven_range_is_told_apart_by_a_zero_point(tmp_path: Path) -> None:
    model = perceptron(tmp_path / "m.tflite", features=64, hidden=128, shift=1.0)
    data = images(shape=(64,), name="x")
    errors = {}
    for symmetric in (True, False):
        made, _report = _made(model, _Settings(bits=4, symmetric=symmetric))
        errors[symmetric] = sqnr_db(outputs(model, data), outputs(made, data))
    assert errors[False] > errors[True] + 2


def test_layers_that_are_kept_stay_in_float32(tmp_path: Path) -> None:
    made, _report = _made(mobile_net(tmp_path / "m.tflite"), _Settings(keep_float=("DEPTHWISE_*", "logits")))
    graph = graph_of(made)
    kept = {graph.kind(operator) for operator, _tensor, values in graph.weights() if values.dtype == np.float32}
    assert kept == {"DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}
    assert kinds(made).count("DEQUANTIZE") == 3


@pytest.mark.parametrize(
    ("step", "reason", "words"),
    [
        (_Settings(method="gptq"), "unsupported_setting", 'write method = "rtn"'),
        (
            _Settings(block_size=32),
            "unsupported_setting",
            "block_size is 32, while LiteRT's DEQUANTIZE takes one scale",
        ),
        (_Settings(keep_float=("encoder*",)), "unknown_operator", "keep_float has 'encoder*', and no operator"),
    ],
)
def test_what_the_format_cannot_store_is_refused_with_what_to_write(
    tmp_path: Path, step: Any, reason: str, words: str
) -> None:
    with pytest.raises(CompressionInputError) as caught:
        _made(perceptron(tmp_path / "m.tflite"), step)
    assert caught.value.reason == reason
    assert words in str(caught.value)

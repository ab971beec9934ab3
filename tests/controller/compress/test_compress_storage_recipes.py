"""Steps of storage as recipes run them: one after the other, before quantization, and on both formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from steelyard.compress.applying import apply_step
from steelyard.compress.contract import TFLITE, WEIGHT_ONLY, StepContext
from steelyard.compress.errors import CompressionInputError, RecipeError
from steelyard.compress.inline_text import inline_text, parse_inline
from steelyard.compress.recipe import Recipe
from steelyard.compress.result import CompressionResult
from steelyard.compress.run import compress
from steelyard.compress.steps.share_weights import ShareWeights
from steelyard.compress.steps.sparsify import Sparsify
from steelyard.compress.steps.weight_only import WeightOnly
from tests.controller.compress.inputs import packed_samples
from tests.controller.compress.tflite_running import graph_of
from tests.controller.compress.weight_models import drawn, run, sqnr_db, stored
from tests.support.models import conv_model
from tests.support.tflite_nets import mobile_net


def _made(model: Path, text: str) -> CompressionResult:
    return compress(
        model,
        Recipe(parse_inline(text)),
        calibration=packed_samples(),
        seed=0,
        processor_features=(),
        out_dir=model.parent / "out",
    )


def test_zeros_then_shared_values_then_a_code_book_keep_the_zeros(tmp_path: Path) -> None:
    model = conv_model(tmp_path / "m.onnx", channels=16, depth=2)
    result = _made(model, "sparsify,sparsity=0.6+share-weights,clusters=8")
    kernel = stored(result.path)["kernel1"]
    assert float((kernel == 0).mean()) > 0.5
    assert len(np.unique(kernel)) <= 8
    steps = result.lineage.steps
    assert [step.kind for step in steps] == ["sparsify", "share-weights"]
    assert steps[1].output_deflated_bytes < steps[0].output_deflated_bytes < steps[0].output_size_bytes
    book = _made(model, "sparsify,sparsity=0.6+share-weights,clusters=8,store=codebook")
    image = drawn(2, 1, 12, 12)
    np.testing.assert_array_equal(run(book.path, image=image), run(result.path, image=image))
    assert book.size_bytes < result.size_bytes


def test_static_int8_takes_what_these_steps_leave(tmp_path: Path) -> None:
    model = conv_model(tmp_path / "m.onnx", channels=16, depth=2)
    image = drawn(8, 1, 12, 12)
    for text in ("share-weights,store=codebook", "sparsify,sparsity=0.1", "low-rank,ratio=0.8"):
        whole, quantized = _made(model, text), _made(model, f"{text}+static-int8")
        assert sqnr_db(run(whole.path, image=image), run(quantized.path, image=image)) > 15


def test_gptq_runs_in_a_recipe_and_its_data_is_recorded(tmp_path: Path) -> None:
    model = conv_model(tmp_path / "m.onnx", channels=32, classes=20)
    result = _made(model, "weight-only,method=gptq")
    assert any(note.startswith("GPTQ on 1 of 2 tensors") for note in result.notes)
    assert result.lineage.calibration_sample_count == 24
    assert _made(model, "weight-only").lineage.calibration_sample_count == 0
    with pytest.raises(RecipeError, match="starts from float32"):
        Recipe(parse_inline("weight-only+static-int8"))
    assert Recipe(parse_inline("sparsify+weight-only")).forms("float32")[-1] == WEIGHT_ONLY


@pytest.mark.parametrize(
    "step",
    [
        WeightOnly(),
        WeightOnly(bits=4),
        ShareWeights(clusters=16),
        Sparsify(sparsity=0.7, scope="layer"),
        Sparsify(pattern="2:4"),
        Sparsify(pattern="block", block=(2, 2)),
    ],
    ids=lambda step: inline_text([step]),
)
def test_the_same_words_work_on_tflite(tmp_path: Path, step: object) -> None:
    model = mobile_net(tmp_path / "m.tflite")
    out = tmp_path / "out.tflite"
    context = StepContext(work_dir=tmp_path, progress=lambda message, done, total: None, model_format=TFLITE)
    report = apply_step(step, model, out, context)
    assert report.notes
    assert graph_of(out).operators


@pytest.mark.parametrize(
    "step",
    [
        WeightOnly(method="gptq"),
        WeightOnly(block_size=32),
        ShareWeights(codebooks="channel"),
        ShareWeights(keep=("a",)),
    ],
    ids=lambda step: inline_text([step]),
)
def test_what_tflite_cannot_honour_is_refused(tmp_path: Path, step: object) -> None:
    model = mobile_net(tmp_path / "m.tflite")
    context = StepContext(work_dir=tmp_path, progress=lambda message, done, total: None, model_format=TFLITE)
    with pytest.raises(CompressionInputError) as caught:
        apply_step(step, model, tmp_path / "out.tflite", context)
    assert caught.value.reason == "unsupported_setting"

"""Quantization-aware training that ends as int8 TFLite: `qat,form=float32`, `steelyard convert`, then static-int8."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import numpy_helper

from steelyard.artifacts import read_artifact
from steelyard.cli.convert import convert
from steelyard.compress.calibration import read_calibration
from steelyard.compress.evaluation import EvaluationSet
from steelyard.compress.recipe_text import load_recipe
from steelyard.compress.result import CompressionResult
from steelyard.compress.run import Scoring, compress
from steelyard.compress.tflite.graph import FLOAT32_TYPE, WEIGHT_INPUTS, inputs_of, outputs_of
from steelyard.compress.tflite.quantizer import computing_operators
from steelyard.tasks.packing import pack_all
from tests.controller.compress.tflite_running import graph_of
from tests.controller.train.loop.small_trainings import stripes
from tests.controller.train.steps.recipes import model, run, score

pytest.importorskip("litert_torch", reason="litert-torch is not installed (pip install 'steelyard[train-tflite]')")

QUICK = "epochs=3,batch_size=24,learning_rate=0.02,augment=flip,calibration_batches=2"


def as_the_file_takes_them(path: Path, found: EvaluationSet) -> tuple[bytes, EvaluationSet]:
    """Return samples under the name of a TFLite file's input, channels last: packed, and with their truth."""
    pictures = np.moveaxis(found.data.feed(0, found.data.sample_count)["image"], 1, -1)
    (spec,) = read_artifact(path).signature.inputs
    packed = pack_all({spec.name: np.ascontiguousarray(pictures)})
    data = read_calibration(packed)
    return packed, EvaluationSet(split="evaluation", metric=found.metric, data=data, truth=found.truth)


def quantized(path: Path) -> CompressionResult:
    """Return what static-int8 makes of a TFLite file, scored on the samples that trainings are scored on."""
    packed, _ = as_the_file_takes_them(path, stripes(120))
    _, reported = as_the_file_takes_them(path, stripes(200, seed=2))
    return compress(
        path,
        load_recipe("static-int8"),
        calibration=packed,
        seed=0,
        processor_features=(),
        out_dir=path.parent / "int8",
        scoring=Scoring(reported=reported),
    )


def trained_weights(path: Path) -> list[np.ndarray]:
    """Return the weights of each layer of an ONNX file, sorted: TFLite lays them out otherwise."""
    arrays = [numpy_helper.to_array(one) for one in onnx.load_model(path).graph.initializer]
    return [np.sort(one, axis=None) for one in arrays if one.ndim > 1]


def stored_weights(path: Path) -> Iterator[np.ndarray]:
    """Yield what the int8 weights of each layer of a TFLite file stand for, sorted."""
    graph = graph_of(path)
    for operator in graph.operators:
        if graph.kind(operator) in WEIGHT_INPUTS:
            place = inputs_of(operator)[WEIGHT_INPUTS[graph.kind(operator)]]
            codes, numbers = graph.values(place), graph.tensors[place].quantization
            assert codes is not None
            assert codes.dtype == np.int8
            channels = np.moveaxis(codes, numbers.quantizedDimension, -1)
            yield np.sort(channels * numbers.scale, axis=None)


def test_a_model_that_learnt_with_rounding_is_int8_tflite_with_the_weights_that_it_learnt(tmp_path: Path) -> None:
    float_model, converted = model(tmp_path), tmp_path / "m.tflite"
    trained = run(float_model, f"qat,form=float32,{QUICK}")
    words = [str(trained.path), "--to", "tflite", "-o", str(converted)]
    assert CliRunner().invoke(convert, words, catch_exceptions=False).exit_code == 0
    made = quantized(converted)
    for stored, learnt in zip(stored_weights(made.path), trained_weights(trained.path), strict=True):
        np.testing.assert_allclose(stored, learnt, rtol=1e-4, atol=1e-6)
    graph = graph_of(made.path)
    inner = {place for one in computing_operators(graph) for place in (*inputs_of(one), *outputs_of(one))}
    assert not [graph.name(place) for place in inner if graph.tensors[place].type == FLOAT32_TYPE]
    # The same training, written as a QDQ file: its score is that of the rounding which was learnt with.
    assert score(made) >= score(run(float_model, f"qat,{QUICK}")) - 0.02

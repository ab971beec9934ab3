"""Quantization-aware training as a recipe's step: it learns, and every layer of its file runs in integers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from steelyard.compress.errors import RecipeError
from steelyard.compress.recipe_text import load_recipe
from steelyard.train.errors import TrainingInputError
from tests.controller.train.loop.small_trainings import Interrupted, interrupt_in
from tests.controller.train.steps.recipes import model, run, score

QUICK = "epochs=2,batch_size=24,learning_rate=0.02,augment=flip,calibration_batches=2"


def as_run(path: Path) -> Counter[str]:
    """Return how many operators of each kind onnxruntime runs in place of those of a file."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(path.with_suffix(".optimized.onnx"))
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load_model(options.optimized_model_filepath).graph.node)


def weights(path: Path) -> list[np.ndarray]:
    arrays = [numpy_helper.to_array(one) for one in onnx.load_model(path).graph.initializer]
    return [one for one in arrays if one.dtype == np.int8 and one.ndim > 1]


def test_a_model_learns_with_rounding_in_the_way_and_all_its_layers_run_in_integers(tmp_path: Path) -> None:
    result = run(model(tmp_path), f"qat,{QUICK}")
    counts = as_run(result.path)
    assert score(result) > 0.9
    assert counts["QLinearConv"] == 2
    assert counts["QGemm"] == 1
    assert not {"Conv", "FusedConv", "Gemm", "MatMul"} & set(counts)


def test_signed_activations_and_few_bits_of_one_layer_are_kept_to(tmp_path: Path) -> None:
    path = model(tmp_path)
    result = run(path, f"qat,activation_type=int8,narrow=*onv*,narrow_bits=4,{QUICK}")
    assert sorted(int(np.abs(one).max()) for one in weights(result.path)) == [7, 7, 127]
    types = {one.data_type for one in onnx.load_model(result.path).graph.initializer}
    assert onnx.TensorProto.UINT8 not in types
    assert as_run(result.path)["QLinearConv"] == 2


def test_the_model_of_a_training_before_it_teaches_without_labels(tmp_path: Path) -> None:
    learnt = "fine-tune,epochs=2,batch_size=24,learning_rate=0.02,augment=flip"
    result = run(model(tmp_path), f"{learnt}+qat,teachers=input,label_weight=0,{QUICK}")
    assert score(result) > 0.9
    assert as_run(result.path)["QLinearConv"] == 2
    assert not any(note.startswith("went on behind") for note in result.lineage.steps[-1].notes)


def test_an_interrupted_training_ends_with_the_same_file(tmp_path: Path) -> None:
    path, kept = model(tmp_path), tmp_path / "kept"
    with pytest.raises(Interrupted):
        run(path, f"qat,{QUICK}", checkpoints=kept, progress=interrupt_in(2, of=2, update=2))
    assert run(path, f"qat,{QUICK}", checkpoints=kept).digest == run(path, f"qat,{QUICK}").digest


@pytest.mark.parametrize(("bits", "most"), [(4, 7), (8, 127)])
def test_weights_are_written_as_float_on_grids_that_other_quantizers_find_by_the_largest_of_a_channel(
    tmp_path: Path, bits: int, most: int
) -> None:
    recipe = f"qat,form=float32,weight_bits={bits},keep_epoch=last,{QUICK}"
    result = run(model(tmp_path), recipe, processor_features=("avx2",))
    arrays = [numpy_helper.to_array(one) for one in onnx.load_model(result.path).graph.initializer]
    channels = [channel for one in arrays if one.ndim == 4 for channel in one]
    assert len(channels) == 16
    for channel in channels:
        steps = channel / (np.abs(channel).max() / most)
        np.testing.assert_allclose(steps, np.rint(steps), atol=1e-3)
    assert score(result) > 0.9


def test_a_pattern_that_matches_nothing_is_refused_with_the_layers_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(TrainingInputError, match="matches no layer; there are"):
        run(model(tmp_path), f"qat,keep_float=nothing,{QUICK}")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("teachers=parent,hints=auto", "hints and attention look at layers"),
        ("precision=bfloat16", "the kernels that round know float32 alone"),
        ("batchnorm_batches=4", "BatchNorm is folded before"),
    ],
)
def test_settings_that_rounding_has_no_place_for_are_refused(settings: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        load_recipe(f"qat,{settings}")

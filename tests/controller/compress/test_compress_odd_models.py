"""Models of odd forms come out with the numbers of their parent, or are refused in a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from steelyard.compress.errors import CompressionInputError
from steelyard.compress.recipe_text import load_recipe
from steelyard.compress.result import CompressionResult
from steelyard.compress.run import compress
from steelyard.errors import EXIT_USAGE
from steelyard.tasks.packing import pack
from tests.controller.compress import odd_models
from tests.controller.compress.int8_models import sqnr_db

_FLAT, _IMAGE = (64,), (3, 8, 8)
_INT8_DB, _HALF_DB, _FLOAT_DB = 25.0, 50.0, 90.0


def _samples(shape: tuple[int, ...], count: int = 16) -> np.ndarray:
    return np.random.default_rng(3).standard_normal((count, *shape)).astype(np.float32)


def _made(model: Path, recipe: str, samples: np.ndarray | None) -> CompressionResult:
    return compress(
        model,
        load_recipe(recipe),
        calibration=None if samples is None else pack("x", samples),
        seed=0,
        processor_features=(),
        out_dir=model.parent / "out",
    )


def _outputs(path: Path, samples: np.ndarray, batch: int = 1) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    dtype = np.float16 if "float16" in session.get_inputs()[0].type else np.float32
    parts = [samples[start : start + batch].astype(dtype) for start in range(0, len(samples), batch)]
    return np.concatenate([session.run(None, {"x": part})[0].astype(np.float32) for part in parts])


def _likeness_db(model: Path, recipe: str, shape: tuple[int, ...], *, batch: int = 1) -> float:
    samples = _samples(shape)
    made = _made(model, recipe, samples).path
    onnx.checker.check_model(onnx.load(made))
    return sqnr_db(_outputs(model, samples, batch), _outputs(made, samples, batch))


@pytest.mark.parametrize("opset", [9, 10, 11, 17])
def test_dynamic_int8_of_any_opset_computes_what_its_parent_does(opset: int, tmp_path: Path) -> None:
    model = odd_models.perceptron(tmp_path / "m.onnx", opset=opset)
    if opset < 11:
        _as_inputs(model)
    assert _likeness_db(model, "dynamic-int8", _FLAT) > _INT8_DB


def test_low_rank_factors_of_an_old_opset_load_and_are_exact_at_full_energy(tmp_path: Path) -> None:
    model = odd_models.perceptron(tmp_path / "m.onnx", opset=9)
    _as_inputs(model)
    loaded = onnx.load(model)
    low = np.outer(np.linspace(-1, 1, 64), np.linspace(1, 2, 128)).astype(np.float32)
    stored = next(tensor for tensor in loaded.graph.initializer if tensor.name == "a")
    stored.CopyFrom(onnx.numpy_helper.from_array(low, "a"))
    onnx.save(loaded, model)
    assert _likeness_db(model, "low-rank,energy=0.99999", _FLAT) > _FLOAT_DB


@pytest.mark.parametrize("recipe", ["float16,keep_io_types=false", "float16"])
def test_float16_is_checked_on_calibration_data_whatever_its_inputs_are(recipe: str, tmp_path: Path) -> None:
    model = odd_models.perceptron(tmp_path / "m.onnx")
    assert _likeness_db(model, recipe, _FLAT) > _HALF_DB


@pytest.mark.parametrize("bias_shape", [(), (1,), (128,), (1, 128), (4, 1), (4, 128)])
def test_static_int8_takes_a_bias_of_any_shape(bias_shape: tuple[int, ...], tmp_path: Path) -> None:
    bias = np.random.default_rng(1).standard_normal(bias_shape)
    model = odd_models.two_gemms(tmp_path / "m.onnx", bias, batch=4)
    assert _likeness_db(model, "static-int8", _FLAT, batch=4) > _INT8_DB


def test_a_bias_beyond_32_bits_keeps_its_layer_in_float_and_a_note_says_so(tmp_path: Path) -> None:
    model = odd_models.huge_bias(tmp_path / "m.onnx")
    samples = _samples(_IMAGE)
    result = _made(model, "static-int8,weight_type=uint8,per_channel=false", samples)
    assert sqnr_db(_outputs(model, samples), _outputs(result.path, samples)) > _INT8_DB
    assert any("beyond 32 bits" in note and "biased" in note for note in result.notes)


@pytest.mark.parametrize("recipe", ["static-int8", "equalize+static-int8+bias-correction", "weight-only"])
def test_a_weight_read_in_both_directions_serves_both_readers(recipe: str, tmp_path: Path) -> None:
    assert _likeness_db(odd_models.tied_gemms(tmp_path / "m.onnx"), recipe, _FLAT) > _INT8_DB


def test_low_rank_leaves_a_weight_that_is_read_in_both_directions(tmp_path: Path) -> None:
    with pytest.raises(CompressionInputError) as caught:
        _made(odd_models.tied_gemms(tmp_path / "m.onnx"), "low-rank,ratio=0.5", None)
    assert caught.value.reason == "nothing_to_factor"


def test_layers_that_share_a_weight_get_a_bias_each(tmp_path: Path) -> None:
    model = odd_models.tied_convolutions(tmp_path / "m.onnx")
    assert _likeness_db(model, "static-int8+bias-correction", _IMAGE) > _INT8_DB


@pytest.mark.parametrize(
    ("recipe", "least_db"),
    [
        ("float16", _HALF_DB),
        ("float16,keep_io_types=false", _HALF_DB),
        ("weight-only,form=dequantize", _INT8_DB),
        ("weight-only,bits=4,form=dequantize", 8.0),
        ("static-int8", _INT8_DB),
    ],
)
def test_local_functions_are_put_in_the_place_of_their_calls(recipe: str, least_db: float, tmp_path: Path) -> None:
    assert _likeness_db(odd_models.function_calls(tmp_path / "m.onnx"), recipe, _FLAT) > least_db


@pytest.mark.parametrize("recipe", ["dynamic-int8", "float16"])
def test_nodes_stand_behind_what_their_branches_read(recipe: str, tmp_path: Path) -> None:
    assert _likeness_db(odd_models.branches(tmp_path / "m.onnx"), recipe, _FLAT) > _INT8_DB


def test_learnt_rounding_leaves_a_layer_whose_bias_is_computed(tmp_path: Path) -> None:
    model = odd_models.computed_bias(tmp_path / "m.onnx")
    assert _likeness_db(model, "static-int8+adaround,iterations=5", _FLAT) > _INT8_DB


@pytest.mark.parametrize("recipe", ["equalize", "static-int8", "sparsify,sparsity=0.3"])
def test_a_weight_that_the_model_also_gives_out_may_stay_an_output(recipe: str, tmp_path: Path) -> None:
    model = odd_models.perceptron(tmp_path / "m.onnx", extra_outputs={"b": [128, 32]})
    samples = _samples(_FLAT)
    made = _made(model, recipe, samples).path
    names = [one.name for one in onnxruntime.InferenceSession(str(made)).get_outputs()]
    assert names == ["y", "b"]
    if recipe == "equalize":
        assert sqnr_db(_outputs(model, samples), _outputs(made, samples)) > _FLOAT_DB


@pytest.mark.parametrize(
    ("output", "recipe"), [("x", "static-int8"), ("x", "float16"), ("a", "float16"), ("y", "float16")]
)
def test_an_output_that_no_operator_gives_is_refused_by_name(output: str, recipe: str, tmp_path: Path) -> None:
    shape = {"x": ["N", 64], "a": [64, 128], "y": ["N", 32]}[output]
    model = odd_models.perceptron(tmp_path / "m.onnx")
    loaded = onnx.load(model)
    loaded.graph.output.append(onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, shape))
    onnx.save(loaded, model)
    with pytest.raises(CompressionInputError, match=f"output '{output}'") as caught:
        _made(model, recipe, _samples(_FLAT))
    assert (caught.value.reason, caught.value.exit_code) == ("unsupported_output", EXIT_USAGE)


@pytest.mark.parametrize("recipe", ["fold", "float16", "dynamic-int8", "weight-only", "sparsify"])
def test_tensors_that_are_stored_sparsely_are_refused_by_every_step(recipe: str, tmp_path: Path) -> None:
    with pytest.raises(CompressionInputError, match="the tensor 'a' sparsely") as caught:
        _made(odd_models.sparse_weight(tmp_path / "m.onnx"), recipe, None)
    assert caught.value.reason == "sparse_tensors"


def test_a_model_that_fails_on_its_data_is_told_apart_from_a_tool_that_fails(tmp_path: Path) -> None:
    nodes = [
        onnx.helper.make_node("Reshape", ["x", "shape"], ["r"]),
        onnx.helper.make_node("MatMul", ["r", "a"], ["y"]),
    ]
    shape = onnx.numpy_helper.from_array(np.array([4, 64]), "shape")
    weight = odd_models.weight("a", 64, 8)
    model = odd_models.write(tmp_path / "m.onnx", nodes, {"y": [4, 8]}, [shape, weight])
    with pytest.raises(CompressionInputError, match=r"\{1,64\}, requested shape:\{4,64\}") as caught:
        _made(model, "fold", _samples(_FLAT))
    assert (caught.value.reason, caught.value.exit_code) == ("model_not_runnable", EXIT_USAGE)
    assert "onnxruntime_src" not in str(caught.value)


def test_errors_call_the_models_between_by_the_number_of_their_step(tmp_path: Path) -> None:
    relu = [onnx.helper.make_node("Relu", ["x"], ["y"])]
    model = odd_models.write(tmp_path / "m.onnx", relu, {"y": ["N", 64]})
    with pytest.raises(CompressionInputError) as caught:
        _made(model, "fold+static-int8", _samples(_FLAT))
    assert str(caught.value).startswith("the model of step 1 has no operator that static int8 quantizes")


def _as_inputs(path: Path) -> None:
    """Name every stored tensor as an input, as exporters did before IR version 4."""
    model = onnx.load(path)
    model.ir_version = 3
    for tensor in model.graph.initializer:
        model.graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
    onnx.save(model, path)

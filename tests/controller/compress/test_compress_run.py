"""Variants are made, checked and recorded; whatever cannot be done is a sentence and leaves nothing behind."""

from __future__ import annotations

import errno
import hashlib
import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from steelyard.artifacts import read_artifact
from steelyard.compress.contract import StepContext, StepReport
from steelyard.compress.errors import CompressionError, CompressionInputError
from steelyard.compress.recipe import Recipe
from steelyard.compress.recipe_text import load_recipe, parse_recipe
from steelyard.compress.result import CompressionResult
from steelyard.compress.run import compress
from steelyard.compress.steps.dynamic_int8 import DynamicInt8
from steelyard.compress.steps.float16 import Float16
from steelyard.compress.steps.static_int8 import StaticInt8
from steelyard.errors import SteelyardError
from steelyard.tasks.npz import write_npz
from steelyard.tasks.packing import unpack
from tests.controller.compress.inputs import packed_samples
from tests.support import models
from tests.support.models import conv_model, external_data_model, linear_model, nan_model
from tests.support.tflite_models import tflite_linear_model


def _compress(
    model: Path,
    recipe: Recipe | str,
    *,
    calibration: bytes | None = None,
    features: tuple[str, ...] = (),
    **options: Any,
) -> CompressionResult:
    out_dir = model.parent / "out"
    found = load_recipe(recipe) if isinstance(recipe, str) else recipe
    return compress(
        model, found, calibration=calibration, seed=7, processor_features=features, out_dir=out_dir, **options
    )


def _refused(model: Path, recipe: Recipe | str, **options: Any) -> SteelyardError:
    with pytest.raises(SteelyardError) as caught:
        _compress(model, recipe, **options)
    out_dir = model.parent / "out"
    assert not out_dir.exists() or not list(out_dir.iterdir())
    return caught.value


def _one(step: object) -> Recipe:
    return Recipe(name="one", steps=(step,))


def _op_types(path: Path) -> set[str]:
    return {node.op_type for node in onnx.load_model(path).graph.node}


def _outputs(path: Path, feed: dict[str, np.ndarray]) -> np.ndarray:
    return onnxruntime.InferenceSession(str(path)).run(None, feed)[0]


@pytest.mark.parametrize(
    ("recipe", "op_types"),
    [
        ("float16", {"Cast"}),
        ("dynamic-int8", {"MatMulInteger", "DynamicQuantizeLinear"}),
        ("static-int8", {"QuantizeLinear", "DequantizeLinear"}),
    ],
)
def test_every_built_in_recipe_makes_a_variant_that_agrees_with_its_parent(
    tmp_path: Path, recipe: str, op_types: set[str]
) -> None:
    model = conv_model(tmp_path / "m.onnx", depth=2)
    before = model.read_bytes()
    calibration = packed_samples()
    result = _compress(model, recipe, calibration=calibration)
    assert result.path == tmp_path / "out" / f"{result.digest}.onnx"
    assert hashlib.sha256(result.path.read_bytes()).hexdigest() == result.digest
    assert result.size_bytes == result.path.stat().st_size
    assert op_types <= _op_types(result.path)
    feed = unpack(calibration)
    np.testing.assert_allclose(_outputs(result.path, feed), _outputs(model, feed), atol=0.2)
    assert model.read_bytes() == before
    assert list((tmp_path / "out").iterdir()) == [result.path]


def test_the_lineage_says_everything_that_made_the_variant(tmp_path: Path) -> None:
    model = conv_model(tmp_path / "m.onnx")
    calibration = packed_samples()
    lineage = _compress(model, "static-int8", calibration=calibration, features=("avx2",)).lineage
    assert lineage.parent_digest == read_artifact(model).digest
    assert parse_recipe(lineage.recipe_toml) == load_recipe(lineage.recipe_name)
    (step,) = lineage.steps
    settings = json.loads(step.settings_json)
    assert (settings["reduce_range"], settings["calibration_method"]) == (True, "minmax")
    assert f"onnxruntime {onnxruntime.__version__}" in step.tool_versions
    assert lineage.calibration_digest == hashlib.sha256(calibration).hexdigest()
    assert (lineage.calibration_sample_count, lineage.seed) == (24, 7)
    assert lineage.created_at.seconds > 0
    assert lineage.duration_s > 0


def test_a_recipe_that_reads_no_calibration_data_records_none(tmp_path: Path) -> None:
    lineage = _compress(conv_model(tmp_path / "m.onnx"), "float16", calibration=packed_samples()).lineage
    assert (lineage.calibration_digest, lineage.calibration_sample_count) == ("", 0)


@pytest.mark.parametrize("recipe", ["float16", "dynamic-int8", "static-int8"])
def test_the_same_inputs_give_the_same_digest(tmp_path: Path, recipe: str) -> None:
    model = conv_model(tmp_path / "m.onnx", depth=2)
    first = _compress(model, recipe, calibration=packed_samples())
    second = _compress(model, recipe, calibration=packed_samples())
    assert first.digest == second.digest


def test_tools_leave_no_traces_in_a_variant(tmp_path: Path) -> None:
    model = conv_model(tmp_path / "m.onnx")
    stored = onnx.load_model(model)
    entry = stored.metadata_props.add()
    entry.key, entry.value = "author", "somebody"
    onnx.save_model(stored, model)
    variant = onnx.load_model(_compress(model, "dynamic-int8").path)
    assert [(entry.key, entry.value) for entry in variant.metadata_props] == [("author", "somebody")]
    assert {entry.domain for entry in variant.opset_import} <= {"", "com.microsoft"}


@pytest.mark.parametrize(
    "step",
    [
        StaticInt8(activation_type="int8", per_channel=False),
        StaticInt8(weight_type="uint8", per_channel=False),
        StaticInt8(calibration_method="entropy"),
        StaticInt8(calibration_method="percentile", percentile=99.9),
        StaticInt8(reduce_range=True),
        DynamicInt8(per_channel=True),
        DynamicInt8(weight_type="uint8", all_ops=True, per_channel=True),
        Float16(keep_io_types=False),
    ],
    ids=lambda step: f"{step.kind} {step}"[:60],
)
def test_every_setting_that_is_let_through_makes_a_variant_that_runs(tmp_path: Path, step: object) -> None:
    model = conv_model(tmp_path / "m.onnx")
    calibration = packed_samples() if getattr(step, "needs_calibration") else None  # noqa: B009
    assert _compress(model, _one(step), calibration=calibration).path.exists()


def test_calibration_uses_every_sample_once_and_tells_its_progress(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    _compress(
        conv_model(tmp_path / "m.onnx"),
        "static-int8",
        calibration=packed_samples(37),
        progress=lambda message, done, total: seen.append((message, done, total)),
    )
    told = [done for message, done, _ in seen if message == "step 1 of 1, static-int8: calibrating"]
    assert told == list(range(1, 38))


def test_the_range_of_the_first_sample_is_not_lost_among_many(tmp_path: Path) -> None:
    model = linear_model(tmp_path / "m.onnx")
    samples = np.full((40, 4), 0.01, np.float32)
    samples[0] = 8.0
    recipe = "static-int8,calibration_method=minmax"
    result = _compress(model, recipe, calibration=write_npz({"x.values": samples}))
    variant = onnx.load_model(result.path)
    (scale,) = [numpy_helper.to_array(tensor) for tensor in variant.graph.initializer if tensor.name == "x_scale"]
    assert scale == pytest.approx(8.0 / 255, rel=0.01)


def test_a_fixed_batch_is_fed_in_whole_batches(tmp_path: Path) -> None:
    model = linear_model(tmp_path / "m.onnx", batch=4)
    result = _compress(model, "static-int8", calibration=packed_samples(10, (4,), "x"))
    assert result.lineage.calibration_sample_count == 10
    other = linear_model(_folder(tmp_path) / "m.onnx", batch=4)
    error = _refused(other, "static-int8", calibration=packed_samples(3, (4,), "x"))
    assert "batches of 4" in str(error)


def _folder(parent: Path) -> Path:
    folder = parent / "other"
    folder.mkdir()
    return folder


def test_external_data_of_the_parent_is_taken_in(tmp_path: Path) -> None:
    result = _compress(external_data_model(tmp_path / "m.onnx"), "float16")
    assert any("external data" in note for note in result.notes)
    assert onnx.load_model(result.path, load_external_data=False).graph.initializer


def test_old_opsets_are_converted_before_scales_a_channel(tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    stored = onnx.load_model(conv_model(model))
    stored.opset_import[0].version = 11  # its operators are the same there
    onnx.save_model(stored, model)
    result = _compress(model, "static-int8", calibration=packed_samples())
    (opset,) = [entry.version for entry in onnx.load_model(result.path).opset_import if entry.domain == ""]
    assert opset >= 13


def test_a_bias_of_two_dimensions_is_quantized_per_channel(tmp_path: Path) -> None:
    model = linear_model(tmp_path / "m.onnx")
    stored = onnx.load_model(model)
    for tensor in stored.graph.initializer:
        if tensor.name == "bias":
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).reshape(1, -1), "bias"))
    onnx.save_model(stored, model)
    feed = {"x": np.ones((1, 4), np.float32)}
    result = _compress(model, "static-int8", calibration=packed_samples(20, (4,), "x"))
    np.testing.assert_allclose(_outputs(result.path, feed), _outputs(model, feed), atol=0.2)


def test_a_float16_variant_says_that_it_may_be_slower(tmp_path: Path) -> None:
    assert any("slower" in note for note in _compress(conv_model(tmp_path / "m.onnx"), "float16").notes)


def test_a_dynamic_variant_says_how_much_of_the_model_it_quantized(tmp_path: Path) -> None:
    notes = _compress(conv_model(tmp_path / "m.onnx", depth=2), "dynamic-int8").notes
    assert any(note.startswith("1 of 3 ") for note in notes)


def test_outputs_that_could_not_be_checked_are_a_note(tmp_path: Path) -> None:
    notes = _compress(models.two_dynamic_dims_model(tmp_path / "m.onnx"), "float16").notes
    assert any("not checked" in note and "height" in note for note in notes)


def test_integer_inputs_are_drawn(tmp_path: Path) -> None:
    model = models.token_model(tmp_path / "m.onnx")
    stored = onnx.load_model(model)
    for value in stored.graph.input:
        value.type.tensor_type.shape.dim[1].dim_value = 6
    onnx.save_model(stored, model)
    assert not any("not checked" in note for note in _compress(model, "dynamic-int8").notes)


# What cannot be done.


def test_static_int8_without_calibration_data_is_refused(tmp_path: Path) -> None:
    error = _refused(conv_model(tmp_path / "m.onnx"), "static-int8")
    assert (error.reason, error.exit_code) == ("no_calibration_data", 2)


@pytest.mark.parametrize(
    ("calibration", "match"),
    [
        (packed_samples(shape=(1, 12, 13)), "13"),
        (packed_samples(shape=(12, 12)), "takes float32"),
        (packed_samples(name="picture"), "picture"),
        (write_npz({"image.values": np.zeros((4, 1, 12, 12), np.int64)}), "int64"),
        (write_npz({"image.values": np.zeros((0, 1, 12, 12), np.float32)}), "one at least"),
        (write_npz({"a.values": np.zeros((2, 1)), "b.values": np.zeros((3, 1))}), "as many for each"),
        (write_npz({"other": np.zeros(3)}), "one at least"),
        (b"noise", "npz"),
    ],
    ids=["size", "rank", "name", "dtype", "empty", "counts", "no-inputs", "noise"],
)
def test_calibration_data_that_does_not_fit_is_refused(tmp_path: Path, calibration: bytes, match: str) -> None:
    error = _refused(conv_model(tmp_path / "m.onnx"), "static-int8", calibration=calibration)
    assert match in str(error)
    assert error.exit_code == 2


@pytest.mark.parametrize("first", ["float16", "dynamic-int8", "static-int8"])
@pytest.mark.parametrize("second", ["float16", "dynamic-int8", "static-int8"])
def test_a_model_that_is_compressed_already_is_refused(tmp_path: Path, first: str, second: str) -> None:
    made = _compress(conv_model(tmp_path / "m.onnx"), first, calibration=packed_samples()).path
    moved = made.rename(_folder(tmp_path) / "made.onnx")
    error = _refused(moved, second, calibration=packed_samples())
    assert error.reason == "already_compressed"
    assert "made from" in str(error)


def test_nan_weights_are_refused_by_name(tmp_path: Path) -> None:
    model = linear_model(tmp_path / "m.onnx")
    stored = onnx.load_model(model)
    stored.graph.initializer[0].CopyFrom(
        numpy_helper.from_array(np.full((4, 3), np.nan, np.float32), stored.graph.initializer[0].name)
    )
    onnx.save_model(stored, model)
    error = _refused(model, "float16")
    assert (error.reason, "'weight'" in str(error), "12 NaN" in str(error)) == ("nan_weights", True, True)


def test_operators_of_an_unknown_domain_are_refused(tmp_path: Path) -> None:
    error = _refused(models.unknown_op_model(tmp_path / "m.onnx", domain="org.example"), "float16")
    assert (error.reason, error.exit_code) == ("model_not_loadable", 2)
    assert "custom domains" in str(error)


def test_a_format_that_a_step_does_not_know_and_damaged_files_are_refused(tmp_path: Path) -> None:
    model = tflite_linear_model(tmp_path / "m.tflite")
    assert _refused(model, "equalize").reason == "unsupported_format"
    (tmp_path / "noise.onnx").write_bytes(b"noise")
    assert _refused(tmp_path / "noise.onnx", "float16").reason == "malformed_model"


def test_a_model_with_nothing_to_quantize_is_refused(tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Tanh", ["x"], ["y"])], "g", value[:1], value[1:])
    onnx.save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), model)
    assert _refused(model, "dynamic-int8").reason == "nothing_to_quantize"
    calibration = packed_samples(4, (4,), "x")
    assert _refused(model, "static-int8", calibration=calibration).reason == "nothing_to_quantize"


def test_a_model_that_gives_nan_itself_is_blamed_itself(tmp_path: Path) -> None:
    error = _refused(nan_model(tmp_path / "m.onnx"), "float16")
    assert (error.reason, error.exit_code) == ("not_finite", 2)
    assert "the model itself" in str(error)


class _Failing:
    """A step that fails the way it is told to."""

    kind = "failing"
    needs_calibration = False
    accepts = frozenset({"float32"})
    produces = "float32"
    formats = frozenset({"onnx"})
    needs_float_ancestor = False
    __dataclass_fields__: ClassVar[dict[str, Any]] = {}

    def __init__(self, write: Any) -> None:
        self._write = write

    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        self._write(model_path, out_path)
        return StepReport(settings={}, tool_versions=())


@pytest.mark.parametrize(
    ("code", "reason"), [(errno.ENOSPC, "disk_full"), (errno.EDQUOT, "disk_full"), (errno.EACCES, "io_error")]
)
def test_a_disk_that_fails_in_the_middle_leaves_nothing_half_written(tmp_path: Path, code: int, reason: str) -> None:
    def write(model_path: Path, out_path: Path) -> None:
        out_path.write_bytes(b"half")
        raise OSError(code, "as planned")

    error = _refused(linear_model(tmp_path / "m.onnx"), _one(_Failing(write)))
    assert (type(error), error.reason) == (CompressionError, reason)
    assert str(tmp_path / "out") in str(error)


def test_a_variant_that_does_not_load_is_not_kept(tmp_path: Path) -> None:
    def write(model_path: Path, out_path: Path) -> None:
        models.unknown_op_model(out_path)

    error = _refused(linear_model(tmp_path / "m.onnx"), _one(_Failing(write)))
    assert (type(error), error.reason) == (CompressionError, "variant_not_loadable")


def test_a_variant_whose_outputs_are_not_finite_is_not_kept(tmp_path: Path) -> None:
    def write(model_path: Path, out_path: Path) -> None:
        stored = onnx.load_model(model_path)
        stored.graph.initializer[0].CopyFrom(
            numpy_helper.from_array(np.full((4, 3), np.inf, np.float32), stored.graph.initializer[0].name)
        )
        onnx.save_model(stored, out_path)

    error = _refused(linear_model(tmp_path / "m.onnx"), _one(_Failing(write)))
    assert (type(error), error.reason) == (CompressionError, "not_finite")
    assert "65,504" in str(error)


def test_a_tool_that_trips_over_a_model_is_named_with_its_error(tmp_path: Path, monkeypatch: Any) -> None:
    import onnxruntime.quantization

    for raised, reason in ((KeyError("tensor 5"), "tool_failed"), (RuntimeError("No space left"), "disk_full")):
        monkeypatch.setattr(onnxruntime.quantization, "quantize_dynamic", _raiser(raised))
        assert _refused(conv_model(tmp_path / "m.onnx"), "dynamic-int8").reason == reason


def _raiser(error: Exception) -> Any:
    def fail(*_arguments: object, **_options: object) -> None:
        raise error

    return fail


def test_an_output_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(CompressionError, match="cannot be used"):
        _compress(linear_model(tmp_path / "m.onnx"), "float16")


def test_a_static_step_without_data_in_its_context_is_refused(tmp_path: Path) -> None:
    context = StepContext(work_dir=tmp_path, progress=lambda message, done, total: None)
    with pytest.raises(CompressionInputError, match="needs calibration data"):
        StaticInt8().apply(conv_model(tmp_path / "m.onnx"), tmp_path / "o.onnx", context)

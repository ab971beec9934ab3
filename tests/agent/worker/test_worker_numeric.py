"""The numeric block on real models: outputs whole, layers, quota, what is not finite, and the runtime's arena."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from steelyard_agent.runtimes.onnxruntime_arena import read_held
from steelyard_agent.worker.block import KIND_NUMERIC, Block, WorkerResult
from steelyard_agent.worker.blocks import run_block
from steelyard_agent.worker.failure import BlockFailure, BlockStatus
from steelyard_agent.worker.opening import open_runtime
from tests.support.models import conv_model, linear_model, lstm_step_model, nan_model
from tests.support.tflite_models import tflite_linear_model


def block_for(folder: Path, model: Path, arrays: dict[str, np.ndarray], **fields: Any) -> Block:
    data = folder / "data.npz"
    np.savez(data, **{f"{name}.values": values for name, values in arrays.items()})
    settings: dict[str, Any] = {"runtime_name": "onnxruntime", "output_path": str(folder / "outputs.npz"), **fields}
    return Block(kind=KIND_NUMERIC, model_path=str(model), data_path=str(data), **settings)


def run(block: Block) -> tuple[WorkerResult, dict[str, np.ndarray]]:
    result = run_block(open_runtime(block, lambda _phase: None))
    with np.load(block.output_path) as file:
        return result, dict(file)


def x_of(count: int) -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(0).standard_normal((count, 4)).astype(np.float32)}


def test_every_output_of_every_sample_comes_back_whole(tmp_path: Path) -> None:
    import onnxruntime

    model = linear_model(tmp_path / "m.onnx")
    result, outputs = run(block_for(tmp_path, model, x_of(5)))
    assert list(outputs) == ["output.logits"]
    expected = onnxruntime.InferenceSession(str(model)).run(None, x_of(5))[0]
    np.testing.assert_allclose(outputs["output.logits"], expected, rtol=1e-6)
    assert outputs["output.logits"].dtype == np.float32
    assert result.sample_count == 5
    assert result.latency_ns == ()


def test_the_planned_batch_is_run_and_what_is_left_over_is_not(tmp_path: Path) -> None:
    result, outputs = run(block_for(tmp_path, linear_model(tmp_path / "m.onnx"), x_of(7), batch_size=3))
    assert (result.sample_count, len(outputs["output.logits"])) == (2, 6)


def test_a_batch_that_the_model_fixes_is_run(tmp_path: Path) -> None:
    result, outputs = run(block_for(tmp_path, linear_model(tmp_path / "m.onnx", batch=2), x_of(6)))
    assert (result.sample_count, len(outputs["output.logits"])) == (3, 6)


def test_fewer_samples_than_a_batch_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(BlockFailure, match="has 2 samples and the model takes batches of 4") as caught:
        run(block_for(tmp_path, linear_model(tmp_path / "m.onnx", batch=4), x_of(2)))
    assert caught.value.status is BlockStatus.USER_ERROR


def test_inputs_of_another_model_in_the_file_are_left_alone(tmp_path: Path) -> None:
    arrays = {**x_of(3), "image": np.zeros((3, 1, 2), np.float32)}
    result, _ = run(block_for(tmp_path, linear_model(tmp_path / "m.onnx"), arrays))
    assert result.sample_count == 3


def test_a_recurrent_step_is_fed_with_whole_inputs(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        "x": rng.standard_normal((3, 1, 4)).astype(np.float32),
        **{name: np.zeros((3, 1, 1, 8), np.float32) for name in ("h", "c")},
    }
    result, outputs = run(block_for(tmp_path, lstm_step_model(tmp_path / "m.onnx"), arrays))
    assert result.sample_count == 3
    assert {name: values.shape for name, values in outputs.items()} == {
        "output.logits": (3, 3),
        "output.hn": (3, 1, 8),
        "output.cn": (3, 1, 8),
    }


def test_nan_is_kept_as_it_is(tmp_path: Path) -> None:
    _, outputs = run(block_for(tmp_path, nan_model(tmp_path / "m.onnx"), x_of(2)))
    assert any(np.isnan(values).any() for values in outputs.values())


def test_outputs_over_the_quota_are_a_sentence_and_leave_no_file(tmp_path: Path) -> None:
    block = block_for(tmp_path, linear_model(tmp_path / "m.onnx"), x_of(5), output_quota_bytes=30)
    with pytest.raises(BlockFailure, match="more than the 30 bytes"):
        run(block)
    assert not Path(block.output_path).exists()


def test_an_output_whose_shape_changes_is_laid_out_flat(tmp_path: Path) -> None:
    path = linear_model(tmp_path / "m.onnx")
    model = onnx.load(path)
    model.graph.node.append(onnx.helper.make_node("NonZero", ["clipped"], ["where"]))
    model.graph.node.insert(1, onnx.helper.make_node("Relu", ["logits"], ["clipped"]))
    model.graph.output.append(onnx.helper.make_tensor_value_info("where", onnx.TensorProto.INT64, [2, "n"]))
    onnx.save(model, path)
    _, outputs = run(block_for(tmp_path, path, x_of(6)))
    assert outputs["output.where"].ndim == 1


def with_all_layers(path: Path, copy: Path) -> Path:
    model = onnx.load(path)
    for name in ("conv0", "relu0"):
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    onnx.save(model, copy)
    return copy


def test_layers_of_the_first_input_come_beside_the_outputs(tmp_path: Path) -> None:
    model = conv_model(tmp_path / "m.onnx")
    copy = with_all_layers(model, tmp_path / "layers.onnx")
    images = {"image": np.random.default_rng(0).standard_normal((3, 1, 12, 12)).astype(np.float32)}
    _, outputs = run(block_for(tmp_path, model, images, layers_path=str(copy)))
    assert {name: values.shape for name, values in outputs.items()} == {
        "output.logits": (3, 10),
        "layer.logits": (1, 10),
        "layer.conv0": (1, 8, 12, 12),
        "layer.relu0": (1, 8, 12, 12),
    }


def test_layers_that_cannot_be_run_leave_the_outputs_and_a_note(tmp_path: Path) -> None:
    copy = tmp_path / "layers.onnx"
    copy.write_bytes(b"no model")
    block = block_for(tmp_path, linear_model(tmp_path / "m.onnx"), x_of(2), layers_path=str(copy))
    result, outputs = run(block)
    assert list(outputs) == ["output.logits"]
    assert any("layers could not be looked at" in note for note in result.notes)


def test_layers_over_the_quota_leave_the_outputs_and_a_note(tmp_path: Path) -> None:
    model = conv_model(tmp_path / "m.onnx")
    copy = with_all_layers(model, tmp_path / "layers.onnx")
    images = {"image": np.zeros((1, 1, 12, 12), np.float32)}
    block = block_for(tmp_path, model, images, layers_path=str(copy), output_quota_bytes=1000)
    result, outputs = run(block)
    assert list(outputs) == ["output.logits"]
    assert any("may send" in note for note in result.notes)


def test_onnxruntimes_arena_is_read_in_a_run_of_its_own(tmp_path: Path) -> None:
    image = {"image": np.zeros((1, 1, 64, 64), np.float32)}
    model = conv_model(tmp_path / "m.onnx", channels=32, size=64, depth=2)
    result, _ = run(block_for(tmp_path, model, image))
    # The two largest tensors, which are there at the same time: 32 channels of 64 times 64 floats each.
    assert result.arena_bytes is not None
    assert result.arena_bytes >= 2 * 32 * 64 * 64 * 4
    assert "mem_arena_held" in result.arena_source


def test_without_an_arena_there_is_none_to_read(tmp_path: Path) -> None:
    result, _ = run(block_for(tmp_path, linear_model(tmp_path / "m.onnx"), x_of(1), runtime={"arena": False}))
    assert (result.arena_bytes, "--no-arena" in result.arena_source) == (None, True)


def test_a_tflite_interpreter_says_why_it_tells_no_arena(tmp_path: Path) -> None:
    model = tflite_linear_model(tmp_path / "m.tflite", features=4, classes=3)
    result, outputs = run(block_for(tmp_path, model, x_of(2), runtime_name="litert"))
    assert (result.arena_bytes, "does not tell" in result.arena_source) == (None, True)
    assert [values.shape for values in outputs.values()] == [(2, 3)]


def test_where_models_are_compiled_the_arena_costs_no_second_build(tmp_path: Path) -> None:
    block = block_for(tmp_path, linear_model(tmp_path / "m.onnx"), x_of(1))
    (tmp_path / "cache").mkdir()
    result, _ = run(replace(block, cache_folder=str(tmp_path / "cache")))
    assert (result.arena_bytes, "compile it once more" in result.arena_source) == (None, True)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[]", "has no mem_arena_held"),
        ("not json", "cannot be read"),
        (json.dumps([{"args": {"mem_arena_held": "much"}}]), "cannot be read"),
        (json.dumps([{"name": "x"}, {"args": {"op_name": "Conv"}}]), "has no mem_arena_held"),
    ],
)
def test_a_trace_that_does_not_tell_is_a_reason(tmp_path: Path, content: str, words: str) -> None:
    trace = tmp_path / "trace.json"
    trace.write_text(content)
    found = read_held(trace)
    assert found.byte_count is None
    assert words in found.source


def test_the_most_that_a_trace_names_counts(tmp_path: Path) -> None:
    trace = tmp_path / "trace.json"
    trace.write_text(json.dumps([{"args": {"mem_arena_held": str(held)}} for held in (10, 4096, 30)]))
    assert read_held(trace).byte_count == 4096

"""Inputs of the numeric check: the rules of agent and controller are the same ones."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from steelyard.control.numeric_plan import drawn_inputs
from steelyard.numeric.drawing import draw_feeds, resolved_shapes
from steelyard.numeric.errors import NotCheckableError
from steelyard.numeric.feeds import drawn_feeds, pack_samples, read_feeds, task_feeds
from steelyard.tasks.errors import TaskError
from steelyard.tasks.npz import read_first_rows, read_npz, write_npz
from steelyard.tasks.packing import pack
from steelyard_agent.worker.contract import TensorSpec
from steelyard_agent.worker.drawing import draw_inputs
from steelyard_agent.worker.numeric import _feeds
from steelyard_agent.worker.shapes import resolve_shapes
from steelyard_protocol.v1 import common_pb2, control_pb2, plan_pb2

SIGNATURE = {
    "image": ("float32", ("batch", 3, 4, 4)),
    "pixels": ("uint8", ("batch", 5)),
    "attention_mask": ("int64", ("batch", 6)),
    "input_ids": ("int64", ("batch", 6)),
    "position_ids": ("int64", ("batch", 6)),
    "token_type_ids": ("int64", ("batch", 6)),
    "hidden_state": ("float32", (2, "batch", 4)),
    "is_last": ("bool", ("batch",)),
    "half": ("float16", ("batch", 2)),
    "scalar": ("float32", ()),
}


def controllers(names: list[str]) -> list[common_pb2.TensorSpec]:
    specs = []
    for name in names:
        dtype, shape = SIGNATURE[name]
        spec = common_pb2.TensorSpec(name=name, dtype=dtype)
        for size in shape:
            spec.dimensions.add(**({"size": size} if isinstance(size, int) else {"symbol": size}))
        specs.append(spec)
    return specs


def agents(names: list[str]) -> list[TensorSpec]:
    return [TensorSpec(name=name, dtype=SIGNATURE[name][0], shape=SIGNATURE[name][1]) for name in names]


@pytest.mark.parametrize("names", [list(SIGNATURE), *(["image", name] for name in SIGNATURE if name != "image")])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_controller_and_agent_draw_the_same(names: list[str], batch_size: int) -> None:
    shapes = resolved_shapes(controllers(names), {}, batch_size)
    assert shapes == resolve_shapes(agents(names), {}, batch_size)
    mine = draw_feeds(controllers(names), shapes, seed=7, count=1)[0]
    theirs = draw_inputs(agents(names), shapes, 7)
    assert set(mine) == set(theirs)
    for name, values in theirs.items():
        assert mine[name].dtype == values.dtype
        np.testing.assert_array_equal(mine[name], values)


def test_what_carries_a_state_is_zeros_whatever_its_name() -> None:
    (feed,) = draw_feeds(controllers(["image"]), {"image": (1, 3, 4, 4)}, seed=0, count=1, zeros=("image",))
    assert not feed["image"].any()


def test_an_open_dimension_without_a_size_says_which_flag() -> None:
    spec = common_pb2.TensorSpec(name="x", dtype="float32")
    spec.dimensions.add(symbol="batch")
    spec.dimensions.add(symbol="width")
    with pytest.raises(NotCheckableError, match="'x' has an open dimension 1 without a size; give --shape"):
        resolved_shapes([spec], {}, 1)
    assert resolved_shapes([spec], {"x": (1, 9)}, 1) == {"x": (1, 9)}


def both_read(content: bytes, tmp_path: Path, names: list[str], batch_size: int = 0) -> list[dict[str, np.ndarray]]:
    """Read a file of inputs as the agent and as the controller do; both must be the same."""
    path = tmp_path / "inputs.npz"
    path.write_bytes(content)
    theirs = _feeds(path, tuple(agents(names)), batch_size)
    ranks = {name: len(SIGNATURE[name][1]) for name in names}
    mine = read_feeds(content, ranks, None, batch_size)
    assert len(mine) == len(theirs)
    for one, other in zip(mine, theirs, strict=True):
        assert set(one) == set(other)
        for name, values in one.items():
            np.testing.assert_array_equal(values, other[name])
    return mine


def test_whole_inputs_are_read_whole(tmp_path: Path) -> None:
    names = ["image", "hidden_state", "scalar"]
    shapes = resolved_shapes(controllers(names), {}, 2)
    drawn = draw_feeds(controllers(names), shapes, seed=0, count=3)
    content, count = drawn_feeds(drawn)
    assert count == 3
    read = both_read(content, tmp_path, names, batch_size=2)
    assert [{name: values.shape for name, values in feed.items()} for feed in read] == [shapes] * 3
    np.testing.assert_array_equal(read[2]["image"], drawn[2]["image"])


@pytest.mark.parametrize(("batch_size", "expected"), [(0, 7), (2, 3), (7, 1)])
def test_samples_are_read_in_whole_batches(tmp_path: Path, batch_size: int, expected: int) -> None:
    content, _ = pack_samples({"image": np.arange(7 * 48, dtype=np.float32).reshape(7, 3, 4, 4)})
    assert len(both_read(content, tmp_path, ["image"], batch_size)) == expected


def written(folder: Path, content: bytes) -> Path:
    path = folder / "task.npz"
    path.write_bytes(content)
    return path


def test_a_tasks_first_samples_are_taken_as_they_are_packed(tmp_path: Path) -> None:
    images = (np.random.default_rng(0).integers(0, 256, (20, 3, 4, 4)) / np.float32(255)).astype(np.float32)
    content, count = task_feeds(written(tmp_path, pack("image", images)), 8)
    assert count == 8
    assert {name: array.dtype.name for name, array in read_npz(content, what="it").items()} == {
        "image.values": "uint8",
        "image.table": "float32",
    }
    read = both_read(content, tmp_path, ["image"])
    np.testing.assert_array_equal(np.concatenate([feed["image"] for feed in read]), images[:8])


def test_a_task_under_another_name_feeds_a_models_only_input(tmp_path: Path) -> None:
    content, _ = task_feeds(written(tmp_path, pack("input_1", np.zeros((2, 3, 4, 4), np.float32))), 8)
    assert len(both_read(content, tmp_path, ["image"])) == 2


@pytest.mark.parametrize("content", [b"PK", b"", pack("image", np.zeros((9, 4), np.float32))[:-40]])
def test_a_task_that_cannot_be_read_is_an_error_of_ours(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(TaskError, match="readable"):
        task_feeds(written(tmp_path, content), 8)


def test_a_task_without_samples_cannot_be_checked(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.savez(stream, labels=np.zeros(3))
    with pytest.raises(NotCheckableError, match="no samples"):
        task_feeds(written(tmp_path, stream.getvalue()), 8)


def test_an_input_larger_than_the_bound_cannot_be_checked() -> None:
    huge = np.zeros((1, 65 * 1024 * 1024), np.uint8)
    with pytest.raises(NotCheckableError, match="bytes, more than"):
        drawn_feeds([{"x": huge}])


def planned(*batch_sizes: int) -> tuple[plan_pb2.Plan, dict[str, control_pb2.Artifact]]:
    signature = common_pb2.Signature(inputs=controllers(["image"]))
    plan = plan_pb2.Plan()
    for index, size in enumerate(batch_sizes):
        plan.artifacts.add(artifact_digest="a", label=str(index), batch_size=size)
    return plan, {"a": control_pb2.Artifact(digest="a", signature=signature)}


def test_several_batches_of_a_plan_take_the_same_samples(tmp_path: Path) -> None:
    plan, artifacts = planned(0, 16)
    content, count = drawn_inputs(plan, artifacts, 8)
    assert count == 16
    assert [len(both_read(content, tmp_path, ["image"], size)) for size in (0, 16)] == [16, 1]


def test_the_seed_alone_says_what_is_drawn() -> None:
    plan, artifacts = planned(0)
    first = drawn_inputs(plan, artifacts, 8)
    assert drawn_inputs(plan, artifacts, 8) == first
    plan.inputs.seed = 1
    assert drawn_inputs(plan, artifacts, 8) != first


def test_no_more_of_a_large_task_is_read_than_its_first_samples(tmp_path: Path) -> None:
    path = written(tmp_path, write_npz({"x.values": np.arange(4000, dtype=np.int64).reshape(1000, 4)}))
    # What lies behind them is gone: who read it would fail its checksum.
    content = bytearray(path.read_bytes())
    content[20_000:20_100] = bytes(100)
    path.write_bytes(content)
    rows = read_first_rows(path, 8, what="the task", whole=".table")["x.values"]
    np.testing.assert_array_equal(rows, np.arange(32).reshape(8, 4))
    with pytest.raises(TaskError, match="readable"):
        read_npz(bytes(content), what="the task")


def test_a_header_that_promises_more_than_there_is_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, write_npz({"x.values": np.zeros((3, 4), np.float32)}).replace(b"(3, 4)", b"(9, 9)"))
    with pytest.raises(TaskError, match="readable"):
        read_first_rows(path, 8, what="the task", whole=".table")

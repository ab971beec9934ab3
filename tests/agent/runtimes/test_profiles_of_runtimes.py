"""Recorded profiles of each runtime, read as they were written (fixtures/operators/README.md says of what)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.runtimes import litert_profile, onnxruntime_profile, openvino_profile
from steelyard_agent.runtimes.litert_profile import Event
from steelyard_agent.runtimes.openvino_profile import Counted
from steelyard_agent.worker.profiled import NoProfileError

FOLDER = Path(__file__).parents[2] / "fixtures" / "operators"


def test_onnx_runtime_names_its_fusions_and_sums_the_last_inferences() -> None:
    summed = onnxruntime_profile.read_profile(FOLDER / "onnxruntime_conv.json", 3)
    records = summed.operators
    assert summed.inference_count == 2
    assert [(one.name, one.kind) for one in records] == [
        ("relu0_nchwc", "Conv"),
        ("ReorderOutput", "ReorderOutput"),
        ("relu1_nchwc", "Conv"),
        ("ReorderOutput_token_5", "ReorderOutput"),
        ("GlobalAveragePool_4", "GlobalAveragePool"),
        ("Flatten_5", "Flatten"),
        ("Gemm_6", "Gemm"),
    ]
    assert {one.provider for one in records} == {"CPUExecutionProvider"}
    assert {one.call_count for one in records} == {2}
    events = json.loads((FOLDER / "onnxruntime_conv.json").read_text())
    by_name = {
        name: [event["dur"] for event in events if event["name"] == f"{name}_kernel_time"]
        for name in (one.name for one in records)
    }
    inferences = [sum(each[place] for each in by_name.values()) for place in range(4)]
    # Two of the last three, those that took least; the first of all had cold caches.
    assert max(inferences) == inferences[0]
    quieter = sorted(range(1, 4), key=inferences.__getitem__)[:2]
    for one in records:
        assert one.total_ns == sum(by_name[one.name][place] for place in quieter) * 1000


def test_an_inference_that_was_put_aside_is_left_out() -> None:
    events = json.loads((FOLDER / "onnxruntime_conv.json").read_text())
    before = onnxruntime_profile.sum_up(events, 3)
    last = max((one for one in events if one["name"] == "Gemm_6_kernel_time"), key=lambda one: one["ts"])
    last["dur"] += 4000
    after = onnxruntime_profile.sum_up(events, 3)
    assert max(one.total_ns for one in after.operators) < 100_000
    assert after.inference_count == before.inference_count


def test_the_time_of_a_branch_is_not_counted_twice() -> None:
    summed = onnxruntime_profile.read_profile(FOLDER / "onnxruntime_if.json", 3)
    assert summed.inference_count == 2
    records = {one.kind: one for one in summed.operators}
    events = json.loads((FOLDER / "onnxruntime_if.json").read_text())

    def total_us(name: str) -> int:
        # The first inference was the slow one.
        return sum([event["dur"] for event in events if event["name"] == f"{name}_kernel_time"][1:])

    assert records["MatMul"].total_ns == total_us("inner_then") * 1000
    assert records["If"].total_ns == (total_us("choice") - total_us("inner_then")) * 1000
    assert records["Relu"].total_ns == total_us("after") * 1000


def test_a_trace_with_fewer_inferences_than_were_made_is_refused() -> None:
    with pytest.raises(NoProfileError, match="4 of 5"):
        onnxruntime_profile.read_profile(FOLDER / "onnxruntime_conv.json", 5)


@pytest.mark.parametrize("text", ["", "{", "[1]", '[{"name": "model_run"}]', '{"a": 1}', "null"])
def test_what_is_no_trace_is_refused_in_a_sentence(text: str, tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    path.write_text(text)
    with pytest.raises(NoProfileError, match="ONNX Runtime"):
        onnxruntime_profile.read_profile(path, 1)


@given(
    st.lists(
        st.tuples(st.sampled_from(["If", "Conv"]), st.integers(0, 50), st.integers(1, 30), st.integers(1, 2)),
        max_size=12,
    )
)
def test_own_times_are_never_negative_nor_more_than_what_was_told(
    kernels: list[tuple[str, int, int, int]],
) -> None:
    events: list[dict] = [{"name": "model_run", "ts": 0, "dur": 100, "cat": "Session"}]
    events += [
        {"name": f"n{index}_kernel_time", "cat": "Node", "ts": ts, "dur": dur, "tid": tid, "args": {"op_name": kind}}
        for index, (kind, ts, dur, tid) in enumerate(kernels)
    ]
    records = onnxruntime_profile.sum_up(events, 1).operators
    told_ns = {f"n{index}": dur * 1000 for index, (_, _, dur, _) in enumerate(kernels)}
    assert all(0 <= one.total_ns <= told_ns[one.name] for one in records)


def _litert_events() -> list[Event]:
    rows = json.loads((FOLDER / "litert_xnnpack.json").read_text())
    return [Event(tag=tag, kind=kind, elapsed_us=us, node=node) for tag, kind, us, node in rows]


def test_litert_tells_what_xnnpack_and_its_own_kernels_ran() -> None:
    summed = litert_profile.sum_up(_litert_events(), 3)
    records = summed.operators
    own = [(one.name, one.kind) for one in records if one.provider == "CPU"]
    assert own == [("AVERAGE_POOL_2D_10", "AVERAGE_POOL_2D"), ("SOFTMAX_13", "SOFTMAX")]
    theirs = [one for one in records if one.provider == "XNNPACK"]
    assert len(theirs) == 14
    assert theirs[1].kind == "Convolution (NHWC, QC8) IGEMM"
    # Three parts of the graph, each numbered from 0.
    assert [one.name for one in theirs if one.name.endswith("node 0")] == [
        *("part 1 node 0", "part 2 node 0", "part 3 node 0")
    ]
    assert {one.call_count for one in records} == {summed.inference_count} == {2}
    by_inference: list[int] = []
    for event in _litert_events():
        by_inference += [0] if event.tag.startswith("LiteRT::Run[buffer") else []
        by_inference[-1] += event.elapsed_us * (event.kind in (2, 8))
    assert sum(one.total_ns for one in records) == sum(sorted(by_inference)[:2]) * 1000


def test_litert_sums_the_last_inferences_only() -> None:
    first, last = (litert_profile.sum_up(_litert_events(), count).operators for count in (3, 1))
    assert [one.name for one in first] == [one.name for one in last]
    assert {one.call_count for one in last} == {1}
    with pytest.raises(NoProfileError, match="3 of 4"):
        litert_profile.sum_up(_litert_events(), 4)


def test_a_delegate_that_profiles_itself_is_not_counted_twice() -> None:
    run = Event(tag="LiteRT::Run[buffer registration]", kind=1, elapsed_us=1, node=0)
    whole = Event(tag="TfLiteXNNPackDelegate", kind=2, elapsed_us=50, node=7)
    inside = Event(tag="Delegate/Add (ND)", kind=4, elapsed_us=40, node=0)
    assert [one.total_ns for one in litert_profile.sum_up([run, whole, inside], 1).operators] == [40_000]
    (alone,) = litert_profile.sum_up([run, whole], 1).operators
    assert (alone.provider, alone.total_ns) == ("XNNPACK", 50_000)


@dataclass(frozen=True)
class Row:
    node_name: str
    node_type: str
    status: str
    real_time: timedelta


def _openvino_rows(key: str) -> list[Row]:
    document = json.loads((FOLDER / "openvino_conv.json").read_text())
    return [Row(name, kind, status, timedelta(seconds=seconds)) for name, kind, status, seconds in document[key]]


def test_openvino_leaves_the_warm_up_out_of_its_means() -> None:
    before = Counted(call_count=3, mean_us=openvino_profile.means_us(_openvino_rows("after_3")))
    origins = json.loads((FOLDER / "openvino_conv.json").read_text())["origins"]
    records = {
        one.name: one
        for one in openvino_profile.sum_up(
            _openvino_rows("after_8"),
            origins={name: tuple(names) for name, names in origins.items()},
            provider="CPU",
            before=before,
            call_count=5,
        ).operators
    }
    after = openvino_profile.means_us(_openvino_rows("after_8"))
    assert set(records) == set(after)
    # Its first inference makes the kernel: 445 us on average over three.
    gemm = records["logits"]
    assert before.mean_us["logits"] == 445
    assert gemm.total_ns == max(0, after["logits"] * 8 - 445 * 3) * 1000
    assert gemm.total_ns < 445_000
    assert "relu0" in records["conv0/WithoutBiases"].outputs
    with pytest.raises(NoProfileError, match="no node"):
        openvino_profile.sum_up([], origins={}, provider="CPU", before=before, call_count=5)

"""Modes from options to a plan, and what is refused before anything runs."""

from __future__ import annotations

import math

import pytest

from steelyard.control.mode_plan import ModeOptions, check_fit, check_mode, mode_word
from steelyard.control.mode_round_check import mode_nonsense
from steelyard.control.plans import MeasurementOptions, build_plan
from steelyard.errors import UsageError
from steelyard_protocol.v1 import control_pb2, plan_pb2, result_pb2

STATE = {"h": "hn"}


def recurrent(first: int | str = "batch") -> control_pb2.Artifact:
    made = control_pb2.Artifact(digest="a" * 64, name="net", size_bytes=10)
    for tensors, names in ((made.signature.inputs, ("x", "h")), (made.signature.outputs, ("y", "hn"))):
        for name in names:
            tensor = tensors.add(name=name, dtype="float32")
            if isinstance(first, int):
                tensor.dimensions.add(size=first)
            else:
                tensor.dimensions.add(symbol=first)
            tensor.dimensions.add(size=4)
    return made


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, plan_pb2.ModeSpec(mode=plan_pb2.MODE_SINGLE_STREAM)),
        ({"name": "offline"}, plan_pb2.ModeSpec(mode=plan_pb2.MODE_OFFLINE)),
        (
            {"name": "paced", "rate_hz": 20, "random_arrivals": True},
            plan_pb2.ModeSpec(mode=plan_pb2.MODE_PACED, rate_hz=20, random_arrivals=True),
        ),
        (
            {"name": "multi-stream", "stream_count": 3},
            plan_pb2.ModeSpec(mode=plan_pb2.MODE_MULTI_STREAM, stream_count=3),
        ),
        (
            {"name": "sustained", "duration_s": 90, "point_s": 1.5},
            plan_pb2.ModeSpec(mode=plan_pb2.MODE_SUSTAINED, duration_ms=90_000, point_ms=1500),
        ),
        (
            {"name": "stepwise", "step_counts": (1, 16), "state_outputs": STATE},
            plan_pb2.ModeSpec(mode=plan_pb2.MODE_STEPWISE, step_counts=(1, 16), state_outputs=STATE),
        ),
    ],
)
def test_each_mode_travels_with_what_it_needs(options: dict[str, object], expected: plan_pb2.ModeSpec) -> None:
    plan = build_plan([recurrent()], MeasurementOptions(mode=ModeOptions(**options)))
    assert plan.mode == expected


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"name": "warp"}, "--mode warp is none of single-stream, offline, paced"),
        ({"name": "paced"}, "--mode paced needs --rate, such as --rate 20"),
        ({"name": "paced", "rate_hz": -1}, "--rate -1 is not above 0"),
        ({"name": "paced", "rate_hz": math.nan}, "--rate nan is not above 0"),
        ({"name": "paced", "rate_hz": 2e5}, "at most 100000 arrivals"),
        ({"rate_hz": 20}, "--rate belongs to --mode paced and the mode is single-stream"),
        ({"name": "offline", "stream_count": 2}, "--streams belongs to --mode multi-stream and the mode is offline"),
        ({"name": "multi-stream"}, "needs --streams"),
        ({"name": "multi-stream", "stream_count": 65}, "--streams 65 is not between 1 and 64"),
        ({"name": "multi-stream", "stream_count": -1}, "--streams -1 is not between"),
        ({"name": "sustained"}, "--mode sustained needs --duration, such as --duration 5m"),
        ({"name": "sustained", "duration_s": 0.1}, "--duration 0.1 s is not between 0.2"),
        ({"name": "sustained", "duration_s": math.inf}, "--duration inf s is not between"),
        ({"name": "sustained", "duration_s": 10, "point_s": 6}, "a curve has two points at least"),
        ({"name": "sustained", "duration_s": 100, "point_s": 0.1}, "more than 720 points"),
        ({"name": "stepwise", "state_outputs": STATE}, "needs --steps"),
        ({"name": "stepwise", "step_counts": (1, 4)}, "needs --state"),
        ({"name": "stepwise", "step_counts": (4, 1), "state_outputs": STATE}, "--steps 4,1 do not rise"),
        ({"name": "stepwise", "step_counts": (0, 4), "state_outputs": STATE}, "--steps 0,4: each is between 1"),
        ({"name": "stepwise", "step_counts": tuple(range(1, 18)), "state_outputs": STATE}, "17 --steps"),
    ],
)
def test_a_mode_that_no_device_can_run_is_one_sentence(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        ModeOptions(**options)
    assert sentence in str(caught.value)
    assert caught.value.reason == "bad_mode"


@pytest.mark.parametrize(
    ("rate_hz", "window_ms", "sentence"),
    [
        (0.001, 200, "the least number of arrivals takes 10000 s, longer than 3600 s; raise the rate"),
        (100_000, 60_000, "is more than 1048576 arrivals; shorten --sample-window"),
    ],
)
def test_a_window_without_end_is_refused(rate_hz: float, window_ms: int, sentence: str) -> None:
    options = MeasurementOptions(sample_window_ms=window_ms, mode=ModeOptions(name="paced", rate_hz=rate_hz))
    with pytest.raises(UsageError, match=sentence):
        build_plan([recurrent()], options)


def test_a_mode_of_a_later_version_is_refused_and_no_mode_is_a_single_stream() -> None:
    plan = plan_pb2.Plan()
    check_mode(plan)
    assert mode_word(plan.mode.mode) == "single-stream"
    plan.mode.mode = 99  # type: ignore[assignment]  # as an enum of a later version arrives
    with pytest.raises(UsageError, match="mode 99 is none that this version knows"):
        check_mode(plan)


@pytest.mark.parametrize(
    ("state", "sentence"),
    [({"hidden": "hn"}, "has no input 'hidden'; it has x, h"), ({"h": "hx"}, "has no output 'hx'; it has y, hn")],
)
def test_a_state_that_the_model_does_not_have_is_named(state: dict[str, str], sentence: str) -> None:
    spec = plan_pb2.ModeSpec(mode=plan_pb2.MODE_STEPWISE, step_counts=[1], state_outputs=state)
    with pytest.raises(UsageError, match=sentence):
        check_fit(plan_pb2.PlannedArtifact(), recurrent(), spec)


def test_a_batch_needs_an_open_first_dimension_of_that_size() -> None:
    planned = build_plan([recurrent()], MeasurementOptions(batch_size=8)).artifacts[0]
    assert planned.batch_size == 8
    check_fit(planned, recurrent(), plan_pb2.ModeSpec())
    check_fit(planned, recurrent(8), plan_pb2.ModeSpec())
    with pytest.raises(UsageError, match="--batch 8: input 'x' of model net has the fixed first dimension 1"):
        check_fit(planned, recurrent(1), plan_pb2.ModeSpec())
    numbers = control_pb2.Artifact(name="net")
    numbers.signature.inputs.add(name="x", dtype="float32")
    with pytest.raises(UsageError, match="--batch 8: no input of model net has a first dimension"):
        check_fit(planned, numbers, plan_pb2.ModeSpec())
    with pytest.raises(UsageError, match="a batch of 70000"):
        MeasurementOptions(batch_size=70_000)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"response_ns": [5], "latency_ns": [5, 6]}, "1 response times beside 2 latencies"),
        ({"response_ns": [-5], "latency_ns": [5]}, "a response_ns of -5"),
        ({"window_ns": -1}, "a window_ns of -1"),
        ({"cpu_ns": 2**60}, "a cpu_ns of 1152921504606846976"),
        ({"preprocessing_ns": [3, -1]}, "a preprocessing_ns of -1"),
        ({"curve": [result_pb2.CurvePoint(p50_ns=0)]}, "a p50_ns of a point of 0"),
        ({"curve": [result_pb2.CurvePoint(p50_ns=1)] * 1001}, "1001 points of a curve"),
        ({"sequences": [result_pb2.SequenceTiming()]}, "a sequence without steps"),
        ({"sequences": [result_pb2.SequenceTiming(step_ns=[4, 0])]}, "a step_ns of 0"),
    ],
)
def test_figures_of_a_mode_that_no_device_can_have_are_refused(fields: dict[str, object], words: str) -> None:
    assert any(words in one for one in mode_nonsense(result_pb2.BlockResult(**fields)))


def test_figures_of_a_mode_as_devices_send_them_are_taken() -> None:
    block = result_pb2.BlockResult(
        latency_ns=[5, 6],
        response_ns=[7, 8],
        window_ns=100,
        cpu_ns=90,
        preprocessing_ns=[0, 3],
        curve=[result_pb2.CurvePoint(p50_ns=5, offset_ms=10)],
        sequences=[result_pb2.SequenceTiming(step_ns=[4, 5])],
    )
    assert list(mode_nonsense(block)) == []

"""Advice on a terminal of 80 columns, and as data."""

from __future__ import annotations

import io
import json

from rich.console import Console, RenderableType

from steelyard.advice.advising import advise
from steelyard.advice.checking import Outcome
from steelyard.advice.contract import Interval
from steelyard.advice.facts import MeasuredTimes
from steelyard.advice.following import FollowUp, follow_up, parse_max_drop
from steelyard.report.advice import KEEP, plain_advice, render_advice
from steelyard.report.advice_outcome import plain_follow_up, render_follow_up
from steelyard_protocol.v1 import measurement_pb2
from tests.controller.advice import situations
from tests.controller.advice.shaped_layers import BY_CHANNEL, WIDE
from tests.controller.advice.situations import device, situation
from tests.support import measurements


def _shown(renderable: RenderableType, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def _joined(text: str) -> str:
    return " ".join(text.split())


def test_advice_fits_80_columns_and_says_what_it_rests_on() -> None:
    times = MeasuredTimes(job_id="0123456789abcdef", shares={"Conv": 0.7, "Resize": 0.3})
    one = situation(situations.MOBILENET, device(situations.AVX2), times=times, has_calibration=False)
    text = _shown(render_advice(advise(one), one, next_command="steelyard advise net.onnx --device bench --run"))
    assert max(map(len, text.splitlines())) <= 80
    words = _joined(text)
    assert "try, in this order 1. static-int8" in words
    assert "no guarantee" in words
    assert "rests on: " in words
    assert "needs a task with data to calibrate on (--task)" in words
    assert "[no-int8-dot]" in words
    assert "time measured on it: Conv 70 %, Resize 30 % (measurement 0123456789ab)" in words
    assert "steelyard advise net.onnx --device bench --run" in words


def test_a_model_to_keep_is_said_before_what_could_be_tried() -> None:
    one = situation(BY_CHANNEL)
    words = _joined(_shown(render_advice(advise(one), one, next_command="")))
    assert f"{KEEP} try, in this order" in words
    assert plain_advice(advise(one), one)["keeps_model"] is True
    gains = situation(WIDE)
    assert "keep the model" not in _joined(_shown(render_advice(advise(gains), gains, next_command="")))
    assert plain_advice(advise(gains), gains)["keeps_model"] is False


def test_no_advice_names_no_next_command() -> None:
    one = situation(situations.RESNET, form="int8")
    words = _joined(_shown(render_advice(advise(one), one, next_command="steelyard advise net.onnx --run")))
    assert "nothing to try" in words
    assert "int8 already" in words
    assert "--run" not in words


def test_advice_as_data_has_null_for_what_is_not_known() -> None:
    one = situation(situations.PERCEPTRON, device(frozenset()))
    document = json.loads(json.dumps(plain_advice(advise(one), one), allow_nan=False))
    assert document["device"]["int8_dot"] is None
    assert document["device"]["measured_times"] is None
    static = next(recipe for recipe in document["recipes"] if recipe["recipe"] == "static-int8")
    assert static["expectation"] is None
    zeros = next(warning for warning in document["warnings"] if warning["id"] == "zeros-run-as-fast")
    assert zeros["claims"] == [{"recipe": "sparsify", "figure": "speedup", "low": 0.85, "high": 1.15}]


def _done() -> FollowUp:
    measurement = measurements.normal()
    measurement.variants[3].requirements.add(
        requirement="drop<=1pp",
        verdict=measurement_pb2.REQUIREMENT_VERDICT_FAILS,
        because="drop is 2.1 pp (1.7 to 2.5)",
    )
    one = situation(situations.RESNET)
    outcomes = [
        Outcome(
            recipe="static-int8",
            label="static-int8",
            speedup=Interval(low=2.0, value=2.1, high=2.2),
            size_ratio=0.27,
        ),
        Outcome(recipe="float16", label="float16", speedup=Interval(low=1.2, value=1.3, high=1.4)),
    ]
    return follow_up(advise(one), one, measurement, outcomes, max_drop=parse_max_drop("1pp"))


def test_what_came_of_it_is_said_in_words() -> None:
    text = _shown(render_follow_up(_done()))
    assert max(map(len, text.splitlines())) <= 80
    words = _joined(text)
    assert "Ship static-int8 on pi5-bench" in words
    assert (
        "static-int8 ran at 2.10x (2.00x to 2.20x) with 27 % of the file; expected were 1.2x to 2.6x: as expected"
        in words
    )
    assert "the warning float16-no-halves on float16: not as expected (speedup 1.30x (1.20x to 1.40x))" in words
    assert "static-int8 loses too much: drop is 2.1 pp (1.7 to 2.5)" in words
    assert "1. static-int8,calibration_method=percentile" in words
    assert "zeros-run-as-fast" not in words


def test_what_came_of_it_is_data_too() -> None:
    document = json.loads(json.dumps(plain_follow_up(_done()), allow_nan=False))
    (recipe,) = document["recipes"]
    assert recipe["verdict"] == "held"
    assert recipe["speedup"] == {"low": 2.0, "value": 2.1, "high": 2.2}
    verdicts = {claim["warning"]: claim["verdict"] for claim in document["claims"]}
    assert verdicts["float16-no-halves"] == "wrong"
    assert verdicts["zeros-run-as-fast"] == "not measured"
    assert document["repairs"][0]["recipe"] == "static-int8,calibration_method=percentile"

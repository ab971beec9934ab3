"""What devices answered, by metrics of every kind: values, intervals, drops, the front and the decision."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping

import numpy as np
import pytest

from steelyard.analysis import scoring
from steelyard.analysis.measurement import MeasurementInput, build_measurement
from steelyard.tasks.errors import TaskError
from steelyard.tasks.npz import write_npz
from steelyard_protocol.v1 import control_pb2, measurement_pb2
from tests.controller.analysis.planted_rounds import evaluation_round, given, latency_rounds

PAIR = {"original": 2e6, "fast": 1e6}
COUNT = 200


def recorded(
    kind: str,
    truth: Mapping[str, np.ndarray],
    outputs: Mapping[str, Mapping[str, np.ndarray]],
    *,
    requirements: tuple[str, ...] = (),
    times: Mapping[str, float] = PAIR,
    **settings: object,
) -> MeasurementInput:
    """What was recorded of a job whose device sent these outputs, by label."""
    rounds = [evaluation_round(list(times)), *latency_rounds(times, 6)]
    task = control_pb2.Task(task_id="t1", name="taxi", metric=kind, metric_settings_json=json.dumps(settings))
    made = given(list(times), rounds, requirements=list(requirements))
    return dataclasses.replace(
        made, task=task, truth=truth, outputs={label: write_npz(one) for label, one in outputs.items()}
    )


def regression(noise: float = 0.05, seed: int = 0) -> tuple[dict[str, np.ndarray], dict[str, dict[str, np.ndarray]]]:
    rng = np.random.default_rng(seed)
    targets = rng.standard_normal(COUNT)
    first = targets + 0.2 * rng.standard_normal(COUNT)
    second = first + noise * rng.standard_normal(COUNT)
    return {"targets": targets}, {
        "original": {"y": first[:, None].astype(np.float32)},
        "fast": {"y": second[:, None].astype(np.float32)},
    }


def test_a_regression_is_measured_in_its_own_unit_and_less_is_better() -> None:
    truth, outputs = regression(noise=0.3)
    measurement = build_measurement(recorded("rmse", truth, outputs))
    original, fast = measurement.variants
    errors = {label: outputs[label]["y"][:, 0] - truth["targets"] for label in PAIR}
    expected = {label: float(np.sqrt(np.mean(one**2))) for label, one in errors.items()}
    assert (measurement.metric.kind, measurement.metric.unit) == ("rmse", "number")
    assert not measurement.metric.higher_is_better
    for variant in measurement.variants:
        assert variant.accuracy.value == pytest.approx(expected[variant.label])
        assert variant.accuracy.low < variant.accuracy.value < variant.accuracy.high
        assert variant.evaluated_count == COUNT
        assert variant.correct_count == 0
        assert not variant.HasField("mcnemar_p")
    assert (original.accuracy_drop.value, original.accuracy_drop.unit) == (0.0, "number")
    # Worse is above 0, although the error grew.
    assert fast.accuracy_drop.value == pytest.approx(expected["fast"] - expected["original"])
    assert fast.accuracy_drop.low > 0.0
    assert "rmse" in measurement.decision.sentence


def test_the_same_outputs_lose_exactly_nothing_and_are_shipped() -> None:
    truth, outputs = regression()
    measurement = build_measurement(recorded("rmse", truth, {**outputs, "fast": outputs["original"]}))
    drop = measurement.variants[1].accuracy_drop
    assert (drop.value, drop.low, drop.high) == (0.0, 0.0, 0.0)
    assert measurement.decision.kind == measurement_pb2.DECISION_KIND_SHIP
    assert "with no rmse loss beyond" in measurement.decision.sentence


def test_a_variant_that_is_slower_but_less_wrong_stays_on_the_front() -> None:
    truth, outputs = regression(noise=0.5)
    outputs = {"original": outputs["original"], "fast": outputs["fast"], "bad": outputs["fast"]}
    times = {"original": 2e6, "fast": 1e6, "bad": 4e6}
    measurement = build_measurement(recorded("rmse", truth, outputs, times=times))
    assert [one.label for one in measurement.variants if one.on_pareto_front] == ["original", "fast"]


def test_requirements_on_scores_are_held_against_them() -> None:
    truth, outputs = regression(noise=0.01)
    given_ = recorded("rmse", truth, outputs, requirements=("rmse<0.5", "drop<0.05"))
    fast = build_measurement(given_).variants[1]
    assert [one.verdict for one in fast.requirements] == [measurement_pb2.REQUIREMENT_VERDICT_MEETS] * 2
    assert fast.requirements[0].because.startswith("rmse is 0.")


def test_likeness_to_the_original_is_held_against_its_outputs_on_the_device() -> None:
    _, outputs = regression(noise=0.01)
    measurement = build_measurement(recorded("sqnr", {}, outputs, requirements=("sqnr>20dB",)))
    original, fast = measurement.variants
    assert original.accuracy.low == original.accuracy.value == original.accuracy.high == 200.0
    assert 20.0 < fast.accuracy.low < fast.accuracy.high < 200.0
    assert fast.accuracy.unit == "dB"
    # 200 dB less 40 dB are no loss that says anything.
    assert not fast.accuracy_drop.HasField("value")
    assert "held against the first model's outputs" in fast.accuracy_drop.reason
    assert measurement.decision.kind == measurement_pb2.DECISION_KIND_SHIP
    assert measurement.decision.label == "fast"


def test_without_the_first_model_s_outputs_nothing_is_held_against_them() -> None:
    _, outputs = regression()
    measurement = build_measurement(recorded("cosine", {}, {"fast": outputs["fast"]}))
    fast = measurement.variants[1]
    assert not fast.accuracy.HasField("value")
    assert "the first model" in fast.accuracy.reason


def test_outputs_that_do_not_fit_leave_one_variant_without_a_score() -> None:
    truth, outputs = regression()
    outputs["fast"]["y"][3] = np.nan
    original, fast = build_measurement(recorded("rmse", truth, outputs)).variants
    assert original.accuracy.HasField("value")
    assert "NaN" in fast.accuracy.reason
    assert fast.p50_latency.HasField("value")
    assert not fast.accuracy_drop.HasField("value")


def test_top_5_keeps_its_counts_and_mcnemar() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 10, COUNT)
    ranked = np.argsort(rng.random((COUNT, 10)), axis=1)[:, :5].astype(np.int64)
    sent = {"indices": ranked, "scores": np.zeros((COUNT, 5), np.float32)}
    hits = int(np.count_nonzero((ranked == labels[:, None]).any(axis=1)))
    measurement = build_measurement(recorded("top5", {"labels": labels}, {"original": sent, "fast": sent}))
    fast = measurement.variants[1]
    assert (fast.correct_count, fast.evaluated_count) == (hits, COUNT)
    assert fast.mcnemar_p == 1.0
    assert any(note.startswith("top-5 accuracy against the first: McNemar") for note in fast.notes)


def test_a_score_without_a_value_says_what_the_truth_lacks() -> None:
    scores = np.random.default_rng(4).random((COUNT, 2)).astype(np.float32)
    labels = np.ones(COUNT, dtype=np.int64)
    sent = {"original": {"p": scores}, "fast": {"p": scores}}
    measurement = build_measurement(recorded("auc", {"labels": labels}, sent))
    for variant in measurement.variants:
        assert not variant.accuracy.HasField("value")
        assert variant.accuracy.reason
    assert measurement.decision.kind == measurement_pb2.DECISION_KIND_INCOMPLETE


def test_a_task_from_before_there_were_metrics_is_top_1() -> None:
    old = control_pb2.Task(name="digits")
    assert scoring.score_of(old).kind == "top1"
    assert scoring.score_of(None) is None


@pytest.mark.parametrize("text", ["{", "[1]", '{"k": 0}'])
def test_settings_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(TaskError, match=r"settings|k is 0"):
        scoring.metric_of(control_pb2.Task(name="x", metric="topk", metric_settings_json=text))


def test_the_same_question_is_resampled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, outputs = regression(seed=11)
    asked = []
    resample = scoring.resample
    monkeypatch.setattr(scoring, "resample", lambda answers: asked.append(answers) or resample(answers))
    once = build_measurement(recorded("mae", truth, outputs))
    again = build_measurement(recorded("mae", truth, outputs))
    assert len(asked) == len(PAIR)
    assert once == again

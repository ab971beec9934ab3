"""What recorded figures of static int8 beside its peers are made to say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from benchmarks.compression.paired_scores import ORIGINAL, best_of, scores, worse_by
from benchmarks.compression.peer_verdicts import (
    HEAD,
    Held,
    cost_sentence,
    failures,
    figures_of,
    held_accuracy,
    held_speed,
    rows,
    sentence,
)
from benchmarks.figures import Standing

from steelyard.tasks.metrics.accuracy import Top1
from steelyard.tasks.metrics.contract import BinaryAnswers

_OURS = ("static-int8", "int8-careful")


def _answers(*, wrong: int, count: int = 1000) -> BinaryAnswers:
    return BinaryAnswers(correct=np.arange(count) >= wrong)


def _made(**changed: Any) -> dict[str, Any]:
    return {"file_bytes": 280_000, "kernels": [20, 2, 3], **changed}


def _timed(model: str = "net", speed: dict[str, Any] | None = None, **launches: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "timed", "model": model, "launches": launches, "median_ns": speed or {}}


def _launches(seconds: float, mib: int = 100) -> dict[str, Any]:
    return {"seconds": [1.25 * seconds, seconds], "peak_rss_bytes": [mib * 2**20] * 2}


def _scored(wrong: dict[str, int], count: int = 1000, model: str = "net", **made: dict[str, Any]) -> dict[str, Any]:
    answers = {name: _answers(wrong=number, count=count) for name, number in wrong.items()}
    return {
        "kind": "scored",
        "model": model,
        "about": "A net.",
        "made": {name: _made() for name in wrong if name != ORIGINAL} | made,
        **scores(Top1(), answers, frozenset(_OURS)),
    }


def test_worse_answers_are_above_zero_and_in_points() -> None:
    found = worse_by(Top1(), _answers(wrong=10), _answers(wrong=30))
    assert found.value == pytest.approx(2.0)
    assert found.low is not None
    assert found.low > 0


def test_the_best_peer_is_the_one_with_the_best_score_in_the_metrics_direction() -> None:
    found = {"a": 0.8, "b": 0.9, "ours": 1.0, "c": None}
    assert best_of(found, {"a": 1, "b": 1, "c": 1}, higher_is_better=True) == "b"
    assert best_of(found, {"a": 1, "b": 1, "c": 1}, higher_is_better=False) == "a"
    assert best_of(found, {"c": 1}, higher_is_better=True) is None


@pytest.mark.parametrize(
    ("ours", "count", "stands"),
    [(12, 1000, Standing.MET), (60, 1000, Standing.MISSED), (5, 20, Standing.UNDECIDED)],
)
def test_accuracy_is_held_against_the_best_peer_by_the_paired_interval(ours: int, count: int, stands: Standing) -> None:
    wrong = {ORIGINAL: 8, "static-int8": ours, "NNCF": 10, "AIMET-ONNX": 15}
    (model,) = figures_of([_scored(wrong, count)])
    held = held_accuracy(model, "static-int8")
    assert held is not None
    assert held.stands is stands
    assert "beside NNCF" in held.text


def test_accuracy_without_a_peer_or_without_ours_is_not_held_against_anything() -> None:
    (model,) = figures_of([_scored({ORIGINAL: 8, "static-int8": 9})])
    assert held_accuracy(model, "static-int8") is None
    assert held_accuracy(model, "int8-careful") is None


@pytest.mark.parametrize(("latency", "stands"), [(101.0, Standing.MET), (120.0, Standing.MISSED)])
def test_speed_is_held_against_the_fastest_peers_file_round_by_round(latency: float, stands: Standing) -> None:
    noise = np.array([1.0, 1.1, 0.9, 1.05, 1.0, 0.95, 1.02, 0.98])
    speed = {
        ORIGINAL: list(200 * noise),
        "static-int8": list(latency * noise),
        "NNCF": list(150 * noise),
        "AIMET-ONNX": list(100 * noise),
    }
    scored = _scored(dict.fromkeys(speed, 1))
    (model,) = figures_of([scored, _timed(speed=speed)])
    held = held_speed(model, "static-int8", _OURS)
    assert held is not None
    assert held.stands is stands
    assert "AIMET-ONNX's latency" in held.text


def test_a_verdict_over_models_names_each_that_missed_and_each_that_is_undecided() -> None:
    held = [
        Held(model="a", stands=Standing.MET, text="a +0.00"),
        Held(model="b", stands=Standing.MISSED, text="b +2.00"),
        Held(model="c", stands=Standing.UNDECIDED, text="c +1.00"),
        None,
    ]
    assert sentence("accuracy", "no worse", held) == (
        "accuracy: missed (1 of 3 models). Target: no worse. Missed: b +2.00. Undecided: c +1.00."
    )
    assert sentence("accuracy", "no worse", held[:1]) == "accuracy: met (1 of 1 models). Target: no worse."
    assert sentence("accuracy", "no worse", [None]).startswith("accuracy: undecided (0 of 0 models).")


def test_the_cost_is_a_geometric_mean_over_the_models_that_both_quantized() -> None:
    wrong = {ORIGINAL: 8, "static-int8": 9}
    models = figures_of(
        [
            _scored(wrong),
            _timed(**{"static-int8": _launches(2.0), "NNCF": _launches(8.0)}),
            _scored(wrong, model="other"),
            _timed("other", **{"static-int8": _launches(2.0), "NNCF": _launches(2.0, mib=400)}),
            _scored(wrong, model="third", NNCF={"failed": "no kernel"}),
        ]
    )
    found = cost_sentence(models, "static-int8", _OURS)
    assert found is not None
    assert "NNCF 0.50 and 0.50 (2 models)" in found
    assert failures(models) == ["NNCF made no file of third: no kernel"]
    assert cost_sentence(models, "int8-careful", _OURS) is None


def test_a_row_a_file_stands_under_its_model_and_fits_the_head() -> None:
    noise = [1.0, 1.1, 0.9, 1.05, 1.0, 0.95, 1.02, 0.98]
    models = figures_of(
        [
            _scored({ORIGINAL: 8, "static-int8": 9, "peer": 10}, peer=_made(kernels=None)),
            _timed(
                speed={ORIGINAL: noise, "static-int8": [one / 2 for one in noise]}, **{"static-int8": _launches(2.0)}
            ),
        ]
    )
    original, ours, peer = rows(models)
    assert {len(row) for row in (original, ours, peer)} == {len(HEAD)}
    assert original[:3] == ["net", "float32", "top1 99.20 %"]
    assert ours[1:3] == ["static-int8", "top1 99.10 %"]
    assert ours[4] == "2.00 (2.00 to 2.00)"
    assert ours[5] == "20 of 22, 3 Q/DQ"
    assert peer[4:] == ["", "", "", "", "280 kB"]
    assert models[0].launch_count == 2
    assert ours[6:] == ["2.0, 2.2 s", "100 MiB", "280 kB"]

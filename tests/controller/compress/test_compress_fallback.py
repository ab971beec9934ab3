"""Fallback finds what quantization breaks, keeps as little in float as the bound allows, and never answers nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from steelyard.compress.contract import Evaluation
from steelyard.compress.errors import CompressionInputError, RecipeError
from steelyard.compress.qdq.falling_back import FallbackSearch
from steelyard.compress.qdq.pairing import read_pair
from steelyard.compress.steps.fallback import Fallback
from tests.controller.compress.repair_models import (
    calibration,
    context_for,
    outputs,
    planted_net,
    quantized,
    repaired,
    sqnr_db,
)


def _score(float_path: Path) -> Callable[[Path], Evaluation]:
    """Return a metric: 1 less the size of the error of the outputs, as a share of theirs."""
    expected = outputs(float_path, count=256)

    def evaluate(path: Path) -> Evaluation:
        error = float(np.linalg.norm(outputs(path, count=256) - expected) / np.linalg.norm(expected))
        return Evaluation(
            metric="likeness", unit="", higher_is_better=True, value=1 - error, sample_count=256, split="validation"
        )

    return evaluate


def test_fallback_restores_the_planted_layer_and_few_others(tmp_path: Path) -> None:
    float_path, data = planted_net(tmp_path / "m.onnx"), calibration()
    model = quantized(float_path, data, per_channel=False)
    evaluate = _score(float_path)
    broken = evaluate(model).value
    context = context_for(tmp_path / "work", float_path, data, evaluate=evaluate)
    path, report = repaired(Fallback(max_drop=0.06), model, context)
    assert broken < 0.9
    assert evaluate(path).value >= 0.94
    restored = report.settings["restored"]
    units = read_pair(model, float_path, tmp_path, kind="fallback").units
    assert 1 <= len(restored) < len(units) / 5
    assert "layer3_node" in restored
    front = report.settings["front"]
    assert front[0] == {"restored_count": 0, "likeness": pytest.approx(broken, abs=1e-6)}
    assert restored[0] in report.notes[0]


def test_a_bound_that_holds_already_restores_nothing(tmp_path: Path) -> None:
    float_path, data = planted_net(tmp_path / "m.onnx", sensitive=-1), calibration()
    model = quantized(float_path, data)
    path, report = repaired(Fallback(min_sqnr_db=15), model, context_for(tmp_path / "work", float_path, data))
    assert report.settings["restored"] == []
    assert "nothing had to go back to float" in report.notes[0]
    np.testing.assert_array_equal(outputs(path), outputs(model))


def test_without_a_task_the_outputs_reach_the_ratio(tmp_path: Path) -> None:
    float_path, data = planted_net(tmp_path / "m.onnx"), calibration()
    model = quantized(float_path, data, per_channel=False)
    context = context_for(tmp_path / "work", float_path, data)
    path, report = repaired(Fallback(min_sqnr_db=25), model, context)
    expected = outputs(float_path)
    assert sqnr_db(expected, outputs(model)) < 20
    assert sqnr_db(expected, outputs(path)) > 23
    assert report.settings["restored"]


def test_a_bound_out_of_reach_gives_the_best_that_was_found_and_says_so(tmp_path: Path) -> None:
    float_path, data = planted_net(tmp_path / "m.onnx"), calibration()
    model = quantized(float_path, data, per_channel=False)
    context = context_for(tmp_path / "work", float_path, data)
    path, report = repaired(Fallback(min_sqnr_db=150, max_layers=2), model, context)
    assert "the bound is not met" in report.notes[0]
    assert len(report.settings["restored"]) == 2
    assert sqnr_db(outputs(float_path), outputs(path)) > sqnr_db(outputs(float_path), outputs(model)) + 3


def test_the_result_is_a_valid_model_in_the_same_form(tmp_path: Path) -> None:
    float_path, data = planted_net(tmp_path / "m.onnx"), calibration()
    model = quantized(float_path, data, per_channel=False)
    context = context_for(tmp_path / "work", float_path, data)
    path, _ = repaired(Fallback(min_sqnr_db=25), model, context)
    result = onnx.load_model(path)
    onnx.checker.check_model(result)
    assert "DequantizeLinear" in {node.op_type for node in result.graph.node}
    assert repaired(Fallback(min_sqnr_db=25), model, context)[0].read_bytes() == path.read_bytes()


def test_what_was_tried_stands_in_the_notes_with_its_scores(tmp_path: Path) -> None:
    float_path, data = planted_net(tmp_path / "m.onnx"), calibration()
    model = quantized(float_path, data, per_channel=False)
    _, report = repaired(Fallback(min_sqnr_db=25), model, context_for(tmp_path / "work", float_path, data))
    (tried,) = [note for note in report.notes if note.startswith("tried")]
    counts = {one["restored_count"] for one in report.settings["front"]}
    assert tried.count(":") == len(counts) + 1
    assert all(f" {count}: " in tried for count in counts)


def test_a_bound_that_holds_without_help_needs_no_ranking(tmp_path: Path) -> None:
    float_path, data = planted_net(tmp_path / "m.onnx", sensitive=-1), calibration()
    model = quantized(float_path, data)
    told: list[str] = []
    context = context_for(tmp_path / "work", float_path, data)
    context = replace(context, progress=lambda message, done, total: told.append(message))
    repaired(Fallback(min_sqnr_db=15), model, context)
    assert told
    assert not [message for message in told if "sensitive" in message]


def test_a_metric_of_which_less_is_better_is_bounded_from_above(tmp_path: Path) -> None:
    float_path, data = planted_net(tmp_path / "m.onnx"), calibration()
    model = quantized(float_path, data, per_channel=False)
    score = _score(float_path)

    def evaluate(path: Path) -> Evaluation:
        found = score(path)
        return replace(found, metric="error", higher_is_better=False, value=1 - found.value)

    context = context_for(tmp_path / "work", float_path, data, evaluate=evaluate)
    path, report = repaired(Fallback(max_drop=0.06), model, context)
    assert evaluate(model).value > 0.1
    assert evaluate(path).value <= 0.06 + 1e-9
    assert report.settings["front"][0]["error"] == pytest.approx(evaluate(model).value, abs=1e-6)


def test_variants_without_a_score_are_passed_over(tmp_path: Path) -> None:
    float_path, data = planted_net(tmp_path / "m.onnx"), calibration()
    model = quantized(float_path, data, per_channel=False)
    score = _score(float_path)

    def evaluate(path: Path) -> Evaluation:
        found = score(path)
        if found.value < 0.9:
            raise CompressionInputError("not_finite", "the output holds NaN; look at the model")
        return found

    context = context_for(tmp_path / "work", float_path, data, evaluate=evaluate)
    path, report = repaired(Fallback(max_drop=0.06), model, context)
    assert score(path).value >= 0.94
    assert report.settings["front"][0] == {"restored_count": 0, "likeness": None}
    assert "0: no score" in report.notes[-1]


def test_where_the_float_model_has_no_score_the_outputs_are_compared_instead(tmp_path: Path) -> None:
    float_path, data = planted_net(tmp_path / "m.onnx"), calibration()
    model = quantized(float_path, data, per_channel=False)

    def evaluate(_path: Path) -> Evaluation:
        raise CompressionInputError("score_undefined", "AUC has no value here; give samples of every class")

    context = context_for(tmp_path / "work", float_path, data, evaluate=evaluate)
    path, report = repaired(Fallback(min_sqnr_db=25), model, context)
    assert "AUC has no value here" in report.notes[0]
    assert sqnr_db(outputs(float_path), outputs(path)) > 23


@pytest.mark.parametrize(
    "settings",
    [{"max_drop": -0.1}, {"min_sqnr_db": "high"}, {"max_layers": -1}, {"order": "size"}, {"sample_count": 0}],
)
def test_settings_without_a_meaning_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=next(iter(settings))):
        Fallback(**settings)


def test_the_fewest_along_the_ranking_are_found_with_few_evaluations() -> None:
    ranking = [f"op{number}" for number in range(64)]
    search = FallbackSearch(lambda names: 20.0 - len(names & set(ranking[:21])), most_loss=0.0)
    assert search.search(ranking, most_count=64).names == frozenset(ranking[:20])
    # 0, 1, 2, 4, 8, 16, 32; then the bisection; then one give-back for each that is left.
    assert len(search.front) <= 7 + 5 + 20


def test_what_did_not_help_is_quantized_again() -> None:
    search = FallbackSearch(lambda names: 0.0 if {"op1", "op4"} <= names else 1.0, most_loss=0.5)
    assert search.search([f"op{number}" for number in range(8)], most_count=8).names == {"op1", "op4"}


def test_the_lowest_loss_is_answered_when_no_count_holds() -> None:
    losses = {0: 9.0, 1: 5.0, 2: 6.0, 4: 7.0, 6: 8.0}
    search = FallbackSearch(lambda names: losses[len(names)], most_loss=1.0)
    assert search.search([f"op{number}" for number in range(6)], most_count=6).loss == 5.0


def test_no_more_than_the_allowed_number_is_restored() -> None:
    search = FallbackSearch(lambda names: 10.0 - len(names), most_loss=0.0)
    assert len(search.search([f"op{number}" for number in range(10)], most_count=3).names) == 3
    assert max(len(one.names) for one in search.front) == 3


def test_a_loss_that_is_no_number_is_never_the_best() -> None:
    losses = {0: 5.0, 1: float("nan"), 2: 4.0}
    search = FallbackSearch(lambda names: losses[len(names)], most_loss=1.0)
    assert search.search(["op0", "op1"], most_count=2).loss == 4.0


def test_a_drop_of_just_the_bound_holds_whatever_its_last_bit_says() -> None:
    drop = 0.997 - 0.987
    assert drop > 0.01
    assert FallbackSearch(lambda _names: drop, most_loss=0.01).holds_without()


def test_nothing_helps_and_nothing_is_answered_with_the_fewest_in_float() -> None:
    search = FallbackSearch(lambda _names: 3.0, most_loss=1.0)
    assert search.search(["op0", "op1", "op2"], most_count=3).names == frozenset()

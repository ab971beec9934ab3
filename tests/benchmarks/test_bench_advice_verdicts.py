"""Verdicts over advice, from planted rounds: what is best, what advice led to, which warnings were wrong."""

from __future__ import annotations

from typing import Any

import pytest
from benchmarks.compression.advice_verdicts import (
    ModelAdvice,
    advised_sentence,
    changed_sentence,
    figures_of,
    rows,
    to_score,
    to_time,
    unfinished_sentence,
    unmade_sentence,
    warnings_sentence,
)


def latencies(median_ns: float) -> list[float]:
    return [median_ns * factor for factor in (0.99, 1.0, 1.01)]


def model(**changes: Any) -> ModelAdvice:
    """A model of 100 ns: "fast" 40 and lossy, "good" 50, "slow" 120."""
    kept: dict[str, Any] = {
        "name": "planted",
        "advised": ["slow", "good"],
        "made": {
            "fast": {"file": "f.onnx", "size_ratio": 0.25, "reduce_range": False},
            "good": {"file": "g.onnx", "size_ratio": 0.3, "reduce_range": False},
            "slow": {"file": "s.onnx", "size_ratio": 1.0, "reduce_range": None},
            "refused": {"failed": "it does not fit"},
        },
        "median_ns": {
            "original": latencies(100),
            "f": latencies(40),
            "g": latencies(50),
            "s": latencies(120),
        },
        "losses": {"f": 3.0, "g": 0.4, "s": 0.0},
    }
    return ModelAdvice(**{**kept, **changes})


def test_the_best_is_the_fastest_file_that_holds_the_bound() -> None:
    assert model().best() == "g"
    assert model(losses={"f": 0.5}).best() == "f"
    assert model(losses={"f": 3.0, "g": 2.0}).best() == "original"


def test_without_labels_the_bound_is_on_the_noise() -> None:
    assert model(losses={"f": 12.0, "g": 31.0}, against_parent=True).best() == "g"


def test_the_first_recipe_counts_as_it_is_and_the_best_of_several_is_measured() -> None:
    planted = model()
    assert planted.winner(1) == "s"
    assert not planted.is_near(1)
    assert planted.winner(2) == "g"
    assert planted.is_near(2)
    lossy = model(advised=["fast"])
    assert lossy.winner(1) == "f"
    assert not lossy.is_near(1), "it is faster than the best, and loses too much"
    assert model(advised=["fast", "slow"]).winner(2) == "original", "nothing that was tried is worth shipping"


def test_advice_against_everything_is_right_where_nothing_is_better_than_the_model() -> None:
    losses = {"f": 3.0, "g": 2.0}
    assert model(advised=[], losses=losses).is_near(1)
    assert not model(advised=[]).is_near(1)


def test_advice_to_keep_the_model_is_right_where_the_model_is_near_the_best() -> None:
    kept = model(keeps_model=True)
    assert kept.winner(1) == "original"
    assert not kept.is_near(1)
    assert kept.winner(2) == "g", "those who measure all the same find what is faster"
    assert model(keeps_model=True, losses={"f": 3.0, "g": 2.0}).is_near(1)


def test_advice_that_now_keeps_the_model_is_told_as_changed() -> None:
    before = {"kind": "advised", "model": "planted", "advised": ["slow", "good"], "warnings": []}
    timed = {"kind": "timed", "model": "planted", "median_ns": model().median_ns}
    scored = {"kind": "scored", "model": "planted", "losses": model().losses}
    made = {"kind": "made", "model": "planted", "made": model().made}
    rounds = [before, made, timed, scored, {**before, "keeps_model": True}]
    new, old = figures_of(rounds), figures_of(rounds, as_first_advised=True)
    assert [one.keeps_model for one in (*new, *old)] == [True, False]
    assert "rules were changed after planted had been measured" in changed_sentence(new, old)[0]
    assert changed_sentence(new, new) == []


def test_files_are_scored_from_the_fastest_on_until_one_holds_then_the_advised() -> None:
    scored: dict[str, float | None] = {}
    order = []
    while (stem := to_score(model(losses=None), scored)) is not None:
        order.append(stem)
        scored[stem] = 3.0 if stem == "f" else 0.0
    assert order == ["f", "g", "s"]


@pytest.mark.parametrize(
    ("high", "expected"),
    [
        (1.5, "0 held, 0 undecided, 0 not measured, 1 wrong (missed): slow-one of planted (good: 2.00 to 2.00)"),
        (2.5, "1 held"),
    ],
)
def test_a_claim_is_wrong_when_the_whole_interval_lies_outside(high: float, expected: str) -> None:
    warning = {"id": "slow-one", "claims": [["good", "speedup", 0.0, high]]}
    assert expected in warnings_sentence([model(warnings=[warning])])


def test_claims_of_sizes_and_of_what_was_refused() -> None:
    claims = [["fast", "size_ratio", 0.2, 0.3], ["refused", "speedup", 0.0, 1.0], ["fast", "reduce_range", 1.0, 1.0]]
    told = warnings_sentence([model(warnings=[{"id": "w", "claims": claims}])])
    assert "1 held, 0 undecided, 1 not measured, 1 wrong" in told


def test_models_that_the_ranges_were_not_set_by_are_counted_apart() -> None:
    known = [model(name="digits"), model(name="magika")]
    told = advised_sentence([*known, model()], top=2)
    assert "in 3 of 3 (100%" in told
    assert "in 1 of 1 (100%" in told
    assert [row[1] for row in rows([*known, model()])] == ["set by it", "at hand", "new"]
    assert "not in planted (slow, 2.40" in advised_sentence([model()], top=1)


def test_a_disturbed_round_and_a_missing_one_do_not_decide() -> None:
    medians = {**model().median_ns, "g": [50.0, 90.0, 50.0], "s": [49.0, None, 120.0]}  # type: ignore[dict-item]
    planted = model(median_ns=medians)
    assert planted.best() == "g"
    assert planted.over_best("s") == pytest.approx((49 / 50 + 120 / 50) / 2)
    assert planted.speedup("s").low is None, "two rounds have no interval"


def test_one_file_of_a_form_is_timed_but_what_was_named_is_timed_itself() -> None:
    warnings = [{"id": "w", "claims": [["slow", "speedup", 0.0, 1.0]]}]
    planted = model(advised=["good"], warnings=warnings)
    forms = {"a": "8 bits", "f": "8 bits", "g": "8 bits", "original": "float", "s": "float", "z": "float", "o": "other"}
    told = to_time(planted, forms)
    assert told == {"a": "g", "f": "g", "g": "g", "original": "original", "s": "s", "z": "original", "o": "o"}


def test_rows_and_refusals_name_recipes() -> None:
    (row,) = rows([model()])
    assert row[2] == "slow"
    assert row[4] == row[6] == "good"
    assert row[7].startswith("2.00 (")
    assert unfinished_sentence([model(), model(name="late", losses=None)]) == [
        "not timed or not scored yet, and in no count: late"
    ]
    assert unmade_sentence([model(), model()]) == ["refused, by recipe and number of models: refused 2"]


def test_what_was_advised_before_rules_were_changed_is_told() -> None:
    planted = model()
    records = [
        {"model": "planted", "kind": "advised", "advised": ["slow"], "warnings": []},
        {"model": "planted", "kind": "advised", "advised": ["good"], "warnings": []},
        {"model": "planted", "kind": "made", "made": planted.made},
        {"model": "planted", "kind": "timed", "median_ns": planted.median_ns},
        {"model": "planted", "kind": "scored", "losses": planted.losses},
    ]
    now, before = figures_of(records), figures_of(records, as_first_advised=True)
    assert now[0].is_near(1)
    (told,) = changed_sentence(now, before)
    assert told.startswith("rules were changed after planted had been measured; before, the first advised recipe was")
    assert "in 0 of 1 (0%" in told
    assert changed_sentence(now, now) == []


def test_rounds_are_joined_by_model() -> None:
    planted = model()
    records = [
        {"model": "planted", "kind": "made", "advised": planted.advised, "warnings": [], "made": planted.made},
        {"model": "other", "kind": "made", "advised": [], "warnings": [], "made": {}},
        {"model": "planted", "kind": "timed", "median_ns": planted.median_ns},
        {"model": "planted", "kind": "scored", "losses": planted.losses, "against_parent": False},
    ]
    first, second = figures_of(records)
    assert first.is_whole
    assert first.best() == "g"
    assert first.round_count == 3
    assert not second.is_whole

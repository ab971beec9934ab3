"""Findings over planted figures: what is claimed, what is not, and what stays silent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from steelyard.experiments.findings import ONE_FILE, ExperimentMetric, SeedFigure, find
from steelyard.experiments.record import ExperimentRecipe

SCORE = ExperimentMetric(name="accuracy", device="pi5", unit="fraction", is_claimed=True)
SPEED = ExperimentMetric(name="speedup", device="pi5", unit="ratio", is_claimed=True)
SHOWN = ExperimentMetric(name="p50", device="pi5", unit="ns", is_claimed=False)
A, B = ExperimentRecipe(name="a", toml=""), ExperimentRecipe(name="b", toml="")
BASELINE = ExperimentRecipe(name="a-random", toml="", baseline_of="a")


def figures(
    recipe: str, values: Sequence[float], metric: ExperimentMetric = SCORE, *, digest: str = ""
) -> list[SeedFigure]:
    return [
        SeedFigure(
            recipe=recipe, seed=seed, digest=digest or f"{recipe}{seed}", metric=metric, value=value, variance=0.0
        )
        for seed, value in enumerate(values)
    ]


def test_a_clear_difference_is_claimed_and_its_limits_are_told() -> None:
    base = (0.90, 0.91, 0.905, 0.902, 0.908)
    (claim,) = find((A, B), [*figures("a", base), *figures("b", [v + 0.05 + 0.001 * v for v in base])]).claims
    assert claim.holds
    assert claim.paired is not None
    assert claim.paired.difference == pytest.approx(0.0509, abs=1e-4)
    # Five seeds allow no smaller one, however clear the difference is.
    assert claim.paired.p_value == claim.paired.least_p_value == 0.0625


def test_no_difference_is_left_alone() -> None:
    rng = np.random.default_rng(3)
    (claim,) = find((A, B), [*figures("a", rng.normal(0.9, 0.01, 5)), *figures("b", rng.normal(0.9, 0.01, 5))]).claims
    assert not claim.holds
    assert claim.reason == "these seeds cannot tell the two apart"


def test_all_claims_are_adjusted_together() -> None:
    rng = np.random.default_rng(1)
    told = [one for name in "ab" for m in (SCORE, SPEED) for one in figures(name, rng.normal(1.0, 0.1, 5), m)]
    found = find((A, B), told).claims
    assert len(found) == 2
    raw = sorted(one.paired.t_p_value or 1.0 for one in found if one.paired is not None)
    adjusted = sorted(one.adjusted_p or 0.0 for one in found)
    assert adjusted[0] == pytest.approx(min(1.0, 2 * raw[0]))


def test_the_same_answers_on_two_devices_are_one_test() -> None:
    rng = np.random.default_rng(1)
    told = [one for name in "ab" for one in figures(name, rng.normal(1.0, 0.1, 5))]
    both = [*told, *(replace(one, metric=replace(SCORE, device="pi4")) for one in told)]
    (alone,), twice = find((A, B), told).claims, find((A, B), both).claims
    assert [one.adjusted_p for one in twice] == [alone.adjusted_p] * 2


def test_recipes_that_differ_by_nothing_give_few_false_claims() -> None:
    rng = np.random.default_rng(7)
    wrong = 0
    for _ in range(300):
        told = [one for name in "ab" for m in (SCORE, SPEED) for one in figures(name, rng.normal(1.0, 0.1, 5), m)]
        wrong += any(one.holds for one in find((A, B), told).claims)
    # One in twenty experiments makes a false claim: 15 of 300, by a standard deviation of 3.8.
    assert wrong <= 27


def test_seeds_of_recipes_that_draw_nothing_are_no_evidence() -> None:
    told = [*figures("a", [0.9] * 5, digest="x"), *figures("b", [0.8] * 5, digest="y")]
    found = find((A, B), told)
    assert found.claims[0].adjusted_p is None
    assert "no more evidence" in found.claims[0].reason
    assert [one.reason for one in found.recipes] == [ONE_FILE, ONE_FILE]
    assert found.recipes[0].summary is not None
    assert found.recipes[0].summary.count == 1


def test_differences_that_are_all_the_same_are_no_certainty() -> None:
    told = [*figures("a", [0.5, 0.25, 0.75]), *figures("b", [0.75, 0.5, 1.0])]
    (claim,) = find((A, B), told).claims
    assert claim.adjusted_p == 0.25


def test_one_seed_tells_nothing_of_luck() -> None:
    found = find((A, B), [*figures("a", [0.9]), *figures("b", [0.8])])
    assert "one seed" in found.claims[0].reason
    assert found.recipes[0].summary is not None
    assert found.recipes[0].summary.training_sd is None


def test_baselines_are_held_against_their_recipe_alone() -> None:
    rng = np.random.default_rng(2)
    told = [one for name in ("a", "a-random", "b") for one in figures(name, rng.normal(0.9, 0.01, 3))]
    pairs = [(one.first, one.second) for one in find((A, BASELINE, B), told).claims]
    assert pairs == [("a", "b"), ("a-random", "a")]


def test_figures_that_are_only_shown_are_not_claimed_of_and_unknown_ones_say_why() -> None:
    gone = SeedFigure(recipe="a", seed=0, digest="a0", metric=SHOWN, reason="unsupported: no kernel")
    found = find((A, B), [gone, *figures("b", [1.0, 2.0], SHOWN)])
    assert found.claims == ()
    assert (found.recipes[0].summary, found.recipes[0].reason) == (None, "unsupported: no kernel")


def test_one_timing_that_stands_for_every_seed_is_no_evidence_and_one_score_is() -> None:
    varied = (2.0, 2.01, 2.02, 2.0, 2.01)
    timed = [replace(one, variance=1e-4) for one in figures("a", [1.9] * 5, SPEED, digest="x")]
    scored = figures("a", [1.9] * 5, digest="x")
    found = find((A, B), [*timed, *figures("b", varied, SPEED), *scored, *figures("b", varied)])
    by_metric = {one.metric: one for one in found.claims}
    assert by_metric[SPEED].adjusted_p is None
    assert "timed once" in by_metric[SPEED].reason
    # The same samples give one file the same answers: nothing of that figure is luck.
    assert by_metric[SCORE].holds

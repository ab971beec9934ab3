"""What recorded trainings are made to say: losses paired by sample, gains by seed, targets by intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from benchmarks.training import distillation, half_minilm, hybrid, latency_target, qat, structured_pruning
from benchmarks.training.recipe_runs import ORIGINAL, Variant, packed, unpacked
from benchmarks.training.trained_rounds import (
    loss_points,
    mean_score,
    row,
    seed_gain_points,
    speedup,
    time_verdict,
)

from steelyard.compress.recipe_text import load_recipe

COUNT = 2000


def trained(variant: str, *wrong: int, seed: int = 0, parameters: float = 100.0, **more: Any) -> dict[str, Any]:
    """A round whose wrong answers are those up to a number, or from one to another."""
    first, last = (0, wrong[0]) if len(wrong) == 1 else wrong
    correct = ~((np.arange(COUNT) >= first) & (np.arange(COUNT) < last))
    return {
        "kind": "trained",
        "variant": variant,
        "seed": seed,
        "score": float(correct.mean()),
        "count": COUNT,
        "correct": packed(correct),
        "macs": parameters,
        "parameters": parameters,
        "kernels": {"integer": 5, "in_float": 0, "conversions": 2},
        **more,
    }


def timed(runtime: str = "onnxruntime", **medians: float) -> dict[str, Any]:
    found = {name.replace("_", " "): [value, value * 1.001, value * 0.999] for name, value in medians.items()}
    return {"kind": "timed", "runtime": runtime, "median_ns": found}


def test_answers_come_back_as_they_were_packed() -> None:
    correct = np.random.default_rng(0).random(77) < 0.5
    np.testing.assert_array_equal(unpacked(packed(correct), 77), correct)


def test_a_loss_counts_the_samples_that_turn_wrong_and_narrows_where_answers_agree() -> None:
    rounds = [trained(ORIGINAL, 100), trained("same samples", 140), trained("other samples", 1000, 1140)]
    same, other = (loss_points(rounds, ORIGINAL, name) for name in ("same samples", "other samples"))
    assert same is not None
    assert other is not None
    assert same.value == pytest.approx(2.0)
    assert other.value == pytest.approx(2.0)
    assert same.high - same.low < other.high - other.low


def test_the_original_stands_beside_every_seed_and_of_one_seed_the_last_counts() -> None:
    rounds = [trained(ORIGINAL, 100), trained("a", 900), trained("a", 120), trained("a", 160, seed=1)]
    found = loss_points(rounds, ORIGINAL, "a")
    assert found is not None
    assert found.value == pytest.approx(2.0)
    assert mean_score(rounds, "a") == pytest.approx(0.93)
    assert loss_points(rounds, ORIGINAL, "absent") is None


def test_a_gain_is_paired_by_seed() -> None:
    rounds = [trained("labels alone", 100 * seed, seed=seed) for seed in range(1, 6)]
    rounds += [trained("taught", 100 * seed - 20 - seed, seed=seed) for seed in range(1, 6)]
    found = seed_gain_points(rounds, "labels alone", "taught")
    assert found is not None
    assert found.value == pytest.approx(1.15)
    assert found.low > 0


def test_speeds_are_those_of_the_runtime_that_is_asked_for() -> None:
    rounds = [timed(original=4.0, a=2.0), timed("litert", original=9.0, a=3.0)]
    assert speedup(rounds, ORIGINAL, "a").value == pytest.approx(2.0)
    assert speedup(rounds, ORIGINAL, "a", "litert").value == pytest.approx(3.0)
    assert speedup(rounds, ORIGINAL, "b") is None
    assert row([trained(ORIGINAL, 100), trained("a", 100, parameters=25.0), *rounds], "a")[2:4] == ["25.0%", "25.0%"]


def test_a_recipe_is_what_every_variant_but_the_original_has() -> None:
    with pytest.raises(ValueError, match="only the original has none"):
        Variant(name="a", recipe="")


def test_pruning_is_judged_at_both_sizes_beside_the_control() -> None:
    rounds = [trained(ORIGINAL, 100), trained("2x steelyard", 100), trained("4x steelyard", 200)]
    rounds += [trained("4x random", 400), trained("4x torch-pruning", 180)]
    run = structured_pruning.Run(
        machine="m", versions={}, settings={}, rounds=tuple(rounds), first_day="d", last_day="d"
    )
    told = structured_pruning.verdicts(run)
    assert told[0].startswith("2x fewer MACs: met")
    assert told[1].startswith("4x fewer MACs: missed")
    assert any(text.startswith("4x random: met") for text in told)
    assert any(text.startswith("4x torch-pruning: missed") for text in told)
    assert any(text.startswith("2x torch-pruning: undecided") for text in told)


def test_a_student_above_a_fifth_of_the_parameters_proves_nothing() -> None:
    for parameters, says in ((15.0, "met"), (25.0, "undecided")):
        rounds = [trained(ORIGINAL, 10)]
        for seed in range(5):
            rounds.append(trained("labels alone", 300 + seed, seed=seed, parameters=parameters))
            rounds.append(trained("taught", 200 + 2 * seed, seed=seed, parameters=parameters))
        assert f": {says}" in distillation.verdicts("net", rounds)[0]


def test_half_of_minilm_keeps_a_share_with_its_interval() -> None:
    rounds = [trained(ORIGINAL, 100), trained(half_minilm.HALF, 120)]
    rounds.append(
        {"kind": "timed", "runtime": "onnxruntime", "median_ns": {ORIGINAL: [2.0] * 4, half_minilm.HALF: [1.1] * 4}}
    )
    kept = half_minilm.kept_share(rounds, half_minilm.HALF)
    assert kept is not None
    assert kept.value == pytest.approx(0.94 / 0.95)
    told = half_minilm.verdicts(rounds, half_minilm.HALF)
    assert "score kept: met" in told[0]
    assert "speed: met" in told[1]


def test_qat_must_fuse_every_layer_and_be_no_slower_than_static_int8() -> None:
    rounds = [trained(ORIGINAL, 100), trained(qat.STATIC, 120), trained(qat.QAT, 110)]
    rounds.append(timed(static_int8=1.0, qat=1.1, original=2.0))
    told = qat.verdicts("net", rounds)
    assert [text.partition(": ")[2].partition(".")[0].partition(";")[0] for text in told] == ["met", "missed", "met"]
    half = [*rounds, trained(qat.QAT, 110, kernels={"integer": 4, "in_float": 1, "conversions": 2})]
    assert "missed" in qat.verdicts("net", half)[0]


def hybrid_rounds(wrong: int) -> list[dict[str, Any]]:
    singles = list(hybrid._SINGLE)
    times = dict(zip(singles, (3.0, 2.0, 1.0, 2.0, 2.5, 2.5), strict=True))
    rounds = [trained(ORIGINAL, 100), trained(hybrid.HYBRID, wrong), *(trained(name, 160) for name in singles)]
    medians = {name: [value, value * 1.001, value * 0.999] for name, value in {hybrid.HYBRID: 1.2, **times}.items()}
    return [*rounds, {"kind": "timed", "runtime": "onnxruntime", "median_ns": medians}]


def test_a_hybrid_stands_where_what_is_as_fast_is_less_accurate() -> None:
    assert hybrid.verdict_of_seed(hybrid_rounds(110), 0).startswith("seed 0: met")
    assert hybrid.verdict_of_seed(hybrid_rounds(300), 0).startswith("seed 0: missed")
    assert hybrid.verdict_of_seed(hybrid_rounds(160), 0).startswith("seed 0: undecided")
    assert "nothing yet" in hybrid.verdict_of_seed(hybrid_rounds(110)[:3], 0)


def test_a_latency_is_hit_within_the_tolerance() -> None:
    rounds = [trained(ORIGINAL, 100), trained(latency_target.OURS, 110), trained(latency_target.UNIFORM, 150)]
    rounds.append(timed(original=2.0, steelyard=1.02, one_ratio=1.2))
    hit, missed, accuracy = latency_target.verdicts(rounds)
    assert "met" in hit
    assert "missed" in missed
    assert "met" in accuracy


def test_every_recipe_of_the_lines_is_one() -> None:
    texts = [recipe(times) for recipe in (structured_pruning._ours, structured_pruning._peer) for times in ("2x", "4x")]
    texts += [structured_pruning._SHORT, *qat._RECIPES.values()]
    texts += [hybrid._HYBRID, *hybrid._SINGLE.values(), half_minilm._HALF]
    texts += [f"{student},{distillation._TAUGHT}" for student in distillation._STUDENTS.values()]
    texts += [latency_target._TRAINING, *(f"{rule},latency=0.5x" for rule in latency_target._RULES.values())]
    assert all(load_recipe(text).needs_training or text == "static-int8" for text in texts)


def spanned(began_s: float, ended_s: float, *, seed: int = 0, variant: str = "a") -> dict[str, Any]:
    return trained(variant, 100, seed=seed, began_s=began_s, ended_s=ended_s)


def test_time_that_two_trainings_share_counts_once_and_a_break_does_not() -> None:
    side_by_side = [
        spanned(0.0, 600.0),
        spanned(60.0, 900.0, seed=1),
        {**timed(a=1.0), "began_s": 5000.0, "ended_s": 5060.0},
    ]
    assert "met. Target: 2 seeds within 25 minutes on two cores; measured 16.0 minutes on m" in time_verdict(
        [side_by_side], "m, Linux 6", seed_count=2
    )
    again = [*side_by_side, spanned(8000.0, 8900.0, seed=1)]
    assert "measured 26.0 minutes" in time_verdict([again], "m", seed_count=2)
    assert "missed" in time_verdict([again], "m", seed_count=2)


def test_the_time_of_a_line_with_a_training_of_unknown_time_is_unknown() -> None:
    assert "undecided" in time_verdict([[spanned(0.0, 60.0), trained("b", 100)]], "m", seed_count=2)
    assert "undecided" in time_verdict([], "m", seed_count=2)


def test_seeds_that_were_appended_are_no_part_of_the_time() -> None:
    rounds = [spanned(0.0, 60.0), spanned(60.0, 6000.0, seed=1)]
    assert "1 seed within 25 minutes on two cores; measured 1.0 minutes" in time_verdict([rounds], "m", seed_count=1)


def test_the_rounds_of_several_models_add_up_though_their_variants_share_names() -> None:
    assert "measured 3.0 minutes" in time_verdict([[spanned(0.0, 60.0)], [spanned(100.0, 220.0)]], "m", seed_count=2)

"""What recorded trainings say: scores, losses paired by sample, speeds paired by round. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.figures import Figure, Standing, geometric_mean, mean, standing, verdict_text
from benchmarks.training.recipe_runs import ORIGINAL, unpacked
from steelyard.plural import counted

Rounds = Sequence[Mapping[str, Any]]
POINTS = "pp"
MOST_MINUTES = 25


def trained(rounds: Rounds, variant: str) -> dict[int, Mapping[str, Any]]:
    """Return the trained rounds of a variant by seed; of two of one seed the last counts."""
    return {one["seed"]: one for one in rounds if one["kind"] == "trained" and one["variant"] == variant}


def variants(rounds: Rounds) -> list[str]:
    """Return the names of what was trained, in the order of training."""
    return list(dict.fromkeys(one["variant"] for one in rounds if one["kind"] == "trained"))


def seeds_of(rounds: Rounds, variant: str) -> list[int]:
    """Return the seeds that a variant was trained with."""
    return sorted(trained(rounds, variant))


def loss_points(rounds: Rounds, reference: str, candidate: str) -> Figure | None:
    """Return by how many points of accuracy the candidate is worse, with a t interval over samples.

    Each sample counts with its mean over the seeds that both have; the original has one seed, which goes with all. None
    where one of the two is not there.
    """
    one, other = trained(rounds, reference), trained(rounds, candidate)
    seeds = [(0 if reference == ORIGINAL else seed, seed) for seed in other]
    pairs = [(one[mine], other[seed]) for mine, seed in seeds if mine in one]
    if not pairs:
        return None
    worse = [_right(first).astype(float) - _right(second) for first, second in pairs]
    return mean([float(value) for value in 100.0 * np.mean(worse, axis=0)])


def seed_gain_points(rounds: Rounds, reference: str, candidate: str) -> Figure | None:
    """Return by how many points the candidate is better, with a t interval over the seeds that both have."""
    one, other = trained(rounds, reference), trained(rounds, candidate)
    gains = [100.0 * (other[seed]["score"] - one[seed]["score"]) for seed in other if seed in one]
    return mean(gains) if gains else None


def mean_score(rounds: Rounds, variant: str) -> float | None:
    """Return the mean accuracy over seeds."""
    scores = [one["score"] for one in trained(rounds, variant).values()]
    return float(np.mean(scores)) if scores else None


def speedup(rounds: Rounds, reference: str, candidate: str, runtime: str = "onnxruntime") -> Figure | None:
    """Return the reference's latency over the candidate's, paired by round; None where it was not timed."""
    timed = [one for one in rounds if one["kind"] == "timed" and one["runtime"] == runtime]
    if not timed or not {reference, candidate} <= set(timed[-1]["median_ns"]):
        return None
    found = timed[-1]["median_ns"]
    return geometric_mean([one / other for one, other in zip(found[reference], found[candidate], strict=True)])


def time_verdict(parts: Sequence[Rounds], machine: str, *, seed_count: int) -> str:
    """Return one sentence: whether ``seed_count`` seeds were trained, and the first timed, within the limit.

    ``parts`` are the rounds of each model. Time that two trainings share counts once; a break does not, nor what an
    interrupted training had done before it.
    """
    name, target = "time", f"{counted(seed_count, 'seed')} within {MOST_MINUTES} minutes on two cores"
    those = [one for rounds in parts for one in _that_count(rounds) if one.get("seed", 0) < seed_count]
    if not those or any("began_s" not in one for one in those):
        return verdict_text(name, target, Standing.UNDECIDED, "nothing yet")
    minutes = _covered_s([(one["began_s"], one["ended_s"]) for one in those]) / 60
    stands = Standing.MET if minutes <= MOST_MINUTES else Standing.MISSED
    return verdict_text(name, target, stands, f"{minutes:.1f} minutes on {machine.partition(', Linux')[0]}")


def _that_count(rounds: Rounds) -> list[Mapping[str, Any]]:
    """Return the last training of each variant and seed, and the last timing of each runtime."""
    last = {(one["kind"], one.get("variant"), one.get("seed"), one.get("runtime")): one for one in rounds}
    return list(last.values())


def _covered_s(spans: Sequence[tuple[float, float]]) -> float:
    """Return how long at least one of the spans went on, in seconds."""
    covered, until = 0.0, float("-inf")
    for begin, end in sorted(spans):
        covered += max(0.0, end - max(begin, until))
        until = max(until, end)
    return covered


def above(figure: Figure, least: float) -> Standing:
    """Say whether the whole interval lies above ``least`` (met), below it (missed), or neither; equal is not above."""
    if figure.low is None or figure.high is None:
        return Standing.UNDECIDED
    if figure.low > least:
        return Standing.MET
    return Standing.MISSED if figure.high < least else Standing.UNDECIDED


def verdict(name: str, target: str, figure: Figure | None, *, least: float, most: float, unit: str = "") -> str:
    """Return one sentence: whether the figure's interval lies within the target."""
    if figure is None:
        return verdict_text(name, target, Standing.UNDECIDED, "nothing yet")
    return verdict_text(name, target, standing(figure, least=least, most=most), figure.text(2, unit))


def no_worse_verdict(name: str, target: str, figure: Figure | None) -> str:
    """Return one sentence: met where the paired interval does not say that the candidate is worse."""
    if figure is None or figure.low is None:
        return verdict_text(name, target, Standing.UNDECIDED, "nothing yet")
    stands = Standing.MISSED if figure.low > 0 else Standing.MET
    return verdict_text(name, target, stands, f"a loss of {figure.text(2, POINTS)}")


def row(rounds: Rounds, variant: str, runtimes: Sequence[str] = ("onnxruntime",)) -> list[str]:
    """Return a variant's row: seeds, costs as shares, score, loss beside the original, speed-ups."""
    found = trained(rounds, variant)
    some = next(iter(found.values()))
    origin = trained(rounds, ORIGINAL).get(0, {})
    score = mean_score(rounds, variant)
    loss = None if variant == ORIGINAL else loss_points(rounds, ORIGINAL, variant)
    speeds = [None if variant == ORIGINAL else speedup(rounds, ORIGINAL, variant, one) for one in runtimes]
    return [
        variant,
        str(len(found)),
        *(_share(some.get(cost), origin.get(cost)) for cost in ("macs", "parameters")),
        "" if score is None else f"{score:.2%}",
        "" if loss is None else loss.text(2, POINTS),
        *("" if one is None else f"{one.text(2)}x" for one in speeds),
    ]


HEAD = ["variant", "seeds", "MACs", "parameters", "accuracy", "lost beside the original"]


def _share(value: float | None, whole: float | None) -> str:
    return "" if not value or not whole else f"{value / whole:.1%}"


def _right(one: Mapping[str, Any]) -> Any:
    return unpacked(one["correct"], one["count"])

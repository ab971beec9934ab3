"""What the figures of static int8 beside its peers say. Pure: recorded rounds in, rows and sentences out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.compression.kernels import Kernels
from benchmarks.compression.paired_scores import ORIGINAL, best_of
from benchmarks.figures import Standing, geometric_mean, standing

SPEED_TOLERANCE = 0.03
# Twenty pictures tell a broken file from a whole one, no more: one of them is five points.
LEAST_EVALUATION_COUNT = 100
_POINTS = "pp"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFigures:
    """What was recorded of one model, by quantizer: files ``made``, ``launches``, latencies by round in ``speed``.

    ``scored`` is the round with the scores, as the benchmark keeps it.
    """

    name: str
    made: Mapping[str, Mapping[str, Any]]
    scored: Mapping[str, Any] | None = None
    launches: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    speed: Mapping[str, Sequence[float]] | None = None

    @property
    def launch_count(self) -> int:
        """How often each quantizer was timed."""
        return min((len(one["seconds"]) for one in self.launches.values()), default=0)

    def peers(self, ours: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """Return what peers made, those that failed left out."""
        return {name: one for name, one in self.made.items() if name not in ours and "failed" not in one}


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One of our files held against the peers': how it stands, and the sentence's part that says it."""

    model: str
    stands: Standing
    text: str


def figures_of(rounds: Sequence[Mapping[str, Any]]) -> list[ModelFigures]:
    """Return the recorded rounds by model, in the order of measuring; of rounds of one kind the last counts."""
    found = []
    for name in dict.fromkeys(one["model"] for one in rounds):
        own = [one for one in rounds if one["model"] == name]
        scored = [one for one in own if one["kind"] == "scored"]
        timed = [one for one in own if one["kind"] == "timed"]
        found.append(
            ModelFigures(
                name=name,
                made=scored[-1]["made"] if scored else {},
                scored=scored[-1] if scored else None,
                launches=timed[-1]["launches"] if timed else {},
                speed=timed[-1]["median_ns"] if timed else None,
            )
        )
    return found


def held_accuracy(model: ModelFigures, own: str) -> Held | None:
    """Hold our file's score against the best peer's; None where one of the two is not there.

    Met: the paired interval does not say that ours is worse. Missed: it does. Undecided: too few samples to say.
    """
    if model.scored is None or own not in model.scored["beside_peers"]:
        return None
    differences = model.scored["beside_peers"][own]
    best = best_of(
        model.scored["scores"],
        dict.fromkeys(differences),
        higher_is_better=model.scored["higher_is_better"],
    )
    if best is None:
        return None
    value, low, high = differences[best]
    if low is None or high is None or model.scored["evaluation_count"] < LEAST_EVALUATION_COUNT:
        stands = Standing.UNDECIDED
    else:
        stands = Standing.MISSED if low > 0 else Standing.MET
    unit = _POINTS if model.scored["unit"] == "fraction" else model.scored["unit"]
    ends = "no interval" if low is None or high is None else f"{low:+.2f} to {high:+.2f}"
    count = model.scored["evaluation_count"]
    return Held(
        model=model.name,
        stands=stands,
        text=f"{model.name} {value:+.2f} {unit} beside {best} ({ends}; {count} samples)",
    )


def held_speed(model: ModelFigures, own: str, ours: Sequence[str]) -> Held | None:
    """Hold our file's latency against the fastest peer's file, paired by round; None where one is not there."""
    if model.speed is None or own not in model.speed:
        return None
    peers = [name for name in model.speed if name in model.peers(ours)]
    if not peers:
        return None
    speed = model.speed
    fastest = min(peers, key=lambda name: geometric_mean(speed[name]).value)
    ratio = geometric_mean([mine / one for mine, one in zip(model.speed[own], model.speed[fastest], strict=True)])
    return Held(
        model=model.name,
        stands=standing(ratio, least=0.0, most=1 + SPEED_TOLERANCE),
        text=f"{model.name} {ratio.text(3)} times {fastest}'s latency",
    )


def sentence(what: str, target: str, held: Sequence[Held | None]) -> str:
    """Return one verdict over all models: how many met the target, and each that did not with its figure."""
    known = [one for one in held if one is not None]
    met = sum(one.stands is Standing.MET for one in known)
    parts = [
        f"{stands.value}: {'; '.join(one.text for one in known if one.stands is stands)}"
        for stands in (Standing.MISSED, Standing.UNDECIDED)
        if any(one.stands is stands for one in known)
    ]
    worst = Standing.MET if met == len(known) and known else Standing.UNDECIDED
    if any(one.stands is Standing.MISSED for one in known):
        worst = Standing.MISSED
    rest = f" {'. '.join(part[0].upper() + part[1:] for part in parts)}." if parts else ""
    return f"{what}: {worst.value} ({met} of {len(known)} models). Target: {target}.{rest}"


def cost_sentence(models: Sequence[ModelFigures], own: str, ours: Sequence[str]) -> str | None:
    """Return our time and memory beside each peer's, as means over the models that both quantized; None without any."""
    parts = []
    for peer in dict.fromkeys(name for model in models for name in model.launches if name not in ours):
        both = [(one.launches[own], one.launches[peer]) for one in models if {own, peer} <= one.launches.keys()]
        if both:
            time_ratio, memory_ratio = _mean_ratio(both, "seconds", min), _mean_ratio(both, "peak_rss_bytes", median)
            parts.append(f"{peer} {time_ratio:.2f} and {memory_ratio:.2f} ({len(both)} models)")
    if not parts:
        return None
    return f"{own}, time and peak memory of the compression over a peer's, geometric means: {'; '.join(parts)}."


def failures(models: Sequence[ModelFigures]) -> list[str]:
    """Return what each quantizer could not do, in its own words."""
    return [
        f"{name} made no file of {model.name}: {one['failed']}"
        for model in models
        for name, one in model.made.items()
        if "failed" in one
    ]


def rows(models: Sequence[ModelFigures]) -> list[list[str]]:
    """Return a row a file, the float model first."""
    found = []
    for model in models:
        found.append([model.name, "float32", _score(model, ORIGINAL), "", "1.00", "", "", "", ""])
        for name, one in model.made.items():
            if "failed" not in one:
                found.append(
                    ["", name, _score(model, name), _loss(model, name), _speedup(model, name), *_cost(model, name)]
                )
    return found


HEAD = ["model", "file", "score", "loss (95 %)", "speed (95 %)", "8-bit operators", "made in", "peak memory", "size"]


def _mean_ratio(
    pairs: Sequence[tuple[Mapping[str, Sequence[float]], Mapping[str, Sequence[float]]]],
    key: str,
    of: Callable[[Sequence[float]], float],
) -> float:
    return geometric_mean([of(mine[key]) / of(theirs[key]) for mine, theirs in pairs]).value


def _score(model: ModelFigures, name: str) -> str:
    if model.scored is None:
        return ""
    if name == ORIGINAL and not model.scored["losses"]:
        return "itself"
    value = model.scored["scores"].get(name)
    if value is None or not math.isfinite(value):
        return ""
    if model.scored["unit"] == "fraction":
        return f"{model.scored['metric']} {100 * value:.2f} %"
    return f"{model.scored['metric']} {value:.2f} {model.scored['unit']}".rstrip()


def _loss(model: ModelFigures, name: str) -> str:
    if model.scored is None or name not in model.scored["losses"]:
        return ""
    value, low, high = model.scored["losses"][name]
    unit = _POINTS if model.scored["unit"] == "fraction" else model.scored["unit"]
    ends = "" if low is None or high is None else f" ({low:+.2f} to {high:+.2f})"
    return f"{value:+.2f}{ends} {unit}".rstrip()


def _speedup(model: ModelFigures, name: str) -> str:
    if model.speed is None or name not in model.speed or ORIGINAL not in model.speed:
        return ""
    ratios = [one / mine for one, mine in zip(model.speed[ORIGINAL], model.speed[name], strict=True)]
    return geometric_mean(ratios).text(2)


def _cost(model: ModelFigures, name: str) -> list[str]:
    made, launches = model.made[name], model.launches.get(name)
    counts = made["kernels"]
    return [
        "" if counts is None else Kernels(integer=counts[0], in_float=counts[1], conversions=counts[2]).text(),
        "" if launches is None else f"{min(launches['seconds']):.1f}, {median(launches['seconds']):.1f} s",
        "" if launches is None else f"{median(launches['peak_rss_bytes']) / 2**20:.0f} MiB",
        f"{made['file_bytes'] / 1000:.0f} kB",
    ]

"""Which variant to ship on a device, as a pure function of what was found about each."""

from __future__ import annotations

import math
from collections.abc import Sequence

from steelyard.stats.candidates import (
    Candidate,
    Choice,
    DecisionKind,
    Standing,
    drop_words,
    exclusion_words,
    failure_words,
    fastest,
    is_quicker,
    listed,
    speed_words,
)
from steelyard.stats.comparison import ComparisonVerdict
from steelyard.stats.formatting import format_estimate
from steelyard.stats.required_shipping import choose_by_requirements
from steelyard.stats.tolerance import DEFAULT_TOLERANCE_PP, Tolerance, percentage_points

__all__ = ["DEFAULT_TOLERANCE_PP", "Candidate", "Choice", "DecisionKind", "choose"]


def choose(
    candidates: Sequence[Candidate], *, device: str = "this device", tolerance: Tolerance | None = None
) -> Choice:
    """Choose what to ship.

    Without requirements: the fastest variant that is faster than the original beyond the interval of its speed-up, and
    whose accuracy drop is shown to be below ``tolerance`` (the upper end of its interval). With requirements: the
    fastest candidate, the original included, that meets every one of them. Where the intervals of the medians overlap
    the smaller file is taken.

    Args:
        candidates: The original, marked ``is_reference``, and its variants.
        device: What the sentence calls the device.
        tolerance: The accuracy drop that is still accepted when no requirement says otherwise; None: 1 pp.

    Raises:
        ValueError: there is not exactly one original, or a label stands twice.
    """
    references = [one for one in candidates if one.is_reference]
    if len(references) != 1 or len({one.label for one in candidates}) != len(candidates):
        raise ValueError(f"a choice is among one original and variants with labels of their own, not {candidates!r}")
    if any(one.outcomes for one in candidates):
        return choose_by_requirements(candidates, device=device)
    return _choose_freely(references[0], candidates, device, tolerance or percentage_points())


def _choose_freely(reference: Candidate, candidates: Sequence[Candidate], device: str, tolerance: Tolerance) -> Choice:
    if reference.excluded:
        sentence = f"No decision on {device}: the original {exclusion_words(reference)}."
        return Choice(kind=DecisionKind.INCOMPLETE, label="", sentence=sentence)
    variants = [one for one in candidates if not one.is_reference]
    if not variants:
        sentence = f"Keep the original on {device}: it was measured alone ({speed_words(reference)})."
        return Choice(kind=DecisionKind.KEEP_ORIGINAL, label=reference.label, sentence=sentence)
    measured = [one for one in variants if not one.excluded]
    if not measured:
        sentence = f"No decision on {device}{failure_words(variants).replace(';', ':', 1)}."
        return Choice(kind=DecisionKind.INCOMPLETE, label="", sentence=sentence)
    eligible = [one for one in measured if _is_faster(one) and one.standing(tolerance) is Standing.WITHIN]
    open_ones = [one for one in measured if _is_open(one, tolerance)]
    if eligible:
        return _ship(fastest(eligible), open_ones, device, tolerance)
    if open_ones:
        return _postpone(open_ones, device, tolerance)
    why = _why_none(measured, tolerance) + failure_words(variants)
    return Choice(
        kind=DecisionKind.KEEP_ORIGINAL, label=reference.label, sentence=f"Keep the original on {device}: {why}."
    )


def _is_faster(candidate: Candidate) -> bool:
    return candidate.speed is ComparisonVerdict.FASTER


def _is_open(candidate: Candidate, tolerance: Tolerance) -> bool:
    """Whether more measuring could still make the candidate the one to ship."""
    standing = candidate.standing(tolerance)
    if _is_faster(candidate):
        return standing in {Standing.UNSURE, Standing.UNKNOWN}
    return candidate.speed is ComparisonVerdict.UNDECIDED and standing is not Standing.BEYOND


def _ship(best: Candidate, open_ones: Sequence[Candidate], device: str, tolerance: Tolerance) -> Choice:
    loss = f"with no {best.score_name} loss beyond {tolerance.words} ({drop_words(best)})"
    if best.accuracy_drop is None:
        loss = "by the same model under other settings"
    sentence = f"Ship {best.label} on {device}: {speed_words(best)} {loss}"
    rivals = [one.label for one in open_ones if is_quicker(one, best)]
    if rivals:
        sentence += f"; not settled yet for {listed(rivals)}, which may be faster still"
    return Choice(kind=DecisionKind.SHIP, label=best.label, sentence=sentence + ".")


def _postpone(open_ones: Sequence[Candidate], device: str, tolerance: Tolerance) -> Choice:
    unchecked = [one for one in open_ones if _is_faster(one) and one.standing(tolerance) is Standing.UNKNOWN]
    if len(unchecked) == len(open_ones):
        best = fastest(unchecked)
        sentence = f"{best.label} is the fastest on {device}, {speed_words(best)}, but {_unchecked(best, tolerance)}."
        return Choice(kind=DecisionKind.INCOMPLETE, label=best.label, sentence=sentence)
    todo = listed([_what_is_missing(one, tolerance) for one in open_ones])
    return Choice(
        kind=DecisionKind.UNDECIDED, label=fastest(open_ones).label, sentence=f"Undecided on {device}: {todo}."
    )


def _unchecked(candidate: Candidate, tolerance: Tolerance) -> str:
    drop = candidate.accuracy_drop
    if drop is not None and drop.has_interval:
        return tolerance.reason
    why = "give a task with labels to decide whether to ship it" if drop is None else drop.reason.rstrip(".")
    if drop is not None and drop.value is not None:
        return f"its {candidate.score_name} drop has no interval: {why}"
    return f"its {candidate.score_name} was not measured: {why}"


def _what_is_missing(candidate: Candidate, tolerance: Tolerance) -> str:
    standing, name = candidate.standing(tolerance), candidate.score_name
    parts = []
    if not _is_faster(candidate):
        parts.append(f"{candidate.label} may be faster or not ({_speed_doubt(candidate)})")
    if standing is Standing.UNSURE:
        who = "its drop" if parts else f"{candidate.label} is {speed_words(candidate)} but its {name} drop"
        parts.append(f"{who} may pass {tolerance.words} ({_drop_doubt(candidate, tolerance)})")
    if standing is Standing.UNKNOWN:
        drop = candidate.accuracy_drop
        is_measured = drop is not None and drop.has_interval
        doubt = tolerance.reason if is_measured else f"its {name} was not measured"
        parts.append(doubt if parts else f"{candidate.label} is {speed_words(candidate)} but {doubt}")
    return " and ".join(parts)


def _speed_doubt(candidate: Candidate) -> str:
    comparison = candidate.speedup
    if comparison is None:
        return "it was not compared with the original"
    figure = format_estimate(comparison.ratio)
    more = comparison.more_round_count
    if more is None:
        return f"{figure}, too close to call by any practical number of rounds"
    return f"{figure}, measure about {more} more round{'s' if more > 1 else ''}"


def _drop_doubt(candidate: Candidate, tolerance: Tolerance) -> str:
    drop = candidate.accuracy_drop
    assert drop is not None
    assert drop.value is not None
    assert drop.high is not None
    assert tolerance.limit is not None
    words = drop_words(candidate)
    distance = abs(tolerance.limit - drop.value)
    if distance == 0.0:
        return f"{words}, evaluate more samples"
    # The half-width shrinks with the root of the number of samples; never less than a tenth more is suggested.
    needed = drop.observation_count * max(1.1, ((drop.high - drop.value) / distance) ** 2)
    return f"{words}, evaluate {float(f'{math.ceil(needed):.2g}'):,.0f} samples or more"


def _why_none(measured: Sequence[Candidate], tolerance: Tolerance) -> str:
    too_lossy = [one for one in measured if _is_faster(one)]
    if too_lossy:
        best = fastest(too_lossy)
        return (
            f"no variant is both faster and within {tolerance.words} of its {measured[0].score_name} "
            f"({best.label} is {speed_words(best)}, but {drop_words(best)})"
        )
    best = fastest(measured)
    unproven = [one for one in measured if one.speed is ComparisonVerdict.UNDECIDED]
    if unproven:
        return (
            f"no variant is both shown to be faster and within {tolerance.words} of its {measured[0].score_name} "
            f"({unproven[0].label}: {drop_words(unproven[0])})"
        )
    return f"no variant is faster (the quickest, {best.label}, has {speed_words(best)})"

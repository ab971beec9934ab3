"""The choice among candidates when requirements were stated; ``steelyard.stats.shipping`` is the way in."""

from __future__ import annotations

from collections.abc import Sequence

from steelyard.stats.candidates import (
    Candidate,
    Choice,
    DecisionKind,
    drop_words,
    failure_words,
    fastest,
    listed,
    speed_words,
)
from steelyard.stats.requirements import RequirementVerdict, nearest

_RELATIVE = frozenset({"drop", "speedup"})


def choose_by_requirements(candidates: Sequence[Candidate], *, device: str) -> Choice:
    """Choose the fastest candidate that meets all; see ``steelyard.stats.shipping.choose``.

    Returns:
        SHIP or, for the original, KEEP_ORIGINAL; UNMET when every candidate surely misses something; INCOMPLETE when
        figures are missing; UNDECIDED otherwise.
    """
    judged = [one for one in candidates if not _is_trivial(one)] or list(candidates)
    measured = [one for one in judged if not one.excluded]
    if not measured:
        sentence = f"No decision on {device}{failure_words(candidates).replace(';', ':', 1)}."
        return Choice(kind=DecisionKind.INCOMPLETE, label="", sentence=sentence)
    meeting = [one for one in measured if one.meets_all]
    if meeting:
        others = len(judged) - 1
        return _take(fastest(meeting), device, rival_count=len(meeting) - 1, others=others, shown=_shown(measured))
    open_ones = [one for one in measured if not one.fails_any]
    if open_ones:
        return _postpone(open_ones, device)
    best = _nearest(measured)
    missed = [
        f"{one.because}, wanted {one.requirement.text}"
        for one in best.outcomes
        if one.verdict is not RequirementVerdict.MEETS
    ]
    sentence = (
        f"Nothing meets every requirement on {device}; the nearest is {best.label}: "
        f"{listed(missed)}{failure_words(candidates)}."
    )
    return Choice(kind=DecisionKind.UNMET, label=best.label, sentence=sentence)


def _is_trivial(candidate: Candidate) -> bool:
    """Whether this is the original under a requirement that compares with the original: it would always pass."""
    asked = [one.requirement for one in candidate.outcomes]
    is_own_score = candidate.is_truth and any(one.is_on_score for one in asked)
    return candidate.is_reference and (is_own_score or any(one.metric in _RELATIVE for one in asked))


def _shown(measured: Sequence[Candidate]) -> bool:
    """Whether each candidate is shown to meet all or to miss something."""
    return all(one.meets_all or one.fails_any for one in measured)


def _take(best: Candidate, device: str, *, rival_count: int, others: int, shown: bool) -> Choice:
    figures = ", ".join(one.because for one in best.outcomes)
    if not others:
        rank = ""
    elif rival_count:
        rank = " and nothing faster does"
    else:
        rank = " and nothing else does" if shown else " and nothing else is shown to"
    if best.is_reference:
        sentence = f"Keep the original on {device}: it meets every requirement ({figures}){rank}."
        return Choice(kind=DecisionKind.KEEP_ORIGINAL, label=best.label, sentence=sentence)
    sentence = (
        f"Ship {best.label} on {device}: it meets every requirement ({figures}){rank}; "
        f"it is {speed_words(best)}{_loss_words(best)}."
    )
    return Choice(kind=DecisionKind.SHIP, label=best.label, sentence=sentence)


def _loss_words(best: Candidate) -> str:
    """Name the accuracy drop where no requirement did: nobody ships a loss unawares."""
    if any(one.requirement.is_on_score for one in best.outcomes):
        return ""
    words = drop_words(best)
    return f", {best.score_name} {words}" if words else f", {best.score_name} not measured"


def _postpone(open_ones: Sequence[Candidate], device: str) -> Choice:
    missing = [one for candidate in open_ones for one in candidate.outcomes if not one.is_measured]
    undecided = [
        one for candidate in open_ones for one in candidate.outcomes if one.verdict is RequirementVerdict.UNDECIDED
    ]
    best = _nearest(open_ones)
    doubts = [one.because for one in best.outcomes if one.verdict is RequirementVerdict.UNDECIDED]
    if len(missing) == len(undecided):
        sentence = f"No decision on {device}: {best.label} may meet every requirement, but {listed(doubts)}."
        return Choice(kind=DecisionKind.INCOMPLETE, label=best.label, sentence=sentence)
    sentence = (
        f"Undecided on {device}: {best.label} may meet every requirement, but {listed(doubts)}; "
        f"measure more rounds or samples."
    )
    return Choice(kind=DecisionKind.UNDECIDED, label=best.label, sentence=sentence)


def _nearest(candidates: Sequence[Candidate]) -> Candidate:
    label = nearest({one.label: one.outcomes for one in candidates})
    return next(one for one in candidates if one.label == label)

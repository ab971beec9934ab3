"""What came of advice that was followed: what to ship, what was as expected, why a variant is no better, what next."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.advice.checking import CheckedClaim, CheckedRecipe, Outcome, check_claims, check_recipes
from steelyard.advice.contract import Advice
from steelyard.advice.explaining import reasons
from steelyard.advice.facts import Situation
from steelyard.advice.messages import profile_of
from steelyard.advice.repairs import Repair, repairs
from steelyard.errors import UsageError
from steelyard_protocol.v1 import measurement_pb2

_NO_FASTER = frozenset({
    measurement_pb2.COMPARISON_VERDICT_SLOWER,
    measurement_pb2.COMPARISON_VERDICT_NO_DIFFERENCE,
})  # fmt: skip
_MAX_DROP = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?) ?(?P<unit>pp)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxDrop:
    """What a variant may lose: ``text`` as it was typed, ``setting`` in the metric's unit (1pp: 0.01)."""

    text: str
    setting: float

    @property
    def requirement(self) -> str:
        """The requirement of a measurement that says the same."""
        return f"drop<={self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """Why one variant is no faster than the original."""

    label: str
    is_slower: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A variant that loses too much: what was required, and the figure that it is held against."""

    label: str
    requirement: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """All that is said after the advised recipes were measured; ``sentence`` is the measurement's decision."""

    sentence: str
    recipes: tuple[CheckedRecipe, ...]
    claims: tuple[CheckedClaim, ...]
    explained: tuple[Explained, ...]
    lost: tuple[Lost, ...]
    repairs: tuple[Repair, ...]


def parse_max_drop(text: str) -> MaxDrop:
    """Read "1pp", "0.5 pp" of a share, or a bare number of a metric in another unit.

    Raises:
        UsageError: it is none of these.
    """
    match = _MAX_DROP.fullmatch(text.strip())
    if match is None:
        raise UsageError(
            "bad_max_drop", f"--max-drop {text!r} is no drop; write 1pp, or a number in the unit of the task's metric"
        )
    number = float(match["number"])
    is_share = match["unit"] is not None
    return MaxDrop(text=f"{match['number']}{'pp' if is_share else ''}", setting=number / 100 if is_share else number)


def follow_up(
    advice: Advice,
    situation: Situation,
    measurement: measurement_pb2.Measurement,
    outcomes: Sequence[Outcome],
    *,
    max_drop: MaxDrop | None = None,
) -> FollowUp:
    """Return what a measurement of advised recipes says of the advice; the original is its first variant."""
    lost = tuple(_lost(measurement, max_drop)) if max_drop is not None else ()
    next_ones: tuple[Repair, ...] = ()
    if lost and max_drop is not None:
        next_ones = repairs(
            situation.model.model_format,
            max_drop=max_drop.setting,
            step_kinds=situation.step_kinds,
            tried=frozenset(one.recipe for one in outcomes),
        )
    return FollowUp(
        sentence=measurement.decision.sentence,
        recipes=tuple(check_recipes(advice, outcomes)),
        claims=tuple(check_claims(advice, outcomes)),
        explained=tuple(_explained(measurement)),
        lost=lost,
        repairs=next_ones,
    )


def _explained(measurement: measurement_pb2.Measurement) -> list[Explained]:
    original = profile_of(measurement.variants[0])
    return [
        Explained(
            label=variant.label,
            is_slower=variant.comparison == measurement_pb2.COMPARISON_VERDICT_SLOWER,
            reasons=tuple(reasons(profile_of(variant), original)),
        )
        for variant in measurement.variants[1:]
        if variant.comparison in _NO_FASTER
    ]


def _lost(measurement: measurement_pb2.Measurement, max_drop: MaxDrop) -> list[Lost]:
    return [
        Lost(label=variant.label, requirement=outcome.requirement, because=outcome.because)
        for variant in measurement.variants[1:]
        for outcome in variant.requirements
        if outcome.requirement == max_drop.requirement and outcome.verdict == measurement_pb2.REQUIREMENT_VERDICT_FAILS
    ]

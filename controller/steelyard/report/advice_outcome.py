"""What came of advice, in sentences for people and as data for programs."""

from __future__ import annotations

import dataclasses
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from steelyard.advice.checking import CheckedClaim, CheckedRecipe
from steelyard.advice.contract import ClaimVerdict, Interval
from steelyard.advice.following import FollowUp
from steelyard.report.advice import plain_claim, range_text
from steelyard.report.listings import hanging
from steelyard.stats.formatting import format_value

_WORDS = {
    ClaimVerdict.HELD: "as expected",
    ClaimVerdict.WRONG: "not as expected",
    ClaimVerdict.UNDECIDED: "at the edge of what was expected",
    ClaimVerdict.NOT_MEASURED: "not measured",
}


def render_follow_up(done: FollowUp) -> RenderableType:
    """Return the verdict in words: what won, what each recipe did, and why one is no faster or loses too much."""
    parts: list[RenderableType] = [Text(), Text("what came of the advice", style="bold")]
    if done.sentence:
        parts.append(Text(done.sentence))
    parts += [hanging("- ", _recipe_line(one)) for one in done.recipes]
    for one in done.explained:
        how = "slower than the original" if one.is_slower else "no faster than the original"
        parts.append(hanging("- ", f"{one.label} is {how}: {'; '.join(one.reasons)}"))
    parts += [hanging("- ", f"{one.label} loses too much: {one.because}") for one in done.lost]
    parts += [hanging("- ", _claim_line(one)) for one in done.claims if one.verdict is not ClaimVerdict.NOT_MEASURED]
    if done.repairs:
        parts += [Text(), Text("to win accuracy back, in order of cost", style="bold")]
        for number, repair in enumerate(done.repairs, start=1):
            parts.append(Text(f"{number:>2}. ").append(repair.recipe, style="bold"))
            parts.append(hanging("    ", f"{repair.reason}; costs {repair.costs}"))
    return Group(*parts)


def plain_follow_up(done: FollowUp) -> dict[str, Any]:
    """Return the same as JSON-ready data."""
    return {
        "sentence": done.sentence,
        "recipes": [
            {
                "recipe": one.advised.recipe,
                "label": one.outcome.label,
                "speedup": _plain(one.outcome.speedup),
                "size_ratio": one.outcome.size_ratio,
                "drop": _plain(one.outcome.drop),
                "failure": one.outcome.failure or None,
                "verdict": one.verdict.value,
            }
            for one in done.recipes
        ],
        "claims": [
            {
                "warning": one.warning,
                "claim": plain_claim(one.claim),
                "seen": _plain(one.seen),
                "verdict": one.verdict.value,
            }
            for one in done.claims
        ],
        "explained": [dataclasses.asdict(one) for one in done.explained],
        "lost": [dataclasses.asdict(one) for one in done.lost],
        "repairs": [dataclasses.asdict(one) for one in done.repairs],
    }


def _recipe_line(one: CheckedRecipe) -> str:
    outcome, expected = one.outcome, one.advised.expectation
    if outcome.speedup is None:
        return f"{one.advised.recipe}: not measured ({outcome.failure or 'its speed has no interval'})"
    ran = f"{one.advised.recipe} ran at {_interval_text(outcome.speedup)}"
    size = "" if outcome.size_ratio is None else f" with {100 * outcome.size_ratio:.0f} % of the file"
    if expected is None:
        return f"{ran}{size}; nothing was known of it before"
    return f"{ran}{size}; expected were {range_text(expected)}: {_WORDS[one.verdict]}"


def _claim_line(one: CheckedClaim) -> str:
    seen = "" if one.seen is None else f" ({one.claim.figure.replace('_', ' ')} {_interval_text(one.seen)})"
    return f"the warning {one.warning} on {one.claim.recipe}: {_WORDS[one.verdict]}{seen}"


def _interval_text(interval: Interval) -> str:
    low, value, high = (format_value(end, "ratio") for end in (interval.low, interval.value, interval.high))
    return value if interval.low == interval.high else f"{value} ({low} to {high})"


def _plain(interval: Interval | None) -> dict[str, float] | None:
    return None if interval is None else dataclasses.asdict(interval)

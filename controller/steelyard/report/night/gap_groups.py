"""Gaps by their reason: a device that was away is one line, not one for each of its models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.nightly.night_report import Gap

_MOST_NAMES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class GapGroup:
    """Gaps of one device with one reason; ``what`` names the first few of them."""

    device: str
    code: str
    reason: str
    count: int
    what: str


def gap_groups(gaps: Sequence[Gap]) -> tuple[GapGroup, ...]:
    """Return the gaps by device and reason, the largest groups first."""
    together: dict[tuple[str, str, str], list[Gap]] = {}
    for gap in gaps:
        together.setdefault((gap.device, gap.code, gap.reason), []).append(gap)
    groups = [
        GapGroup(device=device, code=code, reason=reason, count=len(found), what=_names(found))
        for (device, code, reason), found in together.items()
    ]
    return tuple(sorted(groups, key=lambda one: (-one.count, one.device, one.code)))


def _names(gaps: Sequence[Gap]) -> str:
    names = list(dict.fromkeys(_name(gap) for gap in gaps))
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _name(gap: Gap) -> str:
    runtime = f" ({gap.runtime})" if gap.runtime else ""
    return f"{gap.model or 'everything'}{runtime}{' ' + gap.metric if gap.metric else ''}"

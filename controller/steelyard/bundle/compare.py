"""What a bundle claims beside what was recomputed, figure by figure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from steelyard_protocol.v1 import measurement_pb2

# Of the largest number of a figure (its value and the ends of its interval). Observed: scipy 1.11.4 with numpy 1.26.4
# and scipy 1.17.1 with numpy 2.4.6 give ends of intervals that differ by up to 5e-11 (quantiles of Student's t).
RELATIVE_TOLERANCE = 1e-9
# What is left of a difference of two equal numbers below 1.
_ABSOLUTE_TOLERANCE = 1e-15
_LONGEST_TEXT = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One figure, verdict or sentence: "p50_latency of static-int8", what is claimed and what was recomputed."""

    where: str
    claimed: str
    recomputed: str

    @property
    def sentence(self) -> str:
        """The difference for people."""
        return " ".join(f"{self.where}: claimed {self.claimed}, recomputed {self.recomputed}".split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Everything that differs, in the order of the messages; ``figure_count`` were compared.

    ``not_claimed`` were recomputed and are absent from a bundle of another version, which did not know them.
    """

    differences: tuple[Difference, ...]
    figure_count: int
    not_claimed: int


def compare_messages(claimed: Message, recomputed: Message, *, same_version: bool) -> Comparison:
    """Compare two messages of one type; of the same version, whatever is absent in one of them differs."""
    walk = _Walk(same_version=same_version)
    walk.message(claimed, recomputed, ())
    return Comparison(differences=tuple(walk.differences), figure_count=walk.figure_count, not_claimed=walk.not_claimed)


class _Walk:
    def __init__(self, *, same_version: bool) -> None:
        self.differences: list[Difference] = []
        self.figure_count = 0
        self.not_claimed = 0
        self._same_version = same_version

    def message(self, claimed: Message, recomputed: Message, path: tuple[str, ...]) -> None:
        if isinstance(claimed, measurement_pb2.Estimate):
            assert isinstance(recomputed, measurement_pb2.Estimate)
            self._count(_same_estimate(claimed, recomputed), claimed, recomputed, path)
            return
        for field in claimed.DESCRIPTOR.fields:
            here = (*path, field.name)
            if field.has_presence and not (claimed.HasField(field.name) and recomputed.HasField(field.name)):
                self._absent(claimed, recomputed, field.name, here)
            else:
                self._values(getattr(claimed, field.name), getattr(recomputed, field.name), here)

    def _absent(self, claimed: Message, recomputed: Message, name: str, path: tuple[str, ...]) -> None:
        if claimed.HasField(name):
            self._differ(path, _text(getattr(claimed, name)), "nothing")
        elif recomputed.HasField(name):
            self._unclaimed(path, getattr(recomputed, name))

    def _values(self, claimed: Any, recomputed: Any, path: tuple[str, ...]) -> None:
        if isinstance(claimed, Message):
            self.message(claimed, recomputed, path)
        elif isinstance(claimed, str | bytes | int | float):
            if not claimed and recomputed and not self._same_version:
                self._unclaimed(path, recomputed)
            elif claimed or recomputed:
                self._count(_same_scalar(claimed, recomputed), claimed, recomputed, path)
        elif isinstance(claimed, Mapping):
            for key in sorted({*claimed, *recomputed}):
                mine, theirs = (one.get(key) for one in (claimed, recomputed))
                if mine is None or theirs is None:
                    self._differ((*path, str(key)), _text(mine), _text(theirs))
                else:
                    self._values(mine, theirs, (*path, str(key)))
        else:
            self._sequences(claimed, recomputed, path)

    def _sequences(self, claimed: Any, recomputed: Any, path: tuple[str, ...]) -> None:
        if len(claimed) != len(recomputed):
            if not len(claimed) and not self._same_version:
                self._unclaimed(path, recomputed)
            else:
                self._differ(path, f"{len(claimed)} entries", f"{len(recomputed)}{_first_other(claimed, recomputed)}")
            return
        for index, (one, other) in enumerate(zip(claimed, recomputed, strict=True)):
            self._values(one, other, (*path, _name(other, index)))

    def _unclaimed(self, path: tuple[str, ...], value: Any) -> None:
        if self._same_version:
            self._differ(path, "nothing", _text(value))
        else:
            self.not_claimed += 1

    def _count(self, same: bool, claimed: Any, recomputed: Any, path: tuple[str, ...]) -> None:
        self.figure_count += 1
        if not same:
            self._differ(path, _text(claimed), _text(recomputed))

    def _differ(self, path: tuple[str, ...], claimed: str, recomputed: str) -> None:
        self.differences.append(Difference(where=_where(path), claimed=claimed, recomputed=recomputed))


def _same_estimate(claimed: measurement_pb2.Estimate, recomputed: measurement_pb2.Estimate) -> bool:
    rest = ("unit", "reason", "observation_count", "confidence")
    mine, theirs = _ends(claimed), _ends(recomputed)
    if mine.keys() != theirs.keys():
        return False
    if any(not _same_scalar(getattr(claimed, name), getattr(recomputed, name)) for name in rest):
        return False
    scale = max((abs(end) for end in (*mine.values(), *theirs.values()) if math.isfinite(end)), default=0.0)
    return all(_close(end, theirs[name], scale) for name, end in mine.items())


def _ends(estimate: measurement_pb2.Estimate) -> dict[str, float]:
    """Return the value of an estimate and the ends of its interval, as far as they are there."""
    return {field.name: value for field, value in estimate.ListFields() if field.name in ("value", "low", "high")}


def _same_scalar(claimed: Any, recomputed: Any) -> bool:
    if isinstance(claimed, float) and isinstance(recomputed, float):
        return _close(claimed, recomputed, max(abs(claimed), abs(recomputed)))
    return bool(claimed == recomputed)


def _close(one: float, other: float, scale: float) -> bool:
    if not (math.isfinite(one) and math.isfinite(other)):
        return one == other or (math.isnan(one) and math.isnan(other))
    return abs(one - other) <= RELATIVE_TOLERANCE * scale + _ABSOLUTE_TOLERANCE


def _name(entry: Any, index: int) -> str:
    """Return what an entry of a list is called: its label, name or requirement, else its number."""
    if isinstance(entry, Message):
        for field in ("label", "requirement", "name"):
            if field in entry.DESCRIPTOR.fields_by_name and getattr(entry, field):
                return str(getattr(entry, field))
    return str(index + 1)


def _where(path: tuple[str, ...]) -> str:
    if len(path) > 2 and path[0] == "variants":
        return f"{' '.join(path[2:])} of {path[1]}"
    return " ".join(path)


def _first_other(claimed: Any, recomputed: Any) -> str:
    """Return the first entry that only one of two lists has, for people."""
    for entries, others in ((recomputed, claimed), (claimed, recomputed)):
        for entry in entries:
            if isinstance(entry, str) and entry not in others:
                return f" (with and without {_text(entry)})"
    return ""


def _text(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, measurement_pb2.Estimate):
        return _estimate_text(value)
    if isinstance(value, float):
        return f"{value:.12g}"
    text = " ".join(_parts(value)) if isinstance(value, Message) else str(value)
    quoted = repr(text) if isinstance(value, str) else text
    return quoted if len(quoted) <= _LONGEST_TEXT else f"{quoted[:_LONGEST_TEXT]}…"


def _parts(message: Message) -> Iterator[str]:
    for field, value in message.ListFields():
        yield f"{field.name}={str(value).strip()!s}"


def _estimate_text(estimate: measurement_pb2.Estimate) -> str:
    if not estimate.HasField("value"):
        return f"no value ({estimate.reason})"
    text = f"{estimate.value:.12g} {estimate.unit}".strip()
    if estimate.HasField("low") and estimate.HasField("high"):
        text += f" ({estimate.low:.12g} to {estimate.high:.12g}, {estimate.observation_count} observations)"
    return text

"""Which series somebody means by names and patterns; where none fits, what there is instead. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase

from steelyard.errors import NotFoundError
from steelyard.spelling import meant
from steelyard_protocol.v1 import nightly_pb2

_PATTERN = frozenset("*?[")
_MOST_NAMED = 8
_NAMES = ("suite", "model", "device", "runtime", "metric")
_ON_WIRE = {"suite": "suite_name", "model": "model", "runtime": "runtime", "metric": "metric"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesChoice:
    """Names, or patterns with ``*``, ``?`` and ``[...]``; "" is anything. A device is meant by its name or its id."""

    suite: str = ""
    model: str = ""
    device: str = ""
    runtime: str = ""
    metric: str = ""

    def on_wire(self) -> nightly_pb2.SeriesFilter:
        """Return what a controller can choose by itself; ``of`` chooses among what it gives back."""
        chosen = nightly_pb2.SeriesFilter()
        for name, field in _ON_WIRE.items():
            value = getattr(self, name)
            if not _PATTERN & set(value):
                setattr(chosen, field, value)
        return chosen

    def of(self, found: Sequence[nightly_pb2.Series]) -> list[nightly_pb2.Series]:
        """Return the series that are meant."""
        return [one for one in found if all(self._fits(name, one) for name in _NAMES)]

    def refusal(self, everything: Sequence[nightly_pb2.Series]) -> NotFoundError:
        """Return what to say where nothing is meant, given all series that there are."""
        if not everything:
            return NotFoundError("no_series", "no night has recorded anything yet; `steelyard nightly run` does")
        for name in _NAMES:
            if not any(self._fits(name, one) for one in everything):
                known = {value for one in everything for value in _values(name, one) if value}
                return NotFoundError(
                    "series_not_found", f"no series has the {name} {getattr(self, name)!r}; {_some(self, name, known)}"
                )
        words = ", ".join(f"{name} {getattr(self, name)!r}" for name in _NAMES if getattr(self, name))
        return NotFoundError("series_not_found", f"no series has {words} together; leave one of them out")

    def _fits(self, name: str, series: nightly_pb2.Series) -> bool:
        pattern = getattr(self, name)
        return not pattern or any(fnmatchcase(value, pattern) for value in _values(name, series))


def _values(name: str, series: nightly_pb2.Series) -> tuple[str, ...]:
    if name == "device":
        return series.device_name, series.key.device_id
    return (getattr(series.key, _ON_WIRE[name]),)


def _some(choice: SeriesChoice, name: str, known: set[str]) -> str:
    """Return the nearest known names; hundreds of them make no sentence."""
    near = get_close_matches(getattr(choice, name), sorted(known), n=_MOST_NAMED, cutoff=0.6)
    return meant(getattr(choice, name), near or sorted(known)[:_MOST_NAMED])

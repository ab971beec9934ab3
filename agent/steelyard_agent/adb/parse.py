"""Reads what ``benchmark_model`` prints, of every age; whatever it does not say stays None.

Source: tensorflow/lite/tools/benchmark/benchmark_model.cc and benchmark_tflite_model.cc, LiteRT's
litert/tools/benchmark_litert_model.h, and outputs of phones that people published (tests/fixtures/benchmark_model).
Lines may begin with a severity ("INFO: ") or with logcat's columns.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

_NUMBER = r"([0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)"
_TIMINGS = re.compile(
    rf"Inference timings in us: Init: {_NUMBER}, First inference: {_NUMBER}, "
    rf"Warmup \(avg\): {_NUMBER}, Inference \(avg\): {_NUMBER}"
)
# Before 2020: no first inference, and the average is called "no stats".
_OLD_TIMINGS = re.compile(
    rf"Average inference timings in us: Warmup: {_NUMBER}, Init: {_NUMBER}, (?:Inference|no stats): {_NUMBER}"
)
# LiteRT's benchmark_model rounds its results to 10 us; only the statistics before them are finer.
_LITERT_TIMINGS = re.compile(rf"^.*Inference \(avg\): +{_NUMBER} ms", re.MULTILINE)
_SESSION = re.compile(rf"Initialized session in {_NUMBER} ?ms")
# A deviation that rounding made the root of less than nothing reads "nan" or "-nan".
_STATS = re.compile(rf"\bcount=([0-9]{{1,15}})((?: [a-z0-9]+=(?:{_NUMBER}|-?nan))*)")
_PAIR = re.compile(rf"([a-z0-9]+)={_NUMBER}")
_PEAK = re.compile(
    rf"Overall peak memory footprint \(MB\) via periodic monitoring: {_NUMBER}|Peak memory: +{_NUMBER} MB"
)
_GROWTH = re.compile(
    rf"(?:Memory footprint delta from the start of the tool|Peak memory footprint) \(MB\): "
    rf"init={_NUMBER} overall={_NUMBER}|Overall footprint: +{_NUMBER} MB"
)
_APPLIED = re.compile(
    r"Explicitly applied (.+?) delegate, and the model graph will be (completely|partially) executed by the delegate"
)
_NOT_APPLIED = re.compile(r"Though (.+?) delegate is explicitly applied, the model graph will not be executed by")
_REPLACED = re.compile(
    r"Replacing ([0-9]{1,9}) out of ([0-9]{1,9}) node\(s\) with delegate \(([A-Za-z0-9_ ]+)\)"
    r"(?:.* for subgraph ([0-9]{1,9}))?"
)
_CREATED_XNNPACK = "Created TensorFlow Lite XNNPACK delegate for CPU"
_UNUSED_FLAGS = re.compile(r"Unconsumed cmdline flags: (.+)")
_BYTES_PER_MB = 1024 * 1024


class Delegation(Enum):
    """How much of the graph a delegate that was asked for took."""

    COMPLETE = "completely"
    PARTIAL = "partially"
    NONE = "not"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """Nodes of a subgraph that one delegate took over; a later delegate counts what an earlier one left."""

    delegate: str
    node_count: int
    of_count: int
    subgraph: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one run said. Times are nanoseconds; memory is bytes (the program's MB are MiB)."""

    init_ns: int | None = None
    first_inference_ns: int | None = None
    warmup_count: int | None = None
    warmup_mean_ns: int | None = None
    inference_count: int | None = None
    mean_ns: int | None = None
    median_ns: int | None = None
    peak_resident_bytes: int | None = None
    peak_growth_bytes: int | None = None
    delegations: tuple[tuple[str, Delegation], ...] = ()
    replaced: tuple[Replaced, ...] = ()
    created_xnnpack: bool = False
    unused_flags: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether the run came to its end: the timings are the last thing that is computed."""
        return self.mean_ns is not None


def parse_report(text: str) -> Report:
    """Return what the program printed; never raises."""
    stats = [_stats(match) for match in _STATS.finditer(text)]
    # Warm-up first, then the timed runs, then those of profilers; a run that was cut short has one of them.
    warmup, timed = (stats[0], stats[1]) if len(stats) > 1 else ({}, {})
    init_us, first_us, warmup_us, mean_us = _timings(text, warmup, timed)
    return Report(
        init_ns=_ns(init_us),
        first_inference_ns=_ns(first_us if first_us is not None else warmup.get("first", warmup.get("curr"))),
        warmup_count=_count(warmup),
        warmup_mean_ns=_ns(warmup_us),
        inference_count=_count(timed),
        mean_ns=_ns(mean_us),
        median_ns=_ns(timed.get("median")) if mean_us is not None else None,
        peak_resident_bytes=_bytes(_PEAK.search(text)),
        peak_growth_bytes=_bytes(_GROWTH.search(text)),
        delegations=_delegations(text),
        replaced=tuple(
            Replaced(delegate=match[3], node_count=int(match[1]), of_count=int(match[2]), subgraph=int(match[4] or 0))
            for match in _REPLACED.finditer(text)
        ),
        created_xnnpack=_CREATED_XNNPACK in text,
        unused_flags=_first_group(_UNUSED_FLAGS, text),
    )


def _timings(
    text: str, warmup_stats: dict[str, float], timed: dict[str, float]
) -> tuple[float | None, float | None, float | None, float | None]:
    """Return the microseconds of load, first inference, mean warm-up and mean inference."""
    if match := _TIMINGS.search(text):
        init, first, warmup, mean = (float(one) for one in match.groups())
        return init, first, warmup, mean
    if match := _OLD_TIMINGS.search(text):
        warmup, init, mean = (float(one) for one in match.groups())
        return init, None, warmup, mean
    if _LITERT_TIMINGS.search(text):
        session = _SESSION.search(text)
        init_us = float(session[1]) * 1000 if session else None
        return init_us, warmup_stats.get("first"), warmup_stats.get("avg"), timed.get("avg")
    return None, None, None, None


def _stats(match: re.Match[str]) -> dict[str, float]:
    return {"count": float(match[1])} | {key: float(value) for key, value in _PAIR.findall(match[2])}


def _count(stats: dict[str, float]) -> int | None:
    return int(stats["count"]) if stats else None


def _delegations(text: str) -> tuple[tuple[str, Delegation], ...]:
    applied = [(match[1], Delegation(match[2])) for match in _APPLIED.finditer(text)]
    return (*applied, *((match[1], Delegation.NONE) for match in _NOT_APPLIED.finditer(text)))


def _ns(microseconds: float | None) -> int | None:
    # A double of this size is exact to far below a nanosecond.
    return None if microseconds is None or microseconds > 1e15 else round(microseconds * 1000)


def _bytes(match: re.Match[str] | None) -> int | None:
    """Return the last figure that the line holds."""
    if match is None:
        return None
    mebibytes = float([group for group in match.groups() if group is not None][-1])
    return round(mebibytes * _BYTES_PER_MB) if mebibytes <= 1e9 else None


def _first_group(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match[1].strip() if match else ""

"""Series as the controller keeps them, as the analysis takes them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from steelyard.nightly.device_session import SENTINEL_MODEL
from steelyard.nightly.recording import EPOCH, SENTINEL_METRICS
from steelyard.series.device_judging import SentinelNight
from steelyard.series.history import History, history_of
from steelyard.series.series_key import SeriesKey
from steelyard_protocol.v1 import nightly_pb2

if TYPE_CHECKING:
    from steelyard.control.client import Client

# As far as the early warning and the localisation look back.
_LAST = 64
_LONGEST_PAST = 28


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeriesFacts:
    """A series with its history up to a night; ``environment_ids`` are one a night of the history, 0 for none."""

    key: SeriesKey
    series_id: int
    device: str
    unit: str
    history: History
    environment_ids: tuple[int, ...]
    first_night: int

    def environment_of(self, night: int) -> int:
        """Return the id of a night's environment, 0 where the night has none."""
        at = int(np.searchsorted(self.history.nights, night))
        is_there = at < self.history.count and int(self.history.nights[at]) == night
        return self.environment_ids[at] if is_there else 0


def read_facts(client: Client, suite_name: str, *, device_id: str = "", up_to_night: int) -> list[SeriesFacts]:
    """Return the series of a suite, of one device for its id, with their last nights."""
    chosen = nightly_pb2.SeriesFilter(suite_name=suite_name, device_id=device_id)
    return [_facts(one) for one in client.nightly.series.histories(chosen, up_to_night=up_to_night, last=_LAST)]


def _facts(one: nightly_pb2.SeriesHistory) -> SeriesFacts:
    key = one.series.key
    named = SeriesKey(
        suite=key.suite_name, model=key.model, device_id=key.device_id, runtime=key.runtime, metric=key.metric
    )
    texts = tuple(one.texts)
    history = history_of(
        named,
        one.night_numbers,
        [None if math.isnan(value) else value for value in one.values],
        [None if math.isnan(value) else value for value in one.sentinels],
        texts=texts,
    )
    return SeriesFacts(
        key=named,
        series_id=one.series.series_id,
        device=one.series.device_name,
        unit=key.unit,
        history=replace(history, accepted_index=min(one.accepted_index, history.count)),
        environment_ids=tuple(one.environment_ids),
        first_night=one.series.first_night,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SentinelNights:
    """A device's sentinel by night, and the frozen file and runtime that each night's is of."""

    nights: Mapping[int, SentinelNight]
    epochs: Mapping[int, str]

    def past(self, night: int, *, since: int = 0) -> list[SentinelNight]:
        """Return the nights before one that can be compared with it, oldest first."""
        epoch = self.epochs.get(night, "")
        return [
            one
            for number, one in sorted(self.nights.items())
            if since <= number < night and self.epochs.get(number) == epoch
        ]

    def tonight(self, night: int) -> SentinelNight:
        """Return a night's, with nothing in it where it was not measured."""
        return self.nights.get(night, SentinelNight(start_ns=None, end_ns=None))


def sentinel_nights(facts: Iterable[SeriesFacts], environments: Mapping[int, Mapping[str, str]]) -> SentinelNights:
    """Return the sentinel of the device that the series are of."""
    found: dict[str, dict[int, float]] = {"start": {}, "end": {}}
    epochs: dict[int, str] = {}
    ends = {metric: end for end, metric in SENTINEL_METRICS.items()}
    for one in facts:
        if one.key.model != SENTINEL_MODEL or one.key.metric not in ends:
            continue
        for night, value, environment_id in zip(
            one.history.nights.tolist(), one.history.values.tolist(), one.environment_ids, strict=True
        ):
            found[ends[one.key.metric]][night] = value
            epochs[night] = environments.get(environment_id, {}).get(EPOCH, "")
    nights = {
        night: SentinelNight(start_ns=found["start"].get(night), end_ns=found["end"].get(night)) for night in epochs
    }
    return SentinelNights(nights=nights, epochs=epochs)


def accepted_sentinel_night(facts: Iterable[SeriesFacts]) -> int:
    """Return the first night since which the device's own state was accepted, 0 where it never was."""
    accepted = [
        int(one.history.nights[one.history.accepted_index])
        for one in facts
        if one.key.model == SENTINEL_MODEL and 0 < one.history.accepted_index < one.history.count
    ]
    return max(accepted, default=0)


def freed_of_other_sentinels(history: History, epochs: Mapping[int, str], night: int) -> History:
    """Return a history without its sentinels where they are not all of tonight's frozen file and runtime.

    Across an upgrade of the sentinel's runtime the sentinel changes with what is to be judged, and would hide it: then
    the plain values are compared, until no night that they are compared with is from before it.
    """
    recent = history.nights[max(history.accepted_index, history.count - 1 - _LONGEST_PAST) :].tolist()
    tonight = epochs.get(night, "")
    if tonight and all(epochs.get(number, tonight) == tonight for number in recent):
        return history
    return replace(history, sentinels=np.full(history.count, np.nan))


def without_bad_nights(history: History, first_bad: int, night: int) -> History:
    """Return a history without the nights of an open alert before tonight's: what was good stays what is compared with.

    Otherwise a regression that nobody fixes would become the baseline, and its alert would end as fixed.
    """
    kept = (history.nights < first_bad) | (history.nights >= night)
    return History(
        key=history.key,
        nights=history.nights[kept],
        values=history.values[kept],
        sentinels=history.sentinels[kept],
        texts=tuple(text for text, keep in zip(history.texts, kept.tolist(), strict=False) if keep),
        accepted_index=int(np.count_nonzero(kept[: history.accepted_index])),
    )

"""The nights of one series as arrays, oldest first; nights without a value are not among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.series.device_share import device_share
from steelyard.series.metric_rules import MetricKind, MetricRule, SentinelUse
from steelyard.series.series_key import SeriesKey


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """What a series was in every night that measured it.

    ``nights`` [N] rise; ``values`` [N] are in the metric's unit; ``sentinels`` [N] are the sentinel's p50 in ns in the
    same nights, NaN where it was not measured. ``texts`` [N] are the values of exact metrics that are no numbers, whose
    ``values`` are NaN; empty for all other metrics. The nights from ``accepted_index`` on are those since the last
    accepted change; N where the change was accepted after the last of them.
    """

    key: SeriesKey
    nights: NDArray[np.int64]
    values: NDArray[np.float64]
    sentinels: NDArray[np.float64]
    texts: tuple[str, ...] = ()
    accepted_index: int = 0

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong together."""
        count = self.nights.size
        if self.nights.shape != (count,) or self.values.shape != (count,) or self.sentinels.shape != (count,):
            raise ValueError(
                f"{self.key.words}: nights, values and sentinels are one each a night, not "
                f"{self.nights.shape}, {self.values.shape} and {self.sentinels.shape}"
            )
        if self.texts and len(self.texts) != count:
            raise ValueError(f"{self.key.words}: {len(self.texts)} texts for {count} nights")
        if np.any(np.diff(self.nights) <= 0):
            raise ValueError(f"{self.key.words}: nights rise, unlike {self.nights.tolist()}")
        if not self.texts and not np.all(np.isfinite(self.values)):
            raise ValueError(f"{self.key.words}: a night without a value is left out, not NaN")
        if not 0 <= self.accepted_index <= count:
            raise ValueError(f"{self.key.words}: {self.accepted_index} is no index into {count} nights")

    @property
    def count(self) -> int:
        """How many nights have a value."""
        return int(self.nights.size)

    @property
    def last_night(self) -> int | None:
        """The number of the last night with a value, None where there is none."""
        return int(self.nights[-1]) if self.count else None

    def recent(self) -> History:
        """Return the nights since the last accepted change."""
        return self._part(slice(self.accepted_index, None))

    def up_to(self, night: int) -> History:
        """Return the nights up to and including ``night``."""
        end = int(np.searchsorted(self.nights, night, side="right"))
        return self._part(slice(0, end), accepted_index=min(self.accepted_index, end))

    def _part(self, part: slice, accepted_index: int = 0) -> History:
        return History(
            key=self.key,
            nights=self.nights[part],
            values=self.values[part],
            sentinels=self.sentinels[part],
            texts=self.texts[part],
            accepted_index=accepted_index,
        )


def history_of(
    key: SeriesKey,
    nights: Sequence[int],
    values: Sequence[float | None],
    sentinels: Sequence[float | None] = (),
    *,
    texts: Sequence[str | None] = (),
    accepted_night: int | None = None,
) -> History:
    """Return a history from what is recorded; nights without a value are left out.

    Args:
        key: Of the series.
        nights: Their numbers, rising.
        values: One a night, None for a gap; all None where ``texts`` are given.
        sentinels: One a night, None where the sentinel was not measured; empty where it never was.
        texts: One a night for exact metrics that are no numbers, None for a gap.
        accepted_night: The first night of the level that was last accepted; None where no change ever was.

    Raises:
        ValueError: they do not belong together.
    """
    known = texts or values
    kept = [index for index, one in enumerate(known) if one is not None]
    numbers = np.array([nights[index] for index in kept], dtype=np.int64)
    return History(
        key=key,
        nights=numbers,
        values=_numbers(values, kept) if not texts else np.full(len(kept), np.nan),
        sentinels=_numbers(sentinels, kept) if sentinels else np.full(len(kept), np.nan),
        texts=tuple(one for one in texts if one is not None),
        accepted_index=0 if accepted_night is None else int(np.searchsorted(numbers, accepted_night)),
    )


def normalised_logs(history: History, rule: MetricRule) -> NDArray[np.float64]:
    """Return the natural logs of the values, freed of what the device did where the rule says so and it is known.

    The sentinel counts, by the share that the series feels of it (``device_share``), where tonight has one; nights
    without are NaN then, since they cannot be compared. Without one tonight, the plain logs are compared. Values that
    have no logarithm (0 and below) are NaN.
    """
    if rule.kind is not MetricKind.CONTINUOUS:
        raise ValueError(f"{history.key.words}: only values with noise are compared on the log scale")
    logs = _logs(history.values)
    if rule.sentinel is SentinelUse.NONE or not history.count or not np.isfinite(history.sentinels[-1]):
        return logs
    device = _logs(history.sentinels) * (1.0 if rule.sentinel is SentinelUse.DIVIDE else -1.0)
    return logs - device_share(logs[:-1], device[:-1]) * device


def _numbers(values: Sequence[float | None], kept: Sequence[int]) -> NDArray[np.float64]:
    return np.array([np.nan if (one := values[index]) is None else one for index in kept], dtype=np.float64)


def _logs(values: NDArray[np.float64]) -> NDArray[np.float64]:
    logs = np.full(values.shape, np.nan)
    np.log(values, out=logs, where=np.isfinite(values) & (values > 0.0))
    return logs

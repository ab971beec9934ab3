"""What a series was in each of its last nights, and what changed about it: made of what a controller keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from steelyard.attribution.differences import differences, words_of
from steelyard.stats.formatting import format_value
from steelyard_protocol.v1 import nightly_pb2

# Every place is compared with every other one: of 4,000 nights it would take half a minute.
_MOST_LOCATED = 200


class ChangeKind(Enum):
    """What a change of a series is."""

    # Somebody said that the level is meant.
    ACCEPTED = "accepted"
    DEVICE_REPLACED = "device_replaced"
    # What it was measured in differs from the night before.
    ENVIRONMENT = "environment"
    # Where the analysis sees another level.
    LEVEL = "level"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesNight:
    """A night of a series: a value, a text, or a gap with its reason. ``day`` is "2026-11-28", "" where not known."""

    number: int
    day: str
    value: float | None = None
    text: str = ""
    gap_reason: str = ""
    low: float | None = None
    high: float | None = None
    round_count: int = 0
    job_id: str = ""
    environment_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesChange:
    """Something that is so from a night on."""

    night: int
    kind: ChangeKind
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesStory:
    """A series with its nights, oldest first, and its changes among them."""

    suite: str
    model: str
    device: str
    device_id: str
    runtime: str
    metric: str
    unit: str
    nights: tuple[SeriesNight, ...]
    changes: tuple[SeriesChange, ...]
    # The first night of the level that was accepted last, 0 where none ever was.
    accepted_night: int = 0

    @property
    def title(self) -> str:
        """Return "p50 of mobilenet on pi5 (onnxruntime)"."""
        return f"{self.metric} of {self.model} on {self.device or self.device_id} ({self.runtime})"

    @property
    def gaps(self) -> tuple[SeriesNight, ...]:
        """The nights that have neither a value nor a text."""
        return tuple(one for one in self.nights if one.gap_reason)

    @property
    def values(self) -> tuple[float, ...]:
        """The values, oldest first, without gaps."""
        return tuple(one.value for one in self.nights if one.value is not None)


def tell(
    series: nightly_pb2.Series,
    points: Sequence[nightly_pb2.Point],
    *,
    environments: Mapping[int, Mapping[str, str]],
    days: Mapping[int, str],
) -> SeriesStory:
    """Return the story of a series.

    Args:
        series: Whose it is.
        points: Its last nights, the newest first, as a controller lists them.
        environments: Those that the points name, by id.
        days: On which day nights were, by number, as far as it is known.
    """
    nights = tuple(_night(one, days.get(one.night_number, "")) for one in reversed(points))
    first = nights[0].number if nights else 0
    changes = [*_marks(series), *_environment_changes(nights, environments), *_levels(series, points)]
    return SeriesStory(
        suite=series.key.suite_name,
        model=series.key.model,
        device=series.device_name,
        device_id=series.key.device_id,
        runtime=series.key.runtime,
        metric=series.key.metric,
        unit=series.key.unit,
        nights=nights,
        changes=tuple(sorted((one for one in changes if one.night >= first), key=lambda one: one.night)),
        accepted_night=series.accepted_night,
    )


def night_text(night: SeriesNight, unit: str) -> str:
    """Return what a night was, for people: "21.3 ms", a text, or why there is nothing."""
    if night.value is not None:
        return format_value(night.value, unit)
    return night.text or f"not measured: {night.gap_reason}"


def _night(point: nightly_pb2.Point, day: str) -> SeriesNight:
    return SeriesNight(
        number=point.night_number,
        day=day,
        value=point.value if point.HasField("value") else None,
        text=point.text,
        gap_reason=point.gap_reason,
        low=point.low if point.HasField("low") else None,
        high=point.high if point.HasField("high") else None,
        round_count=point.round_count,
        job_id=point.job_id,
        environment_id=point.environment_id,
    )


def _marks(series: nightly_pb2.Series) -> Iterator[SeriesChange]:
    known = {one.value: one for one in ChangeKind}
    for mark in series.marks:
        if mark.kind in known:
            who = f"accepted by {mark.who or 'somebody'}: " if mark.kind == ChangeKind.ACCEPTED.value else ""
            yield SeriesChange(night=mark.night_number, kind=known[mark.kind], words=who + mark.message)


def _environment_changes(
    nights: Sequence[SeriesNight], environments: Mapping[int, Mapping[str, str]]
) -> Iterator[SeriesChange]:
    """Yield what differs from the last night with a known environment."""
    before = 0
    for night in nights:
        after = night.environment_id
        if after not in environments or after == before:
            continue
        if before:
            found = differences(environments[before], environments[after])
            words = "; ".join(words_of(one) for one in found)
            yield SeriesChange(night=night.number, kind=ChangeKind.ENVIRONMENT, words=words)
        before = after


def _levels(series: nightly_pb2.Series, points: Sequence[nightly_pb2.Point]) -> Iterator[SeriesChange]:
    """Yield where the level of a metric with noise changed among the newest nights, located as the analysis does."""
    import numpy as np

    from steelyard.series.history import history_of, normalised_logs
    from steelyard.series.localisation import change_points
    from steelyard.series.metric_rules import METRIC_RULES, MetricKind
    from steelyard.series.series_key import SeriesKey

    rule = METRIC_RULES.get(series.key.metric)
    measured = [one for one in points if one.HasField("value")][:_MOST_LOCATED][::-1]
    if rule is None or rule.kind is not MetricKind.CONTINUOUS or not measured:
        return
    names = {name: getattr(series.key, name) for name in ("model", "device_id", "runtime", "metric")}
    history = history_of(
        SeriesKey(suite=series.key.suite_name, **names),
        [one.night_number for one in measured],
        [one.value for one in measured],
        [one.sentinel if one.HasField("sentinel") else None for one in measured],
    )
    logs = normalised_logs(history, rule)
    known = np.flatnonzero(np.isfinite(logs))
    for change in change_points(logs[known], least_size=float(np.log1p(rule.minimum_effect))):
        night = int(history.nights[known[change.index]])
        words = f"another level from here on: {np.expm1(change.size):+.1%}".replace("%", " %")
        yield SeriesChange(night=night, kind=ChangeKind.LEVEL, words=words)

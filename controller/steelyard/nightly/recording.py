"""What a device's session comes to as points of its series: values, and gaps with their reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from steelyard.nightly.cell_values import CellValue, cell_values
from steelyard.nightly.device_session import SENTINEL_MODEL
from steelyard.nightly.environment import environment_of
from steelyard.nightly.notes import CellNote, CellState, SentinelNote
from steelyard.nightly.runs import RunningNight
from steelyard.series.device_judging import SentinelNight
from steelyard.suites.cells import Cell, NightDevice
from steelyard_protocol.v1 import measurement_pb2, nightly_pb2

if TYPE_CHECKING:
    from steelyard.control.client import Client

# The sentinel's own series, and what its environment says of the frozen file and runtime.
SENTINEL_METRICS = {"start": "sentinel_start", "end": "sentinel_end"}
EPOCH = "sentinel_epoch"


@dataclass(slots=True, kw_only=True)
class _Points:
    """Points with their environments, each of which is sent once."""

    points: list[nightly_pb2.Point] = field(default_factory=list)
    environments: list[Mapping[str, str]] = field(default_factory=list)

    def environment(self, entries: Mapping[str, str]) -> int:
        """Return the index of an environment, counted from 1."""
        self.environments.append(entries)
        return len(self.environments)


def record_device(
    client: Client,
    running: RunningNight,
    device: NightDevice,
    notes: Mapping[Cell, CellNote],
    sentinels: Mapping[str, SentinelNote],
) -> None:
    """Record the points of one device's session; what was recorded before stays as it is.

    Figures follow from the recorded rounds of each cell's job, so that a night that was interrupted between a job and
    its points loses nothing.
    """
    made = _Points()
    known = _known_metrics(client, running, device)
    _add_sentinel(made, running, device, sentinels)
    night = SentinelNight(
        start_ns=_p50(sentinels, "start"),
        end_ns=_p50(sentinels, "end"),
    )
    total_s = max((note.began_s + note.device_s for note in notes.values()), default=0.0)
    for cell, note in notes.items():
        if note.state is CellState.MEASURED:
            place = (note.began_s + note.device_s / 2) / total_s if total_s else 0.0
            level = night.level_at(min(1.0, place))
            _add_cell(made, client, running, cell, note, sentinel_ns=level, known=known.get(cell, frozenset()))
        else:
            for metric, unit in sorted(known.get(cell, frozenset())):
                made.points.append(_gap(running, cell, metric, unit, note.reason or "not measured tonight"))
    client.nightly.series.record(running.night.night_id, made.points, made.environments)


def _p50(sentinels: Mapping[str, SentinelNote], end: str) -> float | None:
    note = sentinels.get(end)
    return None if note is None else note.p50_ns


def _known_metrics(
    client: Client, running: RunningNight, device: NightDevice
) -> dict[Cell, frozenset[tuple[str, str]]]:
    """Return the metrics, with their units, of which a cell has a series already: where a gap is worth a word."""
    chosen = nightly_pb2.SeriesFilter(suite_name=running.suite.name, device_id=device.device_id)
    found: dict[Cell, set[tuple[str, str]]] = {}
    for one in client.nightly.series.find(chosen):
        cell = Cell(model=one.key.model, device_id=one.key.device_id, runtime=one.key.runtime)
        found.setdefault(cell, set()).add((one.key.metric, one.key.unit))
    return {cell: frozenset(metrics) for cell, metrics in found.items()}


def _add_sentinel(
    made: _Points, running: RunningNight, device: NightDevice, sentinels: Mapping[str, SentinelNote]
) -> None:
    cell = Cell(model=SENTINEL_MODEL, device_id=device.device_id, runtime=running.suite.sentinel_runtime)
    for end, note in sentinels.items():
        value = CellValue(metric=SENTINEL_METRICS[end], unit="ns", value=note.p50_ns, reason=note.reason)
        if note.p50_ns is None:
            made.points.append(_gap(running, cell, value.metric, "ns", note.reason or "not measured tonight"))
            continue
        point = _point(running, cell, value, note.job_id)
        point.environment_index = made.environment({EPOCH: note.epoch, "artifact": note.epoch.partition(" ")[0]})
        made.points.append(point)


def _add_cell(
    made: _Points,
    client: Client,
    running: RunningNight,
    cell: Cell,
    note: CellNote,
    *,
    sentinel_ns: float | None,
    known: Iterable[tuple[str, str]],
) -> None:
    measurement = client.measurement(note.job_id).measurement
    variant = measurement.variants[0]
    model = running.models[cell.model]
    metric = measurement.metric if measurement.HasField("metric") else None
    # The rule of a metric decides whether it is judged; what a suite leaves out is recorded all the same.
    values = cell_values(variant, metric, mac_count=model.mac_count)
    entries = _environment(client, running, measurement, note)
    index = made.environment(entries)
    for value in values.values():
        if value.value is None and not value.text:
            continue
        point = _point(running, cell, value, note.job_id)
        point.environment_index = index
        if sentinel_ns is not None:
            point.sentinel = sentinel_ns
        made.points.append(point)
    for name, unit in sorted(known):
        told = values.get(name)
        if told is None or (told.value is None and not told.text):
            reason = told.reason if told is not None and told.reason else f"{name} was not told this time"
            made.points.append(_gap(running, cell, name, unit, reason))


def _environment(
    client: Client, running: RunningNight, measurement: measurement_pb2.Measurement, note: CellNote
) -> dict[str, str]:
    return environment_of(
        measurement,
        measurement.variants[0],
        client.artifact(note.artifact_digest),
        agent_version=running.agents.get(measurement.device.device_id, ""),
    )


def _key(running: RunningNight, cell: Cell, metric: str, unit: str) -> nightly_pb2.SeriesKey:
    return nightly_pb2.SeriesKey(
        suite_name=running.suite.name,
        model=cell.model,
        device_id=cell.device_id,
        runtime=cell.runtime,
        metric=metric,
        unit=unit,
    )


def _point(running: RunningNight, cell: Cell, value: CellValue, job_id: str) -> nightly_pb2.Point:
    point = nightly_pb2.Point(
        key=_key(running, cell, value.metric, value.unit), text=value.text, round_count=value.rounds, job_id=job_id
    )
    if value.value is not None:
        point.value = value.value
    if value.low is not None and value.high is not None:
        point.low, point.high = value.low, value.high
    return point


def _gap(running: RunningNight, cell: Cell, metric: str, unit: str, reason: str) -> nightly_pb2.Point:
    return nightly_pb2.Point(key=_key(running, cell, metric, unit), gap_reason=reason)

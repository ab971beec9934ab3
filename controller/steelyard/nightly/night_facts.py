"""All that a night recorded, read back once: its document is a function of this."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from steelyard.errors import SteelyardError
from steelyard.nightly.alert_messages import alert_of, silence_of
from steelyard.nightly.errors import is_gone
from steelyard.nightly.histories import SeriesFacts, read_facts
from steelyard.nightly.night_report import NightReport
from steelyard.nightly.notes import (
    CELL,
    CONFIRMATION,
    ENDED_ALERTS,
    MODEL,
    NOTIFICATION,
    SENTINEL,
    SESSION,
    CellNote,
    ConfirmationNote,
    EndedAlertsNote,
    Journal,
    ModelNote,
    SentinelNote,
    SessionNote,
)
from steelyard.nightly.report_json import from_json
from steelyard.nightly.runs import RunningNight
from steelyard.suites.cells import Cell, NightDevice, UnmetDevice
from steelyard.triage.alert import Alert
from steelyard.triage.silence import Silence

if TYPE_CHECKING:
    from steelyard.control.client import Client
    from steelyard_protocol.v1 import nightly_pb2

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class NightFacts:
    """A night at its end.

    ``cells`` are by their keys; ``unmet`` are devices of the suite that the controller does not have. ``gaps`` are the
    reasons of metrics that measured cells lack. ``failed_before`` are the previous night's channels that failed, with
    the reason. ``alerts`` are the open ones, and those that this night ended when it was told before.
    """

    running: RunningNight
    now: datetime
    controller: str
    devices: Sequence[NightDevice]
    unmet: Sequence[UnmetDevice]
    cells: Mapping[str, Cell]
    notes: Mapping[str, CellNote]
    sessions: Mapping[str, SessionNote]
    sentinels: Mapping[str, SentinelNote]
    confirmations: Mapping[str, ConfirmationNote]
    models: Mapping[str, ModelNote]
    series: Sequence[SeriesFacts]
    environments: Mapping[int, Mapping[str, str]]
    alerts: Sequence[Alert] = ()
    silences: Sequence[Silence] = ()
    gaps: Mapping[tuple[str, str, str, str], str] = field(default_factory=dict)
    previous_report: NightReport | None = None
    failed_before: Mapping[str, str] = field(default_factory=dict)
    invalid_alert_count: int = 0

    def device_name(self, device_id: str) -> str:
        """Return a device's name, its id where nobody knows it by one."""
        named = (one.name for one in self.devices if one.device_id == device_id)
        return (
            next(named, "")
            or next((one.device for one in self.series if one.key.device_id == device_id), "")
            or device_id
        )

    @property
    def number(self) -> int:
        """The night's number."""
        return self.running.night.night_number


def read_night(
    client: Client,
    running: RunningNight,
    *,
    devices: Sequence[NightDevice],
    unmet: Sequence[UnmetDevice],
    cells: Sequence[Cell],
) -> NightFacts:
    """Read all that the night recorded, with the histories of its series."""
    night, suite = running.night, running.suite
    journal = Journal(client.nightly, night.night_id)
    series = read_facts(client, suite.name, up_to_night=night.night_number)
    gaps = {
        (one.key.model, one.key.device_id, one.key.runtime, one.key.metric): one.gap_reason
        for one in client.nightly.series.night_points(night.night_id)
        if one.gap_reason
    }
    return NightFacts(
        running=running,
        now=running.clock.now(),
        controller=client.controller().controller_id,
        devices=devices,
        unmet=unmet,
        cells={cell.key: cell for cell in cells},
        notes=journal.all(CELL, CellNote),
        sessions=journal.all(SESSION, SessionNote),
        sentinels=journal.all(SENTINEL, SentinelNote),
        confirmations=journal.all(CONFIRMATION, ConfirmationNote),
        models=journal.all(MODEL, ModelNote),
        series=series,
        environments=client.nightly.series.environments(_recent_environments(series)),
        alerts=_alerts(client, suite.name, journal),
        silences=[silence_of(one) for one in client.nightly.alerts.silences(active_only=True)],
        gaps=gaps,
        previous_report=_previous_report(client, running.previous),
        failed_before=_failed_notifications(client, running.previous),
        invalid_alert_count=len(client.nightly.alerts.find(suite.name, states=["invalid"])),
    )


def _alerts(client: Client, suite_name: str, journal: Journal) -> list[Alert]:
    """Return the open alerts, behind those that this night ended already, before it was interrupted."""
    still_open = [alert_of(one) for one in client.nightly.alerts.find(suite_name, open_only=True)]
    notes = journal.all(ENDED_ALERTS, EndedAlertsNote).values()
    ended_ids = {alert_id for note in notes for alert_id in note.alert_ids} - {one.alert_id for one in still_open}
    return [*(alert_of(client.nightly.alerts.get(alert_id)) for alert_id in sorted(ended_ids)), *still_open]


def _recent_environments(series: Sequence[SeriesFacts]) -> list[int]:
    """Return the ids of every environment of the histories; series of one cell share theirs."""
    return sorted({one for facts in series for one in facts.environment_ids})


def _previous_report(client: Client, previous: nightly_pb2.Night | None) -> NightReport | None:
    """Return the document of the night before, None where it cannot be read: it is of another version, say."""
    if previous is None or not previous.report_digest:
        return None
    try:
        return from_json(client.nightly.report(previous).decode())
    except SteelyardError as error:
        if is_gone(error):
            raise
        _log.warning("the report of night %d cannot be read: %s", previous.night_number, error)
        return None


def _failed_notifications(client: Client, previous: nightly_pb2.Night | None) -> dict[str, str]:
    if previous is None:
        return {}
    told: Mapping[str, Any] = client.nightly.items(previous.night_id, NOTIFICATION)
    return {channel: str(note.get("reason", "")) for channel, note in told.items() if not note.get("is_sent", True)}

"""What goes on at a controller, on one screen: renderables for rich; nothing is printed here."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from steelyard.job_states import FINAL_STATES
from steelyard.report.listings import age_text, device_state, plain_table, seen_text
from steelyard.report.plain import to_plain
from steelyard.stats.formatting import format_value
from steelyard_protocol.v1 import control_pb2

_SHORT_ID = 8
_WAITING = frozenset({control_pb2.JOB_STATE_QUEUED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A controller at one moment."""

    controller_id: str
    devices: Sequence[control_pb2.Device]
    # Newest first; those in a final state are left out when this is shown.
    jobs: Sequence[control_pb2.Job]
    # The last line of each unfinished job's log, by its id.
    last_events: Mapping[str, control_pb2.JobEvent] = field(default_factory=dict)

    @property
    def unfinished(self) -> list[control_pb2.Job]:
        """The jobs in no final state, the oldest first."""
        return [job for job in reversed(self.jobs) if job.state not in FINAL_STATES]


def scene_to_plain(scene: Scene) -> dict[str, Any]:
    """Return a scene as JSON-ready data."""
    return {
        "controller_id": scene.controller_id,
        "devices": [to_plain(one) for one in scene.devices],
        "jobs": [
            {
                "job": to_plain(job),
                "last_event": to_plain(scene.last_events[job.job_id]) if job.job_id in scene.last_events else None,
            }
            for job in scene.unfinished
        ],
    }


def render_scene(scene: Scene, *, now: dt.datetime) -> RenderableType:
    """Return devices and unfinished jobs for 80 columns; ``now`` has a time zone."""
    return Group(_summary(scene), Text(), _devices(scene, now), Text(), _jobs(scene, now))


def _summary(scene: Scene) -> Text:
    connected = sum(one.online for one in scene.devices)
    waiting = sum(job.state in _WAITING for job in scene.unfinished)
    running = len(scene.unfinished) - waiting
    return Text(
        f"controller {scene.controller_id[:_SHORT_ID]}: {connected} of {len(scene.devices)} devices connected, "
        f"{running} jobs run, {waiting} wait"
    )


def _devices(scene: Scene, now: dt.datetime) -> RenderableType:
    if not scene.devices:
        return Text("no device has connected yet; `steelyard device invite` lets one in", style="dim")
    table = plain_table()
    for name in ("device", "state", "job", "heat", "free disk", "seen"):
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    for one in scene.devices:
        table.add_row(
            Text(one.description.name),
            device_state(one),
            Text(one.running_job_id[:_SHORT_ID]),
            Text(_heat(one)),
            Text(format_value(one.free_disk_bytes, "B") if one.free_disk_bytes else ""),
            Text(seen_text(one, now)),
        )
    return table


def _jobs(scene: Scene, now: dt.datetime) -> RenderableType:
    if not scene.unfinished:
        return Text("no job runs or waits", style="dim")
    table = plain_table()
    # The log's line takes what is left, and nothing from what cannot be guessed when it is cut.
    for name, min_width in (("job", _SHORT_ID), ("what", 6), ("device", 6), ("state", 9), ("done", 5), ("since", 10)):
        table.add_column(name, no_wrap=True, overflow="ellipsis", min_width=min_width)
    table.add_column("last", no_wrap=True, overflow="ellipsis", ratio=1)
    for job in scene.unfinished:
        event = scene.last_events.get(job.job_id, control_pb2.JobEvent())
        state = control_pb2.JobState.Name(job.state).removeprefix("JOB_STATE_").lower()
        table.add_row(
            *(Text(text) for text in (job.job_id[:_SHORT_ID], job.title, job.device, state, _progress(event))),
            Text(age_text(job.created_at, now) if job.HasField("created_at") else ""),
            Text(event.message),
        )
    return table


def _heat(device: control_pb2.Device) -> str:
    found = [one.value for one in device.heartbeat_readings if one.unit == "Cel" and one.HasField("value")]
    return f"{max(found):.0f} °C" if found else ""


def _progress(event: control_pb2.JobEvent) -> str:
    return f"{min(event.done, event.total) * 100 // event.total} %" if event.total else ""

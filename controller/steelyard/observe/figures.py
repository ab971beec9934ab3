"""The figures of a controller at one moment: plain values, taken on its event loop."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steelyard.job_states import FINAL_STATES
from steelyard.store.store import Store
from steelyard_protocol.v1 import common_pb2, control_pb2, health_pb2

if TYPE_CHECKING:
    from steelyard.control.controller import Controller
    from steelyard.fleet.registry import Presence

# A label with as many values as a fleet has devices: beyond these, what is not told by name is counted.
MAX_NAMED_DEVICES = 1000
# What a heartbeat says; whatever else a device calls its activity is "other", so that it cannot make up series.
ACTIVITIES = ("idle", "staging", "running")
OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFigures:
    """A device that is connected."""

    name: str
    # Since the epoch.
    last_seen_s: float
    free_disk_bytes: int
    running: bool
    # The hottest sensor; None where none was read.
    temperature_cel: float | None
    # The device's clock less the controller's, and within what; None where that is not known.
    clock_offset_s: float | None
    clock_uncertainty_s: float | None
    # None where the device does not tell.
    under_voltage: bool | None
    boot_count: int
    restart_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Counts and sizes of a controller."""

    version: str
    # By "measurement" or "compression" and the state in small letters.
    unfinished_jobs: Mapping[tuple[str, str], int]
    finished_jobs: Mapping[tuple[str, str], int]
    known_device_count: int
    # By activity.
    connected_devices: Mapping[str, int]
    devices: tuple[DeviceFigures, ...]
    unnamed_device_count: int
    recorded_round_count: int
    artifact_count: int
    database_bytes: int
    state_free_bytes: int
    waiting_store_calls: int


async def take_figures(controller: Controller, version: str) -> Figures:
    """Ask the store and the fleet; awaited on the controller's event loop.

    Raises:
        StoreError: The database failed, or is closed.
    """
    counts = await controller.store.call(Store.counts)
    present = sorted(controller.fleet.present(), key=lambda one: one.link.name)
    unfinished: dict[tuple[str, str], int] = {}
    finished: dict[tuple[str, str], int] = {}
    for (kind, state), number in counts.jobs.items():
        where = finished if state in FINAL_STATES else unfinished
        where[_word("JOB_KIND", kind), _word("JOB_STATE", state)] = number
    connected = Counter(one.activity if one.activity in ACTIVITIES else OTHER for one in present)
    database = controller.state_directory / "steelyard.sqlite3"
    return Figures(
        version=version,
        unfinished_jobs=unfinished,
        finished_jobs=finished,
        known_device_count=counts.devices,
        connected_devices={activity: connected[activity] for activity in (*ACTIVITIES, OTHER)},
        devices=tuple(
            _device_figures(one, controller.health.of(one.link.device_id) or health_pb2.DeviceHealth())
            for one in present[:MAX_NAMED_DEVICES]
        ),
        unnamed_device_count=max(0, len(present) - MAX_NAMED_DEVICES),
        recorded_round_count=counts.rounds,
        artifact_count=counts.artifacts,
        database_bytes=database.stat().st_size,
        state_free_bytes=shutil.disk_usage(controller.state_directory).free,
        waiting_store_calls=controller.store.waiting_call_count(),
    )


def _device_figures(presence: Presence, health: health_pb2.DeviceHealth) -> DeviceFigures:
    knows_offset = health.HasField("clock_offset_ms")
    knows_uncertainty = health.HasField("clock_uncertainty_ms")
    return DeviceFigures(
        name=presence.link.name,
        last_seen_s=presence.last_seen_ns / 1e9,
        free_disk_bytes=presence.free_disk_bytes,
        running=bool(presence.lease.job_id),
        temperature_cel=hottest_cel(presence.readings),
        clock_offset_s=health.clock_offset_ms / 1e3 if knows_offset else None,
        clock_uncertainty_s=health.clock_uncertainty_ms / 1e3 if knows_uncertainty else None,
        under_voltage=health.under_voltage if health.HasField("under_voltage") else None,
        boot_count=health.boot_count,
        restart_count=health.restart_count,
    )


def hottest_cel(readings: Iterable[common_pb2.Reading]) -> float | None:
    """Return the highest temperature in degrees Celsius among readings; None without one."""
    return max((one.value for one in readings if one.unit == "Cel" and one.HasField("value")), default=None)


def _word(prefix: str, number: int) -> str:
    """Return "measurement" for JOB_KIND_MEASUREMENT; "other" for a number of a later program."""
    names = control_pb2.JobKind if prefix == "JOB_KIND" else control_pb2.JobState
    if number not in names.values():
        return OTHER
    return names.Name(number).removeprefix(f"{prefix}_").lower()  # type: ignore[arg-type]

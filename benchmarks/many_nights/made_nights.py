"""A controller's database with many nights of 5,000 series, as a suite that ran each night would have left it.

Night after night in the order in which a suite records, so that the pages of a series lie as far apart in the file as
they do after years. Interrupted, the same call goes on.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.progress import say
from steelyard.store.store import Store
from steelyard_protocol.v1 import common_pb2, control_pb2, nightly_pb2

SUITE = "shelf"
DEVICE_COUNT, MODEL_COUNT = 25, 25
METRICS = ("p50", "p95", "peak_rss", "energy", "load", "accuracy", "size", "macs")
SERIES_COUNT = DEVICE_COUNT * MODEL_COUNT * len(METRICS)
# What of a device and a model changes after so many nights: each makes another environment.
_MODEL_NIGHTS, _RUNTIME_NIGHTS, _KERNEL_NIGHTS = 30, 45, 60
_GAP_SHARE = 0.02
_ALERT_NIGHTS = 7
_ITEM_NIGHTS = 90
_NIGHTS_A_COMMIT = 100
_FIRST_NS, _DAY_NS = 1_480_000_000 * 10**9, 86_400 * 10**9
_MEGABYTES_OF_CACHE = 2_000
_COLUMNS = (
    "series_number, night_number, value, text_number, gap_number, low, high, sentinel, round_count, "
    "environment_number, job_number"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A model on a device, and the number of its first series."""

    device: int
    model: int
    first_series: int


def cells() -> Iterator[Cell]:
    """Yield the cells of the suite."""
    for index in range(DEVICE_COUNT * MODEL_COUNT):
        device, model = divmod(index, MODEL_COUNT)
        yield Cell(device=device, model=model, first_series=1 + index * len(METRICS))


def device_id(device: int) -> str:
    """Return the id of a device."""
    return f"device-{device:04}"


def make_nights(path: Path, night_count: int) -> None:
    """Bring the database at ``path`` to ``night_count`` nights."""
    path.parent.mkdir(parents=True, exist_ok=True)
    store = Store(path)
    for device in range(DEVICE_COUNT):
        store.put_device(common_pb2.DeviceDescription(device_id=device_id(device), name=f"pi-{device:02}"), "0.1.0")
    store.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        # Nobody needs the file of a benchmark after a power cut.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(f"PRAGMA cache_size = -{_MEGABYTES_OF_CACHE * 1000}")
        begun = connection.execute("SELECT coalesce(max(night_number), 0) FROM nights").fetchone()[0]
        if not begun:
            _begin(connection)
        for first in range(begun + 1, night_count + 1, _NIGHTS_A_COMMIT):
            last = min(first + _NIGHTS_A_COMMIT - 1, night_count)
            connection.execute("BEGIN IMMEDIATE")
            for night in range(first, last + 1):
                _add_night(connection, night, night_count)
            connection.execute("UPDATE series SET last_night = ?", (last,))
            connection.execute("COMMIT")
            say(f"{path.parent.name}: {last} of {night_count} nights are made")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def drop_nights_after(path: Path, night_count: int) -> None:
    """Remove the nights that a measurement of recording added."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            "DELETE FROM points WHERE night_number > ? AND series_number IN (SELECT number FROM series)", (night_count,)
        )
        connection.execute("DELETE FROM nights WHERE night_number > ?", (night_count,))
        connection.execute("UPDATE series SET last_night = ? WHERE last_night > ?", (night_count, night_count))
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _begin(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    _insert(connection, "night_suites", {"digest": _digest(SUITE), "text": f'[suite]\nname = "{SUITE}"\n'})
    _insert(connection, "point_texts", {"text": "the device was offline"})
    for cell in cells():
        for number, metric in enumerate(METRICS, cell.first_series):
            key = {"model": f"model-{cell.model:02}", "device_id": device_id(cell.device), "runtime": "onnxruntime"}
            nights = {"first_night": 1, "last_night": 1, "accepted_night": 0}
            _insert(
                connection,
                "series",
                {"number": number, "suite_name": SUITE, **key, "metric": metric, "unit": "x", **nights},
            )
    connection.execute("COMMIT")


def _add_night(connection: sqlite3.Connection, night: int, night_count: int) -> None:
    at_ns = _FIRST_NS + night * _DAY_NS
    times = {"started_at_ns": at_ns, "ended_at_ns": at_ns + 1, "begun_at_ns": at_ns, "closed_at_ns": at_ns + 1}
    state = {"state": nightly_pb2.NIGHT_STATE_ENDED, "verdict": "PASS", "exit_code": 0}
    said = {"report_digest": _digest(f"report {night}"), "runner": "", "held_until_ns": 0, "reason": ""}
    names = {"night_id": f"night-{night}", "request_id": f"request-{night}", "suite_name": SUITE, "night_number": night}
    row = _insert(connection, "nights", {**names, "suite_digest": _digest(SUITE), **times, **state, **said})
    jobs = [_add_job(connection, night, device) for device in range(DEVICE_COUNT)]
    environments = {cell.first_series: _environment(connection, cell, night) for cell in cells()}
    connection.executemany(
        f"INSERT INTO points ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?)", _points(night, jobs, environments)
    )
    if night > night_count - _ITEM_NIGHTS:
        note = json.dumps({"job": f"job-{night}", "state": "done", "rounds": 12, "minutes": 0.75})
        for cell in cells():
            key = f"model-{cell.model:02}/{device_id(cell.device)}/onnxruntime"
            _insert(connection, "night_items", {"night": row, "kind": "cell", "key": key, "json": note, "at_ns": at_ns})
    if night % _ALERT_NIGHTS == 0:
        _add_alert(connection, night, still_open=night > night_count - 4 * _ALERT_NIGHTS)


def _points(night: int, jobs: list[int], environments: dict[int, int]) -> Iterator[tuple[Any, ...]]:
    """Yield the night's rows: values that wander a little, some gaps."""
    random = np.random.default_rng(night)
    values = (20.0 + np.arange(SERIES_COUNT) % 97) * np.exp(0.015 * random.standard_normal(SERIES_COUNT))
    gaps = random.random(SERIES_COUNT) < _GAP_SHARE
    sentinels = 5e6 * np.exp(0.004 * random.standard_normal(DEVICE_COUNT))
    metric_count, cell_size = len(METRICS), MODEL_COUNT * len(METRICS)
    for index, (value, is_gap) in enumerate(zip(values.tolist(), gaps.tolist(), strict=True)):
        environment = environments[1 + index // metric_count * metric_count]
        device = index // cell_size
        if is_gap:
            yield (index + 1, night, None, None, 1, None, None, None, 0, environment, None)
        else:
            interval = value * 0.99, value * 1.01
            yield (
                index + 1,
                night,
                value,
                None,
                None,
                *interval,
                float(sentinels[device]),
                12,
                environment,
                jobs[device],
            )


def _environment(connection: sqlite3.Connection, cell: Cell, night: int) -> int:
    """Return the number of what a cell is measured in; most nights it is the same as the night before."""
    entries = {
        "os": "Debian GNU/Linux 12 (bookworm)",
        "kernel": f"6.6.{(night + cell.device) // _KERNEL_NIGHTS}-rpi",
        "firmware": "2024-09-10",
        "driver": "",
        "runtime": f"onnxruntime 1.{(night + 7 * cell.model) // _RUNTIME_NIGHTS}.0",
        "governor": "performance",
        "agent": "0.1.0",
        "artifact": _digest(f"{cell.model} {(night + cell.model) // _MODEL_NIGHTS}"),
        "recipe": "static-int8",
        "device_id": device_id(cell.device),
    }
    document = json.dumps(entries, sort_keys=True, separators=(",", ":"))
    digest = _digest(document)
    found = connection.execute("SELECT number FROM environments WHERE digest = ?", (digest,)).fetchone()
    return int(found[0]) if found else _insert(connection, "environments", {"digest": digest, "json": document})


def _add_job(connection: sqlite3.Connection, night: int, device: int) -> int:
    job = control_pb2.Job(job_id=_digest(f"{night} {device}")[:32], kind=control_pb2.JOB_KIND_MEASUREMENT)
    job.state = control_pb2.JOB_STATE_RECORDED
    job.device, job.title = f"pi-{device:02}", f"{SUITE}, night {night}"
    columns = {"job_id": job.job_id, "request_id": f"of-{job.job_id}", "kind": job.kind, "state": job.state}
    return _insert(connection, "jobs", {**columns, "message": job.SerializeToString(), "request": b""})


def _add_alert(connection: sqlite3.Connection, night: int, *, still_open: bool) -> None:
    about = {
        "suite_name": SUITE,
        "model": f"model-{night % MODEL_COUNT:02}",
        "device_id": device_id(night % DEVICE_COUNT),
    }
    state = {"state": "confirmed" if still_open else "fixed", "is_open": int(still_open), "version": 3}
    told = {
        "first_night": night,
        "last_night": night,
        "changed_at_ns": 0,
        "changed_by": "ada",
        "json": '{"reason":"slower"}',
    }
    key = {"alert_id": f"alert-{night}", **about, "runtime": "onnxruntime", "metric": "p50"}
    _insert(connection, "alerts", {**key, **state, **told})


def _insert(connection: sqlite3.Connection, table: str, values: dict[str, Any]) -> int:
    places = ", ".join("?" * len(values))
    row = connection.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places})", tuple(values.values()))
    return int(row.lastrowid or 0)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

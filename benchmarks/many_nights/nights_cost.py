"""What a night's report and a series' history cost after ten years of nights, beside one month of them."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc

from benchmarks.compression.bench_models import cache_folder
from benchmarks.figures import Figure, Standing, geometric_mean, mean, standing, verdict_text
from benchmarks.many_nights.made_nights import (
    METRICS,
    SERIES_COUNT,
    SUITE,
    cells,
    device_id,
    drop_nights_after,
    make_nights,
)
from benchmarks.progress import counted, say
from benchmarks.results_file import ResultsFile, this_key
from benchmarks.table import Table
from steelyard.control.client import Client
from steelyard.control.controller import DATABASE_NAME, Controller
from steelyard.settings import Settings
from steelyard_protocol.v1 import nightly_pb2

NAME = "nights"
ROUND_COUNT = 10
NIGHT_COUNTS = {"month": 30, "decade": 3652}
# What an early warning reads: the last three nights against up to 28 before.
REPORT_LAST = 31
# What `steelyard history` shows of a month, and by default.
HISTORY_LASTS = {"history": 30, "history_90": 90}
HISTORY_COUNT = 20
MOST_RATIO = 1.5
SETTINGS = {
    "night_counts": NIGHT_COUNTS,
    "series": SERIES_COUNT,
    "report_last": REPORT_LAST,
    "histories": HISTORY_COUNT,
}
_FIGURES = {
    "report_cold": "all that a night's report reads, cold",
    "report": "all that a night's report reads",
    "history_cold": "30 nights of one series, cold",
    "history": "30 nights of one series",
    "history_90": "90 nights of one series",
    "record": "recording a night",
}
_TARGETS = ("report_cold", "report", "history_cold", "history")


async def measure(round_count: int) -> None:
    """Run rounds until ``round_count`` are in the results file; both databases in each, the first one in turn."""
    results, key = ResultsFile(NAME), this_key(SETTINGS)
    for index in counted(NAME, len(results.rounds(key)), round_count):
        for name, night_count in NIGHT_COUNTS.items():
            await asyncio.to_thread(make_nights, _database(name), night_count)
        order = list(NIGHT_COUNTS)[:: 1 if index % 2 == 0 else -1]
        results.append(key, {name: await _measured(name, index) for name in order})


async def _measured(name: str, index: int) -> dict[str, float]:
    """Return seconds of one database, over a controller and its socket as a command would use them."""
    database = _database(name)
    controller = Controller(Settings(state_directory=database.parent, agent_listen="127.0.0.1:0"))
    await controller.start()
    try:
        say(f"{NAME}: {name}")
        return await asyncio.to_thread(_figures, f"unix:{controller.socket_path}", database, index)
    finally:
        await controller.stop()
        drop_nights_after(database, NIGHT_COUNTS[name])


def _figures(address: str, database: Path, index: int) -> dict[str, float]:
    chance = random.Random(index)
    chosen = [(chance.choice(list(cells())), chance.choice(METRICS)) for _ in range(HISTORY_COUNT)]

    def read_histories(client: Client, last: int) -> None:
        for cell, metric in chosen:
            _read_history(client, f"model-{cell.model:02}", device_id(cell.device), metric, last)

    with _client(address) as client:
        client.nightly.latest()
        _evict(database)
        figures = {"report_cold": _seconds(lambda: _read_for_report(client))}
        figures["report"] = _seconds(lambda: _read_for_report(client))
        _evict(database)
        figures["history_cold"] = _seconds(lambda: read_histories(client, HISTORY_LASTS["history"])) / HISTORY_COUNT
        for name, last in HISTORY_LASTS.items():
            figures[name] = _seconds(lambda last=last: read_histories(client, last)) / HISTORY_COUNT  # type: ignore[misc]
        figures["record"] = _record_night(client)
    figures["megabytes"] = database.stat().st_size / 1e6
    return figures


def _read_for_report(client: Client) -> None:
    """Read what the report of the last night is made from; refuse to time a part of it."""
    night = client.nightly.night_of(SUITE)
    items = client.nightly.items(night.night_id, "cell")
    points = list(client.nightly.series.night_points(night.night_id))
    wanted = nightly_pb2.SeriesFilter(suite_name=SUITE)
    histories = list(client.nightly.series.histories(wanted, up_to_night=night.night_number, last=REPORT_LAST))
    used = {one for history in histories for one in history.environment_ids[-2:]}
    environments = client.nightly.series.environments(sorted(used))
    alerts = client.nightly.alerts.find(SUITE, open_only=True)
    counts = len(items), len(points), len(histories), len(environments) >= len(items), bool(alerts)
    assert counts == (len(list(cells())), SERIES_COUNT, SERIES_COUNT, True, True), counts
    nights = min(REPORT_LAST, night.night_number)
    assert sum(len(one.values) for one in histories) > 0.95 * nights * SERIES_COUNT


def _read_history(client: Client, model: str, device: str, metric: str, last: int) -> None:
    """Read what `steelyard history` of one series reads."""
    wanted = nightly_pb2.SeriesFilter(suite_name=SUITE, model=model, device_id=device, metric=metric)
    (series,) = client.nightly.series.find(wanted)
    points = client.nightly.series.points(series.series_id, most=last)
    client.nightly.series.environments([one.environment_id for one in points])
    assert len(points) >= HISTORY_LASTS["history"]


def _record_night(client: Client) -> float:
    """Begin a night, record a point of each series, end it; return the seconds."""
    at = datetime.now(tz=UTC)
    begun = client.nightly.begin(SUITE, suite_digest="0" * 64, suite_text="", started_at=at).night
    points, environments = [], []
    for cell in cells():
        environments.append({"runtime": "onnxruntime 1.99.0", "cell": str(cell.first_series)})
        key = {"model": f"model-{cell.model:02}", "device_id": device_id(cell.device), "runtime": "onnxruntime"}
        for metric in METRICS:
            series = nightly_pb2.SeriesKey(**key, metric=metric, unit="x")
            points.append(
                nightly_pb2.Point(key=series, value=20.0, round_count=12, environment_index=len(environments))
            )
    took_s = _seconds(lambda: client.nightly.series.record(begun.night_id, points, environments))
    client.nightly.abandon(begun.night_id, "only measured")
    return took_s


def _seconds(run: Callable[[], Any]) -> float:
    begun_s = time.perf_counter()
    run()
    return time.perf_counter() - begun_s


@contextmanager
def _client(address: str) -> Iterator[Client]:
    from steelyard.fleet.transport import CONTROL_CLIENT_OPTIONS

    with Client(grpc.insecure_channel(address, options=CONTROL_CLIENT_OPTIONS)) as client:
        yield client


def _evict(database: Path) -> None:
    """Let the system forget the file's pages, as after a day on which nobody asked; SQLite's own cache holds 2 MB."""
    descriptor = os.open(database, os.O_RDONLY)
    try:
        os.fdatasync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def _database(name: str) -> Path:
    return cache_folder() / NAME / name / DATABASE_NAME


def table() -> Table | None:
    """Return the figures of the latest rounds."""
    run = ResultsFile(NAME).latest()
    if run is None:
        return None
    month, decade = (
        {key: [one[name][key] for one in run.rounds] for key in run.rounds[0][name]} for name in NIGHT_COUNTS
    )
    ratios = {
        key: geometric_mean([late / early for late, early in zip(decade[key], month[key], strict=True)])
        for key in _FIGURES
    }
    rows = [
        [words, _milliseconds(month[key]), _milliseconds(decade[key]), ratios[key].text(2)]
        for key, words in _FIGURES.items()
    ]
    sizes = [f"{values['megabytes'][-1]:,.0f} MB" for values in (month, decade)]
    points = [f"{nights * SERIES_COUNT:,}" for nights in run.settings["night_counts"].values()]
    return Table(
        title="Nights, after ten years of them",
        command=f"python -m benchmarks.run {NAME}",
        method=(
            f"Two databases of a controller with {SERIES_COUNT:,} series: 30 nights, and the 3,652 of ten years; made "
            "night after night, with gaps, environments that change, alerts, notes, and one job a device and night. A "
            "client asks a controller over its socket, as commands do. A night's report reads the last 31 values of "
            "every series (what the early warning looks at), the night's points and notes, the environments of tonight "
            f"and the night before, and the open alerts. A history is that of one of {HISTORY_COUNT} series chosen by "
            "chance. Cold: the system's cache of the file was dropped before, as where an old report is rebuilt; at "
            "the end of a night the pages that its report reads have just been written. A month has no 90 nights, so "
            "that row holds 90 nights against 30. Paired by round, the first database in turn; 95 % intervals are t "
            "over the logs of the ratios."
        ),
        run=run,
        head=["figure", "a month", "ten years", "ratio (95 %)"],
        rows=[["points", *points, ""], ["file", *sizes, ""], *rows],
        verdicts=[_verdict(_FIGURES[key], ratios[key]) for key in _TARGETS],
    )


def _milliseconds(values: list[float]) -> str:
    return f"{mean([1000 * one for one in values]).value:.1f} ms"


def _verdict(words: str, ratio: Figure) -> str:
    stands: Standing = standing(ratio, least=0.0, most=MOST_RATIO)
    return verdict_text(words[0].upper() + words[1:], "at most 1.5 times a month's", stands, ratio.text(2))

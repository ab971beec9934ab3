"""The database of many nights that the benchmark reads: the same however often its making was interrupted."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from benchmarks.many_nights import made_nights
from benchmarks.many_nights.made_nights import METRICS, drop_nights_after, make_nights

from steelyard.store.store import Store
from steelyard_protocol.v1 import nightly_pb2
from tests.controller.store.night_messages import begin_request, point, record

TABLES = ("nights", "series", "points", "environments", "night_items", "alerts", "jobs", "point_texts")


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made_nights, "DEVICE_COUNT", 2)
    monkeypatch.setattr(made_nights, "MODEL_COUNT", 2)
    monkeypatch.setattr(made_nights, "SERIES_COUNT", 4 * len(METRICS))
    monkeypatch.setattr(made_nights, "_NIGHTS_A_COMMIT", 3)


def rows(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as connection:
        return {name: connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in TABLES}


def test_nights_that_were_made_in_two_goes_are_those_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, resumed = tmp_path / "whole.db", tmp_path / "resumed.db"
    make_nights(whole, 8)
    add_night, calls = made_nights._add_night, 0

    def interrupted(*arguments: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise KeyboardInterrupt
        add_night(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(made_nights, "_add_night", interrupted)
        with pytest.raises(KeyboardInterrupt):
            make_nights(resumed, 8)
    assert len(rows(resumed)["nights"]) == 3
    make_nights(resumed, 8)
    assert rows(resumed) == rows(whole)
    assert len(rows(whole)["points"]) == 8 * 4 * len(METRICS)


def test_what_a_measurement_of_recording_added_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "nights.db"
    make_nights(path, 4)
    before = rows(path)
    store = Store(path)
    night_id = store.nightly.nights.begin(begin_request("r1", made_nights.SUITE)).night.night_id
    record(store, night_id, [point(1.0, device_id=made_nights.device_id(0))])
    key = nightly_pb2.SeriesKey(
        model="model-00", device_id=made_nights.device_id(0), runtime="onnxruntime", metric="p50", unit="x"
    )
    record(store, night_id, [nightly_pb2.Point(key=key, value=1.0)])
    store.close()
    drop_nights_after(path, 4)
    after = rows(path)
    assert {name: after[name] for name in ("nights", "points")} == {name: before[name] for name in ("nights", "points")}

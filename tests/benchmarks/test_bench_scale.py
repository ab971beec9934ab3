"""Many agents on one controller: the processes that are asked, the light agent, and the table of recorded rounds."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.results_file import ResultsFile
from benchmarks.scale import growth
from benchmarks.scale.line_process import LineProcess, LineProcessError

_KEY = {"machine": "a board", "versions": {"grpcio": "1.85.1"}, "settings": growth.SETTINGS}
_SERVED = {
    "attach_s": 2.0,
    "attach_cpu_s": 1.5,
    "missed": 0,
    "attached": 100,
    "lost": 0,
    "empty_rss_bytes": 100 * 2**20,
    "rss_bytes": 110 * 2**20,
    "idle_core_share": 0.02,
    "clients_core_share": 0.05,
    "one_ms": {"p50": 0.5, "p99": 1.5},
    "all_ms": [{"p50": 20.0, "p99": 30.0}, {"p50": 10.0, "p99": 15.0}, {"p50": 12.0, "p99": 16.0}],
}
_ROUND = {
    "agents": 100,
    "enroll_s": 0.5,
    "steelyard": {**_SERVED, "attach_s": 3.0, "lost": 1},
    "bare": _SERVED,
    "results": {"count": 2000, "uploads_per_s": 400.0, "records_per_s": 300.0},
}


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ResultsFile:
    monkeypatch.setattr(growth, "ResultsFile", lambda name: ResultsFile(name, tmp_path))
    return ResultsFile(growth.NAME, tmp_path)


def test_the_table_shows_both_of_each_size_and_counts_lost_streams(results: ResultsFile) -> None:
    assert growth.table() is None
    results.append(_KEY, _ROUND)
    table = growth.table()
    assert table is not None
    assert table.head == ["figure", "100 agents, steelyard", "100 agents, bare"]
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["resident for each agent"] == ["102 KiB", "102 KiB"]
    assert rows["dispatch to all, p99"] == ["16 ms", "16 ms"]
    assert rows["results a second"] == ["300", "-"]
    assert rows["enrolled a second"] == ["200", "-"]
    said = "attaching takes 1.50 times, idling 1.00 times, memory for each agent 1.00 times what bare grpc.aio takes."
    assert table.verdicts == [f"100 agents: 1 streams lost; {said}"]


def test_of_each_size_the_latest_round_is_shown(results: ResultsFile) -> None:
    results.append(_KEY, _ROUND)
    results.append(_KEY, {**_ROUND, "agents": 1_000})
    results.append(_KEY, {**_ROUND, "enroll_s": 1.0})
    table = growth.table()
    assert table is not None
    assert len(table.head) == 5
    assert ["enrolled a second", "100", "-", "2000", "-"] in table.rows


async def test_a_process_answers_in_lines_and_one_that_died_is_named() -> None:
    process = await LineProcess.start("benchmarks.scale.clients")
    try:
        assert await process.ask("lost", timeout_s=30) == 0
        with pytest.raises(LineProcessError, match="clients ended when it was asked 'fly'"):
            await process.ask("fly", timeout_s=30)
    finally:
        await process.end()

"""Tables and verdicts are made of recorded rounds; a verdict never claims more than the rounds say."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from benchmarks import idle_agent, round_overhead, run, same_accuracy, sampler_cost, worker_vs_native
from benchmarks.process_figures import schedstat_s
from benchmarks.results_file import ResultsFile, Run
from benchmarks.table import Table
from benchmarks.worker_vs_native import launch_order, verdict

_KEY = {"machine": "a board, 2 logical cores", "versions": {"onnxruntime": "1.32.0"}, "settings": {}}
_RUN = Run(**_KEY, rounds=({}, {}), first_day="2026-11-23", last_day="2026-11-24")


def _pairs(native_ns: float, worker_ns: float, count: int) -> list[dict[str, float]]:
    """Rounds around the two with a spread of 0.2 %, the same for both in no round."""
    spread = [1 + 0.002 * ((index % 5) - 2) for index in range(count)]
    return [
        {"native": native_ns * one, "worker": worker_ns * other}
        for one, other in zip(spread, spread[2:] + spread[:2], strict=True)
    ]


def test_launches_are_reversed_every_second_round() -> None:
    orders = [launch_order(index) for index in range(4)]
    assert orders[0] == orders[2] != orders[1] == orders[3]
    assert set(orders[0]) == set(orders[1]) == {"worker", "native"}


@pytest.mark.parametrize(
    ("native_ns", "worker_ns", "word"),
    [
        (2e6, 2.002e6, "met"),
        (2e6, 1.9e6, "missed"),
        (2e6, 2.02e6, "undecided; run more rounds"),
        (20e3, 22e3, "met"),
        (20e3, 40e3, "missed"),
    ],
)
def test_a_verdict_is_read_off_the_interval(native_ns: float, worker_ns: float, word: str) -> None:
    assert verdict("net", _pairs(native_ns, worker_ns, 40)).startswith(f"net: {word}. Target:")


def test_a_fast_model_is_held_to_the_overhead_and_a_slow_one_to_the_ratio() -> None:
    assert "overhead within 10 us; measured 2.00 us" in verdict("net", _pairs(20e3, 22e3, 40))
    assert "ratio within 1% of 1; measured 1.0010" in verdict("net", _pairs(2e6, 2.002e6, 40))


def test_too_few_rounds_decide_nothing_however_good() -> None:
    assert verdict("net", _pairs(2e6, 2e6, 39)).startswith("net: undecided, 39 of at least 40 rounds.")


def test_a_row_that_does_not_fit_the_head_is_refused() -> None:
    with pytest.raises(ValueError, match="a row has 3 cells, and the head 2"):
        Table(title="T", command="c", method="m", run=_RUN, head=["a", "b"], rows=[["1", "2", "3"]], verdicts=[])


def test_a_table_says_where_when_and_how_often_it_was_measured() -> None:
    table = Table(
        title="T", command="c", method="m", run=_RUN, head=["a", "b"], rows=[["1", "2"]], verdicts=["x: met."]
    )
    where = "a board, 2 logical cores; onnxruntime 1.32.0; 2026-11-23 to 2026-11-24; 2 rounds."
    assert table.markdown().splitlines() == [
        *("## T", "", "m", "", f"Command: `c`. {where}", ""),
        *("| a | b |", "|---|---|", "| 1 | 2 |", "", "- x: met."),
    ]
    assert table.plain().splitlines() == [f"T ({where})", "a  b", "1  2", "x: met."]


def test_overhead_is_the_wall_time_without_the_timed_work() -> None:
    block = {"wall": 700, "model_load": 10, "first_inference": 1, "warmup": 150, "sampling": 200, "process_start": 40}
    assert round_overhead.overhead_ms(block) == pytest.approx(339e-6)


def test_the_scheduler_s_nanoseconds_of_all_threads_are_added() -> None:
    assert schedstat_s(["191098345 18658295 416\n", "500000000 0 1\n"]) == pytest.approx(0.691098345)


_BLOCK = dict.fromkeys(("wall", "process_start", "runtime_import", "answer_and_end", "between"), 300_000_000)
_IDLE = {"cpu_s": 0.02, "rss_bytes": 30 << 20, "uss_bytes": 20 << 20}
_WATCHED = {
    "look_ms": 1.5,
    "blocks": {
        "conv net": {
            watcher.name: {"mean_ns": 2e6 if watcher.name == sampler_cost.ALONE else 2.01e6, "p50_ns": 2e6}
            for watcher in sampler_cost.WATCHERS
        }
    },
}
_ROUNDS: tuple[tuple[ModuleType, dict[str, object], str], ...] = (
    (worker_vs_native, {"net": {"native": 2e6, "worker": 2e6}}, "1.0000 (1.0000 to 1.0000)"),
    (round_overhead, {"net": {**_BLOCK, **dict.fromkeys(round_overhead._TIMED, 50_000_000)}}, "100 (100 to 100)"),
    (
        same_accuracy,
        {"net": {"plain_correct": 9, "device_correct": 9, "different_answers": 0, "samples": 10}},
        "0 of 10 differ",
    ),
    (sampler_cost, _WATCHED, "1.0050 (1.0050 to 1.0050)"),
    (idle_agent, {"agent": {**_IDLE, "uss_bytes": 25 << 20}, "bare": _IDLE}, "5.00 MiB (5.00 to 5.00)"),
)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for module in (worker_vs_native, round_overhead, same_accuracy, idle_agent, sampler_cost):
        monkeypatch.setattr(module, "ResultsFile", lambda name: ResultsFile(name, tmp_path))
    return tmp_path


@pytest.mark.parametrize(("module", "one", "expected"), _ROUNDS, ids=lambda value: getattr(value, "NAME", None))
def test_each_benchmark_makes_its_table_of_recorded_rounds(
    module: ModuleType, one: dict[str, object], expected: str, results: Path
) -> None:
    assert module.table() is None
    for _ in range(3):
        ResultsFile(module.NAME, results).append({**_KEY, "settings": {"window_s": 60.0, "settle_s": 10.0}}, one)
    table = module.table()
    assert table is not None
    assert all(len(row) == len(table.head) for row in table.rows)
    assert expected in table.markdown()


def test_the_page_is_written_from_the_rounds_alone(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = results / "benchmarks.md"
    monkeypatch.setattr(run, "_DOCUMENT", page)
    ResultsFile(worker_vs_native.NAME, results).append(_KEY, {"net": {"native": 2e6, "worker": 2e6}})
    assert run.main(["--write-docs"]) == 0
    assert "## The worker beside a native C program" in page.read_text()
    assert "An idle agent" not in page.read_text()
    assert str(page) in capsys.readouterr().out


@pytest.mark.parametrize("words", [["nonsense"], ["--rounds", "0"]])
def test_nonsense_is_refused_before_anything_runs(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run.main(words)
    assert ended.value.code == 2
    assert words[-1] in capsys.readouterr().err

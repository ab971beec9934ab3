"""`steelyard-agent measure` without its command line."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from steelyard_agent.standalone import (
    Launch,
    MeasurementError,
    StandaloneReport,
    measure_file,
)
from steelyard_agent.standalone_text import report_lines, report_to_json
from steelyard_agent.worker.block import Timing
from steelyard_agent.worker.contract import RuntimeOptions
from steelyard_agent.worker.failure import BlockStatus
from tests.support import models

QUICK = Timing(sample_window_ms=10, warmup_window_ms=2, warmup_cap_ms=10)
LAUNCH = Launch(
    p50_ns=1_500_000.0,
    p90_ns=2_000_000.0,
    sample_count=100,
    process_start_ns=40_000_000,
    runtime_import_ns=130_000_000,
    model_load_ns=5_000_000,
    first_inference_ns=900,
    warmup_ns=2_500_000_000,
    memory_phases={"imported": {"resident_bytes": 50 << 20}, "loaded": {"resident_bytes": 3 << 30}},
    peak_resident_bytes=2000,
    peak_source="VmHWM",
    memory_reason="",
)
REPORT = StandaloneReport(
    model_path="/models/m.onnx",
    size_bytes=500,
    runtime="onnxruntime",
    runtime_version="1.0",
    runtime_options={},
    providers=("CPUExecutionProvider",),
    input_source="drawn by signature, seed 0",
    inputs=(),
    outputs=(),
    launches=(LAUNCH, replace(LAUNCH, p50_ns=1_700_000.0), replace(LAUNCH, p50_ns=1_600_000.0)),
    notes=("a note that is so long that it does not fit on one line of a terminal with eighty columns",),
)


async def test_a_file_is_measured_in_fresh_launches(tmp_path: Path) -> None:
    heard: list[tuple[int, BlockStatus]] = []
    report = await measure_file(
        models.linear_model(tmp_path / "m.onnx"),
        rounds=2,
        block_timeout_s=60,
        timing=QUICK,
        options=RuntimeOptions(intra_op_thread_count=1),
        on_launch=lambda index, outcome: heard.append((index, outcome.status)),
    )
    assert heard == [(0, BlockStatus.OK), (1, BlockStatus.OK)]
    assert len(report.launches) == 2
    assert report.runtime == "onnxruntime"
    assert report.runtime_options == {"intra_op_thread_count": 1}
    assert all(launch.p50_ns > 0 and launch.model_load_ns > 0 for launch in report.launches)
    assert report_lines(report)


@pytest.mark.parametrize(
    ("name", "status", "exit_code"),
    [("gone.onnx", BlockStatus.USER_ERROR, 2), ("model.h5", BlockStatus.USER_ERROR, 2)],
)
async def test_a_file_that_cannot_be_measured_starts_nothing(
    tmp_path: Path, name: str, status: BlockStatus, exit_code: int
) -> None:
    (tmp_path / "model.h5").write_bytes(b"x")
    with pytest.raises(MeasurementError) as caught:
        await measure_file(tmp_path / name, rounds=1, block_timeout_s=60)
    assert (caught.value.status, caught.value.exit_code) == (status, exit_code)
    assert name in str(caught.value)


async def test_the_first_launch_that_fails_ends_the_measurement(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match="Frobnicate") as caught:
        await measure_file(models.unknown_op_model(tmp_path / "m.onnx"), rounds=1, timing=QUICK, block_timeout_s=60)
    assert (caught.value.reason, caught.value.exit_code) == ("unsupported_op", 4)


async def test_no_rounds_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="rounds is 0"):
        await measure_file(tmp_path / "m.onnx", rounds=0, block_timeout_s=60)


def test_the_text_fits_a_terminal_and_shows_medians_with_their_spread() -> None:
    lines = report_lines(REPORT)
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert "latency p50      1.6 ms (1.5 ms to 1.7 ms) over 3 launches" in text
    assert "warm-up          2.5 s\n" in text
    assert "first inference  900 ns" in text
    assert "memory loaded    3.0 GiB" in text
    assert "500 B" in text
    assert "note: a note" in text


def test_what_was_not_measured_is_said_to_be() -> None:
    bare = replace(
        LAUNCH, p90_ns=None, process_start_ns=None, memory_phases={}, peak_resident_bytes=None, memory_reason="no /proc"
    )
    text = "\n".join(report_lines(replace(REPORT, launches=(bare,), notes=())))
    assert "latency p90      not said: fewer than 64 samples" in text
    assert "process start    not told by this system" in text
    assert "memory by phase  unavailable: no /proc" in text
    assert "memory peak      unavailable (VmHWM)" in text
    assert "over 1 launch\n" in text


async def test_a_runtime_that_compiles_builds_once_and_loads_what_it_kept(tmp_path: Path) -> None:
    path = models.conv_model(tmp_path / "m.onnx")
    report = await measure_file(path, runtime="openvino", rounds=3, block_timeout_s=60, timing=QUICK)
    assert [launch.loaded_from_cache for launch in report.launches] == [False, True, True]
    assert report.placements["CPU"] is not None
    text = "\n".join(report_lines(report))
    assert "model build" in text
    assert "cached load" in text
    assert "model load" not in text
    assert f"providers: CPU ({report.placements['CPU']} nodes)" in text


async def test_a_runtime_that_compiles_nothing_neither_hits_nor_misses_a_cache(tmp_path: Path) -> None:
    path = models.linear_model(tmp_path / "m.onnx")
    report = await measure_file(path, rounds=2, block_timeout_s=60, timing=QUICK)
    assert [launch.loaded_from_cache for launch in report.launches] == [None, None]
    assert "cached load" not in "\n".join(report_lines(report))


def test_one_launch_that_builds_has_no_cached_load_to_show() -> None:
    built = replace(LAUNCH, loaded_from_cache=False)
    text = "\n".join(report_lines(replace(REPORT, launches=(built,))))
    assert "model build      5 ms" in text
    assert "cached load      not measured: the one launch built it; --rounds 2 or more" in text
    text = "\n".join(report_lines(replace(REPORT, launches=(built, built))))
    assert "cached load      not measured: no launch took it from the cache" in text


def test_the_memory_of_compiling_is_not_that_of_the_model() -> None:
    built = replace(LAUNCH, loaded_from_cache=False, peak_resident_bytes=1 << 30)
    cached = replace(LAUNCH, loaded_from_cache=True, peak_resident_bytes=1 << 20)
    assert "memory peak      1.0 MiB (VmHWM)" in report_lines(replace(REPORT, launches=(built, cached)))


def test_threads_are_told_or_said_to_be_the_runtimes_choice() -> None:
    assert "threads: as the runtime chooses" in report_lines(REPORT)[1]
    one = replace(REPORT, runtime_options={"intra_op_thread_count": 1})
    assert report_lines(one)[1].endswith("; threads: 1")
    assert "threads:" not in "".join(report_lines(replace(REPORT, core_ids=(0,))))


async def test_the_cores_that_were_asked_for_are_told(tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    path = models.linear_model(tmp_path / "m.onnx")
    report = await measure_file(path, rounds=1, block_timeout_s=60, timing=QUICK, core_ids=(core,))
    assert report.core_ids == (core,)
    assert f"pinned to cores {core}" in report_lines(report)
    assert "1 intra-op threads, one for each pinned core" in report.notes


def test_the_json_has_a_schema_version_and_survives_json() -> None:
    value = report_to_json(REPORT)
    assert value["schema_version"] == 1
    assert json.loads(json.dumps(value)) == value


def test_a_report_needs_a_launch() -> None:
    with pytest.raises(ValueError, match="without a launch"):
        replace(REPORT, launches=())

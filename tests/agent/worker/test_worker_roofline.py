"""What the roofline probe and the operators block measure, and what they say when they cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard_agent.worker import block as kinds
from steelyard_agent.worker.block import Block
from steelyard_agent.worker.blocks import run_block
from steelyard_agent.worker.codec import encode_block, result_of
from steelyard_agent.worker.large_array import large_array, last_cache_bytes
from steelyard_agent.worker.opening import open_runtime
from steelyard_agent.worker.records import ProbeModel
from steelyard_agent.worker.roofline import best_rate
from tests.support import models

KIB, MIB = 1024, 1024 * 1024


def _system(root: Path, *, caches: dict[str, str], available_kib: int | None) -> Path:
    for place, size in caches.items():
        folder = root / "sys/devices/system/cpu/cpu0/cache" / place
        folder.mkdir(parents=True)
        (folder / "size").write_text(f"{size}\n")
    if available_kib is not None:
        (root / "proc").mkdir()
        (root / "proc/meminfo").write_text(f"MemTotal: 1 kB\nMemAvailable:   {available_kib} kB\n")
    return root


def test_the_array_is_four_times_the_last_cache(tmp_path: Path) -> None:
    root = _system(tmp_path, caches={"index0": "32K", "index2": "2M", "index3": "8M"}, available_kib=1 << 20)
    assert last_cache_bytes(root) == 8 * MIB
    found = large_array(root)
    assert found.values is not None
    assert found.values.nbytes == 32 * MIB
    assert found.how == "an array of 32 MiB (last cache: 8,192 KiB)"


def test_where_no_cache_is_named_the_array_is_larger_than_any_boards(tmp_path: Path) -> None:
    found = large_array(_system(tmp_path, caches={}, available_kib=None))
    assert found.values is not None
    assert found.values.nbytes == 64 * MIB
    assert "last cache: unknown" in found.how


def test_little_memory_is_not_taken_for_a_probe(tmp_path: Path) -> None:
    root = _system(tmp_path, caches={"index2": "512K"}, available_kib=40 * KIB)
    found = large_array(root)
    assert found.values is None
    assert found.how == "10 MiB, the most that may be taken here, are too few beside a last cache of 512 KiB"


def test_the_best_try_counts() -> None:
    calls = []
    rate = best_rate(lambda: calls.append(0), 1000, window_ns=1, tries=3)
    assert len(calls) >= 3
    assert rate > 0


def _run_worker(block: Block) -> object:
    """Run a block as a worker does, in a process that has not imported numpy."""
    ended = subprocess.run(
        [sys.executable, "-m", "steelyard_agent.worker"],
        input=encode_block(block) + "\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")},
    )
    answers = [json.loads(line) for line in ended.stdout.splitlines()]
    assert answers, ended.stderr
    assert answers[-1]["event"] == "result", answers[-1]
    return result_of(answers[-1]["result"])


def test_a_probe_says_every_rate_and_how_it_was_measured(tmp_path: Path) -> None:
    path = models.linear_model(tmp_path / "product.onnx", features=64, classes=64, batch=64)
    one_thread = {"intra_op_thread_count": 1}
    block = Block(
        kind=kinds.KIND_ROOFLINE,
        runtime_name="",
        probe_window_ms=5,
        probe_models=(
            ProbeModel(
                name="float32 multiply-accumulate by onnxruntime",
                model_path=str(path),
                mac_count=64**3,
                runtime_name="onnxruntime",
                runtime=one_thread,
            ),
            ProbeModel(
                name="broken",
                model_path=str(tmp_path / "not-there.onnx"),
                mac_count=1,
                runtime_name="nosuch",
                runtime={},
            ),
        ),
    )
    rates = {one.name: one for one in _run_worker(block).rates}
    assert list(rates) == [
        "float32 multiply-accumulate",
        "float32 multiply-accumulate by onnxruntime",
        "broken",
        "memory read",
        "memory copy",
    ]
    assert rates["broken"].rate_per_s is None
    assert "nosuch" in rates["broken"].how
    for name in ("float32 multiply-accumulate", "float32 multiply-accumulate by onnxruntime"):
        assert rates[name].unit == "MAC/s"
        assert rates[name].rate_per_s > 0
        assert "1 thread" in rates[name].how
    assert all(rates[name].unit == "B/s" for name in ("memory read", "memory copy"))


def _profiled(path: Path, runtime: str):
    block = Block(
        kind=kinds.KIND_OPERATORS,
        model_path=str(path),
        runtime_name=runtime,
        runtime={"intra_op_thread_count": 1},
        profile_window_ms=20,
    )
    return run_block(open_runtime(block, lambda _phase: None))


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_an_operators_block_has_operators_and_no_latency(runtime: str, tmp_path: Path) -> None:
    result = _profiled(models.conv_model(tmp_path / "model.onnx", depth=2), runtime)
    assert {"Conv", "Convolution"} & {one.kind for one in result.operators}
    assert {one.call_count for one in result.operators} == {result.profiled_count}
    assert 3 <= result.profiled_count <= 50
    assert result.profiled_ns > 0
    assert result.latency_ns == ()
    assert result.first_inference_ns is None
    assert result.model_load_ns is None


def test_a_runtime_without_a_profiler_ends_well_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from steelyard_agent.runtimes.onnxruntime import OnnxRuntime

    monkeypatch.delattr(OnnxRuntime, "load_profiled")
    result = _profiled(models.conv_model(tmp_path / "model.onnx"), "onnxruntime")
    assert result.operators == ()
    assert result.operators_reason == "runtime onnxruntime offers no profile of its operators"


def test_no_file_of_the_profiler_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    path = models.conv_model(tmp_path / "model.onnx")
    assert _profiled(path, "onnxruntime").operators
    assert [one.name for one in tmp_path.iterdir()] == ["model.onnx"]

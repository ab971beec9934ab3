"""The worker's median beside the runtimes' own benchmark tools, where one installs: OpenVINO's and LiteRT's."""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.bench_models import BenchModel, bench_models
from benchmarks.figures import agreement_text, geometric_mean, too_few_text
from benchmarks.latency_block import BlockError
from benchmarks.native_peer import PeerError
from benchmarks.progress import counted
from benchmarks.results_file import ResultsFile, this_key
from benchmarks.table import Table
from benchmarks.worker_vs_native import launch_order
from steelyard_agent.block_runner import run_block
from steelyard_agent.worker.block import KIND_LATENCY, Block, Timing

NAME = "benchmark_tools"
ROUND_COUNT = 20
WINDOW_MS = 1000
SETTINGS = {"window_ms": WINDOW_MS, "thread_count": 1}
TARGET = 0.05
_TIMEOUT_S = 120.0
_BIN = Path(sys.executable).parent
_MEDIAN = re.compile(r"Median:\s+([0-9.]+) (us|ms)")
_UNITS_NS = {"us": 1e3, "ms": 1e6}


async def measure(round_count: int) -> None:
    """Run rounds until ``round_count`` are in the results file; the order is reversed every second round."""
    results, key = ResultsFile(NAME), this_key(SETTINGS)
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as folder:
        cases = _cases(Path(folder))
        for index in counted(NAME, len(results.rounds(key)), round_count):
            results.append(key, {name: await _medians(name, cases[name], Path(folder), index) for name in cases})


def _cases(folder: Path) -> dict[str, tuple[str, BenchModel]]:
    """Return the runtime and the model of each case."""
    from tests.support.tflite_models import tflite_linear_model

    # The tool tells hundredths of a millisecond: only of a model of some milliseconds is that a figure.
    width = 4096
    dense = BenchModel(
        name="dense layer",
        path=tflite_linear_model(folder / "dense.tflite", width, width),
        input_name="x",
        shape=(1, width),
        output_name="logits",
    )
    models = {model.name: model for model in bench_models(folder)}
    return {
        "benchmark_app (OpenVINO), fashion_resnet": ("openvino", models["fashion_resnet"]),
        "benchmark_app (OpenVINO), conv net": ("openvino", models["conv net"]),
        "litert-benchmark (LiteRT), dense layer": ("litert", dense),
    }


async def _medians(name: str, case: tuple[str, BenchModel], folder: Path, index: int) -> dict[str, float]:
    runtime, model = case
    medians = {}
    for who in launch_order(index):
        if who == "worker":
            medians["worker"] = await _worker_ns(runtime, model, folder)
        elif runtime == "openvino":
            medians["tool"] = await _openvino_ns(model)
        else:
            medians["tool"] = await _litert_ns(model, folder)
    return medians


async def _worker_ns(runtime: str, model: BenchModel, folder: Path) -> float:
    block = Block(
        kind=KIND_LATENCY,
        runtime_name=runtime,
        model_path=str(model.path),
        runtime={"intra_op_thread_count": 1},
        timing=Timing(sample_window_ms=WINDOW_MS),
    )
    outcome = await run_block(block, timeout_s=60, memory_limit_bytes=None, work_dir=folder)
    if outcome.result is None:
        raise BlockError(f"the worker could not run {model.name}: {outcome.message}")
    return statistics.median(outcome.result.latency_ns)


async def _openvino_ns(model: BenchModel) -> float:
    shape = f"{model.input_name}[{','.join(map(str, model.shape))}]"
    words = ["-m", str(model.path), "-d", "CPU", "-hint", "none", "-nstreams", "1", "-nthreads", "1", "-api", "sync"]
    words += ["-infer_precision", "f32", "-t", "1", "-shape", shape]
    out = await _tool("benchmark_app", *words)
    median_ns = openvino_median_ns(out)
    if median_ns is None:
        raise PeerError(f"benchmark_app told no median of {model.name}: {out[-300:]}")
    return median_ns


def openvino_median_ns(text: str) -> float | None:
    """Return the median latency that benchmark_app printed, None when it printed none."""
    found = _MEDIAN.search(text)
    return None if found is None else float(found[1]) * _UNITS_NS[found[2]]


async def _litert_ns(model: BenchModel, folder: Path) -> float:
    result = folder / "litert.json"
    words = ["--model", str(model.path), "--num_threads", "1", "--num_runs", "200", "--warmup_runs", "50"]
    await _tool("litert-benchmark", *words, "--result_json", str(result))
    return float(json.loads(result.read_text())["latency"]["median_ms"]) * 1e6


async def _tool(program: str, *words: str) -> str:
    """Return what a tool printed.

    Raises:
        PeerError: it is not there, failed, or did not end.
    """
    path = _BIN / program
    if not path.exists():
        raise PeerError(f"{program} is not beside {sys.executable}: install openvino and ai-edge-litert there")
    process = await asyncio.create_subprocess_exec(
        str(path), *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), _TIMEOUT_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    text = out.decode(errors="replace")
    if process.returncode != 0:
        raise PeerError(f"{program} failed: {text[-300:].strip()}")
    return text


def table() -> Table | None:
    """Return the figures of the latest rounds."""
    run = ResultsFile(NAME).latest()
    if run is None:
        return None
    names = list(run.rounds[0])
    return Table(
        title="The worker beside the runtimes' own benchmark tools",
        command=f"python -m benchmarks.run {NAME}",
        method=(
            "Median latency of our worker and of the tool that comes with the runtime's wheel, one thread, float32, "
            "single stream, about a second of inferences a launch, a fresh process each, the order reversed every "
            "second round. Worker over tool, paired by round; 95 % intervals are t over rounds on the logs. ONNX "
            "Runtime's own perf test and TFLite's benchmark_model are in no wheel."
        ),
        run=run,
        head=["tool and model", "tool p50", "worker p50", "ratio (95 %)"],
        rows=[_row(name, [one[name] for one in run.rounds]) for name in names],
        verdicts=[verdict(name, [one[name] for one in run.rounds]) for name in names],
    )


def verdict(name: str, rounds: list[dict[str, Any]]) -> str:
    """Return one sentence: whether both agree within the target."""
    if len(rounds) < ROUND_COUNT:
        return too_few_text(name, f"within {TARGET:.0%}", len(rounds), ROUND_COUNT)
    return agreement_text(name, geometric_mean([one["worker"] / one["tool"] for one in rounds]), TARGET)


def _row(name: str, rounds: list[dict[str, Any]]) -> list[str]:
    times = [f"{geometric_mean([one[who] / 1000 for one in rounds]).value:.2f} us" for who in ("tool", "worker")]
    return [name, *times, geometric_mean([one["worker"] / one["tool"] for one in rounds]).text(4)]

"""Median latency of the worker beside the native C peer: same library, options and warm-up, interleaved by launch."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.bench_models import BenchModel, bench_models, doing_nothing
from benchmarks.figures import Figure, geometric_mean, mean, standing, too_few_text, verdict_text
from benchmarks.latency_block import RUNTIME, BlockError, run_latency_block
from benchmarks.native_peer import NativePeer, build_peer
from benchmarks.progress import counted
from benchmarks.results_file import ResultsFile, this_key
from benchmarks.table import Table

NAME = "worker_vs_native"
ROUND_COUNT = 60
WINDOW_MS = 200
SETTINGS = {"window_ms": WINDOW_MS, "subtracts": "a model that does nothing", **RUNTIME}
# The targets of the project: fewer rounds than these decide nothing.
LEAST_ROUND_COUNT = 40
RATIO_TARGET, OVERHEAD_TARGET_US = 0.01, 10.0
NOTHING = "nothing"
# A model of this and more is held to the ratio, a faster one to the overhead.
_RATIO_FROM_NS = 1e6

# Found by runs of ten rounds on 2 cores of an AMD EPYC, with ONNX Runtime 1.32.
_WHY_SLOWER = (
    "Where the difference comes from: a model that does nothing takes 0.75 us more through Python's binding (the call, "
    "the lock, the clock). A 22 us model of small weights adds no more than that; a 19 us one that streams 1.5 MB of "
    "weights, more than the core's L2 holds, adds about a microsecond, as the interpreter's own code and data have "
    "then left the cache."
)


async def measure(round_count: int) -> None:
    """Run rounds until ``round_count`` are in the results file; the order is reversed every second round."""
    results, key = ResultsFile(NAME), this_key(SETTINGS)
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as folder:
        work = Path(folder)
        peer, models = build_peer(work), [*bench_models(work), doing_nothing(work)]
        for index in counted(NAME, len(results.rounds(key)), round_count):
            results.append(key, {model.name: await _medians(model, peer, work, index) for model in models})


async def _medians(model: BenchModel, peer: NativePeer, work: Path, index: int) -> dict[str, float]:
    """Return the median nanoseconds of one launch of each."""
    medians = {}
    for who in launch_order(index):
        if who == "native":
            samples = await peer.samples_ns(model, WINDOW_MS)
        else:
            _, result = await run_latency_block(model, window_ms=WINDOW_MS, work_dir=work)
            if result.inner_batch_count != 1 and model.name != NOTHING:
                raise BlockError(f"{model.name} is too short for this machine's clock: the peer takes single samples")
            samples = list(result.latency_ns)
        medians[who] = statistics.median(samples)
    return medians


def launch_order(index: int) -> tuple[str, str]:
    """Return who is launched first in a round: A B, B A, A B, ..."""
    return ("worker", "native") if index % 2 == 0 else ("native", "worker")


def table() -> Table | None:
    """Return the figures of the latest rounds."""
    run = ResultsFile(NAME).latest()
    if run is None:
        return None
    pairs = {name: [one[name] for one in run.rounds] for name in run.rounds[0]}
    nothing = pairs.get(NOTHING, [])
    return Table(
        title="The worker beside a native C program",
        command=f"python -m benchmarks.run {NAME}",
        method=(
            "Median latency per launch of our worker and of `benchmarks/native/latency_peer.c`, a C program over the "
            "`libonnxruntime` of the installed wheel. Both: one thread, all graph optimizations, arena, one bound "
            "input and output, a first run, the same warm-up rule, 0.2 s of single samples, CLOCK_MONOTONIC; every "
            "launch a fresh process, the order reversed every second round. Worker over native, paired by round; "
            "95 % intervals are t over rounds, on the logs for the ratio. What a call takes by itself is measured with "
            "a model that does nothing, in the same rounds (the worker times several of its calls as one sample, since "
            "one is too short for the clock; the peer times each). The last column subtracts that, round by round, so "
            f"that its interval holds the uncertainty of both. {_WHY_SLOWER}"
        ),
        run=run,
        head=["model", "native p50", "worker p50", "ratio (95 %)", "difference (95 %)", "less a call (95 %)"],
        rows=[_row(name, rounds, nothing) for name, rounds in pairs.items()],
        verdicts=[
            *(verdict(name, rounds) for name, rounds in pairs.items() if name != NOTHING),
            *_call_verdict(pairs),
        ],
    )


def verdict(name: str, rounds: list[dict[str, Any]]) -> str:
    """Return one sentence: the target, whether it is met, and why."""
    if geometric_mean([one["native"] for one in rounds]).value >= _RATIO_FROM_NS:
        target, figure = f"the ratio within {RATIO_TARGET:.0%} of 1", _ratio(rounds)
        stands = standing(figure, least=1 - RATIO_TARGET, most=1 + RATIO_TARGET)
        reading = figure.text(4)
    else:
        target, figure = f"the worker's overhead within {OVERHEAD_TARGET_US:.0f} us", _difference_us(rounds)
        stands = standing(figure, least=-OVERHEAD_TARGET_US, most=OVERHEAD_TARGET_US)
        reading = figure.text(2, "us")
    if len(rounds) < LEAST_ROUND_COUNT:
        return too_few_text(name, target, len(rounds), LEAST_ROUND_COUNT)
    return verdict_text(name, target, stands, reading)


def corrected_us(rounds: list[dict[str, Any]], nothing: list[dict[str, Any]]) -> Figure:
    """Return the difference less what a call that does nothing takes longer in the worker, paired by round."""
    pairs = zip(rounds, nothing, strict=True)
    return mean([(one["worker"] - one["native"] - empty["worker"] + empty["native"]) / 1000 for one, empty in pairs])


def _call_verdict(pairs: dict[str, list[dict[str, Any]]]) -> list[str]:
    if NOTHING not in pairs or "tiny MLP" not in pairs:
        return []
    call, left = _difference_us(pairs[NOTHING]), corrected_us(pairs["tiny MLP"], pairs[NOTHING])
    sentence = f"A call by itself takes {call.text(2, 'us')} longer in the worker"
    return [f"{sentence}. Less that, the tiny MLP differs from native by {left.text(2, 'us')}."]


def _row(name: str, rounds: list[dict[str, Any]], nothing: list[dict[str, Any]]) -> list[str]:
    native, worker = (geometric_mean([one[who] / 1000 for one in rounds]).value for who in ("native", "worker"))
    ratio, difference = _ratio(rounds).text(4), _difference_us(rounds).text(2, "us")
    corrected = corrected_us(rounds, nothing).text(2, "us") if nothing and name != NOTHING else ""
    return [name, f"{native:.2f} us", f"{worker:.2f} us", ratio, difference, corrected]


def _ratio(rounds: list[dict[str, Any]]) -> Figure:
    return geometric_mean([one["worker"] / one["native"] for one in rounds])


def _difference_us(rounds: list[dict[str, Any]]) -> Figure:
    return mean([(one["worker"] - one["native"]) / 1000 for one in rounds])

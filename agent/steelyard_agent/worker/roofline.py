"""The roofline block: what this device does at most in a short probe, as multiply-accumulates and bytes a second.

Each rate is the best of several short tries: whatever disturbs a try makes it slower, never faster. The model is the
roofline of Williams, Waterman and Patterson (CACM 52(4), 2009); copying counts what is read and what is written, as
STREAM does (McCalpin, 1995).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from steelyard_agent.runtimes.lookup import find_runtime
from steelyard_agent.worker.block import Block, WorkerResult
from steelyard_agent.worker.codec import decode_runtime_options
from steelyard_agent.worker.failure import BlockFailure
from steelyard_agent.worker.large_array import LargeArray, large_array
from steelyard_agent.worker.records import ProbeModel, RateRecord
from steelyard_agent.worker.shapes import resolve_shapes

MAC_UNIT, BYTE_UNIT = "MAC/s", "B/s"
FLOAT_NAME = "float32 multiply-accumulate"
READ_NAME, COPY_NAME = _MEMORY_NAMES = ("memory read", "memory copy")
_TRIES = 5
# What numpy's matrix product takes its number of threads from, whichever library is below it.
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_SIZES = (128, 256, 512, 1024, 2048)


def run_roofline(block: Block, say: Callable[[str], None]) -> WorkerResult:
    """Probe the device; numpy must not have been imported before, or the number of threads means nothing."""
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(block.probe_thread_count)))
    import numpy as np

    rates = []
    for rate in _rates(block):
        rates.append(rate)
        # A slow board takes seconds for each; the supervisor hears that it goes on.
        say(rate.name)
    return WorkerResult(runtime_version=f"numpy {np.__version__}", rates=tuple(rates))


def best_rate(call: Callable[[], object], amount: int, window_ns: int, tries: int = _TRIES) -> float:
    """Return the most of ``amount`` a second that any of several tries reached, each at least ``window_ns`` long."""
    best = 0.0
    for _ in range(tries):
        count, begun_ns = 0, time.perf_counter_ns()
        while (took_ns := time.perf_counter_ns() - begun_ns) < window_ns or count == 0:
            call()
            count += 1
        best = max(best, amount * count * 1e9 / took_ns)
    return best


def _rates(block: Block) -> Iterator[RateRecord]:
    window_ns, threads = block.probe_window_ms * 1_000_000, block.probe_thread_count
    yield _float_product(window_ns, threads)
    for model in block.probe_models:
        yield _by_runtime(model, block.seed, window_ns)
    found = large_array()
    if found.values is None:
        yield from (RateRecord(name=name, unit=BYTE_UNIT, rate_per_s=None, how=found.how) for name in _MEMORY_NAMES)
        return
    yield _memory_read(found, window_ns, threads)
    yield _memory_copy(found, window_ns, threads)


def _float_product(window_ns: int, threads: int) -> RateRecord:
    """Return the best of growing matrices: small ones leave threads idle, large ones take a small board minutes."""
    import numpy as np

    reached: dict[int, float] = {}
    for size in _SIZES:
        left, right = (np.random.default_rng(seed).random((size, size), np.float32) for seed in (0, 1))
        call = partial(np.matmul, left, right, out=np.empty_like(left))
        reached[size] = best_rate(call, size**3, window_ns // len(_SIZES))
        if size**3 * 1e9 / reached[size] >= window_ns:
            break
    size = max(reached, key=reached.__getitem__)
    how = f"numpy {np.__version__} ({_blas(np)}), product of two float32 matrices of {size} x {size}, {_said(threads)}"
    how = f"{how}, best of {len(reached)} sizes with {_TRIES} tries each"
    return RateRecord(name=FLOAT_NAME, unit=MAC_UNIT, rate_per_s=reached[size], how=how)


def _by_runtime(model: ProbeModel, seed: int, window_ns: int) -> RateRecord:
    # Imports numpy.
    from steelyard_agent.worker.drawing import draw_inputs

    try:
        runtime = find_runtime(model.runtime_name)
        version = runtime.version()
        options = decode_runtime_options(model.runtime)
        loaded = runtime.load(Path(model.model_path), options)
        call = loaded.bind(draw_inputs(loaded.inputs, resolve_shapes(loaded.inputs, options.input_shapes, 1), seed))
        rate = best_rate(call, model.mac_count, window_ns)
    except (BlockFailure, ValueError) as failure:
        return RateRecord(name=model.name, unit=MAC_UNIT, rate_per_s=None, how=str(failure))
    threads = options.intra_op_thread_count
    how = (
        f"{model.runtime_name} {version} on {', '.join(loaded.providers)}, a generated model of one product of "
        f"{model.mac_count:,} multiply-accumulates, {_said(threads) if threads else 'the threads that it takes'}"
    )
    return RateRecord(name=model.name, unit=MAC_UNIT, rate_per_s=rate, how=f"{how}, best of {_TRIES} tries")


def _memory_read(found: LargeArray, window_ns: int, threads: int) -> RateRecord:
    import numpy as np

    values = found.values
    assert values is not None
    parts = np.array_split(values, threads)
    with ThreadPoolExecutor(threads) as pool:
        rate = best_rate(_on_all(pool, lambda part: np.dot(part, part), parts), values.nbytes, window_ns)
    how = f"float32 products of {found.how} with itself, {_said(threads)}, best of {_TRIES} tries"
    return RateRecord(name=READ_NAME, unit=BYTE_UNIT, rate_per_s=rate, how=how)


def _memory_copy(found: LargeArray, window_ns: int, threads: int) -> RateRecord:
    import numpy as np

    values = found.values
    assert values is not None
    half = values.size // 2
    parts = list(
        zip(np.array_split(values[:half], threads), np.array_split(values[half : 2 * half], threads), strict=True)
    )
    with ThreadPoolExecutor(threads) as pool:
        rate = best_rate(
            _on_all(pool, lambda part: np.copyto(part[1], part[0]), parts), 2 * half * values.itemsize, window_ns
        )
    how = f"one half of {found.how} copied onto the other, bytes read and written, {_said(threads)}"
    return RateRecord(name=COPY_NAME, unit=BYTE_UNIT, rate_per_s=rate, how=f"{how}, best of {_TRIES} tries")


def _on_all(pool: ThreadPoolExecutor, work: Callable[[Any], object], parts: list[Any]) -> Callable[[], object]:
    """Return a call that does the work on every part at the same time; numpy lets go of Python's lock meanwhile."""
    if len(parts) == 1:
        return lambda: work(parts[0])
    return lambda: list(pool.map(work, parts))


def _blas(np: Any) -> str:
    try:
        found = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    except (TypeError, KeyError):
        # numpy before 1.25 prints only.
        return "its own choice of BLAS"
    return f"{found['name']} {found.get('version', '')}".strip()


def _said(threads: int) -> str:
    return "1 thread" if threads == 1 else f"{threads} threads"

"""What a task declares around the model, timed by itself: numpy in this process, after the timed window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from steelyard_agent.worker.block import Block, Timing, WorkerResult
from steelyard_agent.worker.contract import LoadedModel
from steelyard_agent.worker.failure import BlockFailure
from steelyard_agent.worker.opening import Bench
from steelyard_agent.worker.processing_spec import Processing
from steelyard_agent.worker.reduce import Reduction
from steelyard_agent.worker.shapes import shape_text
from steelyard_agent.worker.stopwatch import Clock, quiet_collector, take_samples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from steelyard_agent.worker.contract import Array

_TIMING = Timing(sample_window_ms=50, min_sample_count=10)


def time_processing(bench: Bench, model: LoadedModel, clock: Clock) -> WorkerResult:
    """Return the result with the times of what the block declares around the model; what does not fit is a note.

    Preprocessing is that of one inference's samples, drawn in the type and shape in which the task stores them; it is
    run on the outputs of the last timed inference.
    """
    spec, batch_size = bench.block.processing, bench.result.batch_size or 1
    before_ns: tuple[int, ...] = ()
    behind_ns: tuple[int, ...] = ()
    notes: list[str] = []
    with quiet_collector():
        if spec.stored_dtype:
            stored = draw_stored(spec, batch_size, bench.block.seed)
            if misfit := _misfit(preprocess(spec, stored), model):
                notes.append(misfit)
            else:
                before_ns = _times(lambda: preprocess(spec, stored), clock)
        if spec.reduces:
            try:
                behind_ns = _times(_postprocessing(bench.block, model, batch_size), clock)
            except BlockFailure as failure:
                notes.append(f"postprocessing was not timed: {failure}")
    return replace(
        bench.result,
        preprocessing_ns=before_ns,
        postprocessing_ns=behind_ns,
        notes=(*bench.result.notes, *notes),
    )


def preprocess(spec: Processing, stored: Array) -> NDArray[np.float32]:
    """Return stored samples [N, ...] as the model takes them; bit for bit what the controller makes of them."""
    if spec.layout:
        height, width, *channels = stored.shape[1:]
        stored = stored.reshape(stored.shape[0], height, width, *(channels or [1]))
    scaled = stored.astype(np.float32) / np.float32(spec.divide)
    normal = (scaled - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
    return np.ascontiguousarray(normal.transpose(0, 3, 1, 2) if spec.layout == "NCHW" else normal)


def draw_stored(spec: Processing, batch_size: int, seed: int) -> Array:
    """Return stored samples: whole numbers over the range of a byte or what of it the type holds, floats in [0, 1)."""
    generator = np.random.default_rng(seed)
    dtype, shape = np.dtype(spec.stored_dtype), (batch_size, *spec.stored_shape)
    if dtype.kind == "f":
        return generator.random(shape, dtype=np.float32).astype(dtype)
    return generator.integers(0, {"bool": 2, "int8": 128}.get(dtype.name, 256), shape).astype(dtype)


def _postprocessing(block: Block, model: LoadedModel, batch_size: int) -> Callable[[], object]:
    outputs, reduction = model.fetch(), Reduction(block=block)
    return lambda: reduction.reduced(outputs, batch_size)


def _times(call: Callable[[], object], clock: Clock) -> tuple[int, ...]:
    before = clock()
    call()
    estimate_ns = clock() - before
    return take_samples(call, _TIMING, estimate_ns=estimate_ns, inner_count=1, clock=clock)


def _misfit(made: Array, model: LoadedModel) -> str:
    """Return why what preprocessing makes is no input of the model, "" when it is one."""
    for spec in model.inputs:
        fits = len(spec.shape) == made.ndim and all(
            not isinstance(size, int) or size == there for size, there in zip(spec.shape, made.shape, strict=True)
        )
        if fits and spec.dtype == made.dtype.name:
            return ""
    taken = ", ".join(f"{spec.name} {spec.dtype} {shape_text(spec.shape)}" for spec in model.inputs)
    return (
        f"preprocessing was not timed: it makes float32 {shape_text(made.shape)} and the model takes {taken}; the "
        "task's layout is that of another model"
    )

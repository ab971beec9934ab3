"""The numeric block: every output for a few inputs, whole, and what the runtime's own allocator held meanwhile.

The file of inputs is a task's (worker/samples.py), or holds drawn inputs: then each array has one axis more than the
model's input, and what lies along it are whole inputs, batch and all.

The file of outputs is an .npz with ``output.NAME`` for each output of the model as it is timed, and ``layer.NAME`` for
each output of the instrumented copy where there is one. What the inferences gave lies along the first axis; an output
whose shape changes from one to the next is laid out flat.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from steelyard_agent.worker.arena import read_arena
from steelyard_agent.worker.block import WorkerResult
from steelyard_agent.worker.contract import LoadedModel, TensorSpec
from steelyard_agent.worker.evaluation import write_outputs
from steelyard_agent.worker.failure import BlockFailure, BlockStatus
from steelyard_agent.worker.opening import Bench, explained, for_model, open_model
from steelyard_agent.worker.samples import SampleFile
from steelyard_agent.worker.shapes import fixed_batch, holds_whole_inferences

if TYPE_CHECKING:
    from steelyard_agent.worker.contract import Array

OUTPUT, LAYER = "output.", "layer."
_Feed = dict[str, "Array"]


def run_numeric(bench: Bench) -> WorkerResult:
    """Run every input once and write the outputs to ``block.output_path``.

    Raises:
        BlockFailure: USER_ERROR when data and model do not fit or the quota is used up, UNSUPPORTED for outputs that
            are no numbers, DISK_FULL, or the model cannot be run.
    """
    block = bench.block
    model = open_model(bench)
    feeds = _feeds(Path(block.data_path), model.inputs, block.batch_size)
    outputs = _Outputs(quota_bytes=block.output_quota_bytes)
    _run(bench, model, feeds, outputs, OUTPUT)
    # Its memory is given back before another one of its size is loaded.
    del model
    gc.collect()
    notes = _run_layers(bench, feeds, outputs)
    write_outputs(Path(block.output_path), outputs.arrays())
    bench.say("checked")
    arena = read_arena(bench, feeds[0])
    return replace(
        bench.result,
        sample_count=len(feeds),
        notes=(*bench.result.notes, *notes),
        arena_bytes=arena.byte_count,
        arena_source=arena.source,
    )


def _run(bench: Bench, model: LoadedModel, feeds: Iterable[_Feed], outputs: _Outputs, prefix: str) -> None:
    for feed in feeds:
        call = model.bind(feed)
        with explained(model):
            call()
            outputs.add(prefix, model.fetch())
        bench.say("checking")


def _run_layers(bench: Bench, feeds: list[_Feed], outputs: _Outputs) -> tuple[str, ...]:
    """Run the instrumented copy; that it cannot be run is a note, since the model itself could."""
    if not bench.block.layers_path:
        return ()
    layers = _Outputs(quota_bytes=outputs.left_bytes)
    try:
        model = bench.runtime.load(Path(bench.block.layers_path), bench.options)
        # One input: every layer of a model takes far more room than its outputs.
        _run(bench, model, feeds[:1], layers, LAYER)
    except BlockFailure as failure:
        return (f"the layers could not be looked at: {failure}",)
    outputs.take(layers)
    return ()


def _feeds(path: Path, inputs: tuple[TensorSpec, ...], batch_size: int) -> list[_Feed]:
    with closing(SampleFile(path)) as samples:
        count = samples.count
        arrays = samples.read(count)
    wanted = {spec.name for spec in inputs}
    # Models of one plan may have inputs of their own: the file has those of all.
    arrays = for_model({name: values for name, values in arrays.items() if name in wanted} or arrays, inputs)
    if holds_whole_inferences({name: values.ndim for name, values in arrays.items()}, inputs):
        return [{name: np.array(values[at]) for name, values in arrays.items()} for at in range(count)]
    size = batch_size or fixed_batch(inputs) or 1
    if count < size:
        raise BlockFailure(
            BlockStatus.USER_ERROR,
            "too_few_samples",
            f"the numeric check has {count} samples and the model takes batches of {size}; give the task more samples",
        )
    starts = range(0, count - size + 1, size)
    return [{name: values[start : start + size] for name, values in arrays.items()} for start in starts]


@dataclass(slots=True, kw_only=True)
class _Outputs:
    """Collects outputs of successive inferences, up to a quota."""

    quota_bytes: int
    _parts: dict[str, list[Array]] = field(default_factory=dict)
    _size_bytes: int = 0

    @property
    def left_bytes(self) -> int:
        return self.quota_bytes - self._size_bytes

    def add(self, prefix: str, outputs: Mapping[str, Array]) -> None:
        for name, values in outputs.items():
            if values.dtype.kind not in "fiub":
                raise BlockFailure(
                    BlockStatus.UNSUPPORTED,
                    "output_type",
                    f"output {name!r} is of type {values.dtype}, which the numeric check cannot compare",
                )
            # What the runtime returns may be its own memory, which the next inference writes into.
            self._parts.setdefault(prefix + name, []).append(np.array(np.atleast_1d(values)))
            self._size_bytes += values.nbytes
        if self._size_bytes > self.quota_bytes:
            raise BlockFailure(
                BlockStatus.USER_ERROR,
                "output_quota",
                f"the outputs of the numeric check take more than the {self.quota_bytes} bytes that it may send",
            )

    def take(self, others: _Outputs) -> None:
        self._parts |= others._parts
        self._size_bytes += others._size_bytes

    def arrays(self) -> dict[str, Array]:
        return {name: _joined(parts) for name, parts in self._parts.items()}


def _joined(parts: list[Array]) -> Array:
    if len({part.shape[1:] for part in parts}) > 1:
        parts = [part.reshape(-1) for part in parts]
    return np.concatenate(parts)

"""The evaluation block: the whole data set through the model, untimed, its outputs reduced into one file."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from steelyard_agent.worker.block import WorkerResult
from steelyard_agent.worker.contract import LoadedModel
from steelyard_agent.worker.failure import BlockFailure, BlockStatus
from steelyard_agent.worker.opening import Bench, explained, for_model, open_model, whole_inference
from steelyard_agent.worker.reduce import Reduction
from steelyard_agent.worker.samples import SampleFile
from steelyard_agent.worker.shapes import fixed_batch, holds_whole_inferences

if TYPE_CHECKING:
    from steelyard_agent.worker.contract import Array

# A large data set takes minutes on a small board; the supervisor hears that it goes on.
_SIGN_EVERY_S = 1.0


def run_evaluation(bench: Bench) -> WorkerResult:
    """Run every sample of the data set once and write the reduced outputs to ``block.output_path``.

    Raises:
        BlockFailure: USER_ERROR when data, model and reducer do not fit, DISK_FULL, or the model cannot be run.
    """
    block = bench.block
    model = open_model(bench)
    reduction = Reduction(block=block)
    said_s = time.monotonic()
    with closing(SampleFile(Path(block.data_path))) as samples:
        is_whole = holds_whole_inferences(samples.ranks, model.inputs)
        batch_size, note = (1, "") if is_whole else _batch_size(model, block.batch_size or 1, samples.count)
        while samples.position < samples.count:
            size = min(batch_size, samples.count - samples.position)
            arrays = samples.read(size)
            feeds = whole_inference(arrays) if is_whole else arrays
            call = model.bind(for_model(feeds, model.inputs))
            with explained(model):
                call()
                outputs = model.fetch()
            reduction.add(as_one_sample(outputs) if is_whole else outputs, size)
            if time.monotonic() - said_s >= _SIGN_EVERY_S:
                said_s = time.monotonic()
                bench.say("evaluating")
        count = samples.count
    write_outputs(Path(block.output_path), reduction.arrays())
    notes = (*bench.result.notes, *((note,) if note else ()), *reduction.notes())
    return replace(bench.result, sample_count=count, notes=notes, input_source=f"task data, samples 0 to {count - 1}")


def as_one_sample(outputs: Mapping[str, Array]) -> dict[str, Array]:
    """Return the outputs of one whole inference with a first axis of 1: a state that comes out may have none."""
    return {name: array if array.shape[:1] == (1,) else array[np.newaxis] for name, array in outputs.items()}


def _batch_size(model: LoadedModel, wanted: int, sample_count: int) -> tuple[int, str]:
    fixed = fixed_batch(model.inputs)
    if fixed is None or fixed == wanted == 1:
        return wanted, ""
    if sample_count % fixed:
        raise BlockFailure(
            BlockStatus.USER_ERROR,
            "fixed_batch",
            f"the model takes batches of exactly {fixed} and the data set has {sample_count} samples; "
            f"export it with a dynamic first dimension, or use a multiple of {fixed} samples",
        )
    return fixed, "" if fixed == wanted else f"evaluated in batches of {fixed}, the model's own, not of {wanted}"


def write_outputs(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write an .npz under a temporary name and rename it, so that no reader ever sees half of one."""
    partial = path.with_name(path.name + ".partial")
    try:
        # Written member by member: np.savez cannot take an output that is called "file".
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, values in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.ascontiguousarray(values), allow_pickle=False)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)

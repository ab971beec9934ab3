"""The first phases of every block: the runtime imported, the model loaded, its inputs made."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from steelyard_agent.runtimes.lookup import find_runtime
from steelyard_agent.worker.batching import batch_of, check_batch
from steelyard_agent.worker.block import Block, WorkerResult
from steelyard_agent.worker.cache_witness import CacheWitness
from steelyard_agent.worker.codec import decode_runtime_options
from steelyard_agent.worker.contention import ContentionWatch
from steelyard_agent.worker.contract import LoadedModel, Runtime, RuntimeOptions, TensorSpec
from steelyard_agent.worker.drawing import draw_inputs
from steelyard_agent.worker.failure import BlockFailure, BlockStatus
from steelyard_agent.worker.memory import MemoryLog
from steelyard_agent.worker.samples import SampleFile
from steelyard_agent.worker.shapes import fixed_batch, holds_whole_inferences, resolve_shapes
from steelyard_agent.worker.state import fresh_state, fresh_state_shapes

if TYPE_CHECKING:
    from steelyard_agent.worker.contract import Array


@dataclass(slots=True, kw_only=True)
class Bench:
    """What a block has at hand once its runtime is imported; ``say`` tells the supervisor that a phase ended."""

    block: Block
    options: RuntimeOptions
    runtime: Runtime
    say: Callable[[str], None]
    result: WorkerResult
    memory: MemoryLog = field(default_factory=MemoryLog)
    contention: ContentionWatch = field(default_factory=ContentionWatch)

    def reached(self, phase: str) -> None:
        """Read the memory and tell the supervisor; between timed windows only."""
        self.memory.read(phase)
        self.say(phase)


def open_runtime(block: Block, say: Callable[[str], None], *, note: str = "", begun_ns: int | None = None) -> Bench:
    """Import the runtime; ``begun_ns`` is when importing began, for callers that imported numpy before.

    Raises:
        BlockFailure: RUNTIME_MISSING, or USER_ERROR for options that make no sense.
    """
    begun_ns = time.perf_counter_ns() if begun_ns is None else begun_ns
    options, notes = _options(block, note)
    runtime = find_runtime(block.runtime_name)
    version = runtime.version()
    # numpy imports it on use: after the baseline it would count as 6.5 MiB of the model whose inputs are drawn.
    importlib.import_module("numpy.random")
    took_ns = time.perf_counter_ns() - begun_ns
    result = WorkerResult(runtime_version=version, runtime_import_ns=took_ns, notes=notes)
    bench = Bench(block=block, options=options, runtime=runtime, say=say, result=result)
    bench.memory.start()
    say("imported")
    return bench


def open_model(bench: Bench) -> LoadedModel:
    """Load the model, which is timed, and put what it says about itself into the result.

    Raises:
        BlockFailure: as for ``Runtime.load``, and USER_ERROR when there is no such file.
    """
    path = Path(bench.block.model_path)
    refuse_missing_file(path)
    folder = Path(bench.block.cache_folder) if bench.block.cache_folder else None
    witness = CacheWitness.of(folder) if folder is not None else None
    begun_ns = time.perf_counter_ns()
    model = bench.runtime.load(path, bench.options)
    took_ns = time.perf_counter_ns() - begun_ns
    bench.reached("loaded")
    bench.result = replace(
        bench.result,
        model_load_ns=took_ns,
        prepared_cache_hit=_is_hit(model, witness, CacheWitness.of(folder)) if witness and folder else None,
        providers=tuple(model.providers),
        placements=dict(model.placements),
        inputs=tuple(_described(spec) for spec in model.inputs),
        outputs=tuple(_described(spec) for spec in model.outputs),
        notes=(*bench.result.notes, *model.notes),
    )
    return model


def refuse_missing_file(path: Path) -> None:
    """Refuse a model that is not there.

    Raises:
        BlockFailure: USER_ERROR.
    """
    if not path.is_file():
        raise BlockFailure(BlockStatus.USER_ERROR, "no_such_model", f"there is no model file {str(path)!r}")


def make_feeds(bench: Bench, model: LoadedModel) -> dict[str, Array]:
    """Return one batch of inputs, from the task's data where the block has some, else drawn by signature.

    Inputs that carry the state of a step-wise block are zeros, whatever their names: every sequence begins so.

    Raises:
        BlockFailure: USER_ERROR for a dynamic shape without a size, a batch that the model does not take, or data that
            does not fit.
    """
    block, given = bench.block, dict(bench.options.input_shapes)
    states = block.mode.state_outputs
    others = tuple(spec for spec in model.inputs if spec.name not in states)
    if block.data_path:
        feeds, source, count = _task_data(block, model.inputs, others, given)
        given |= {spec.name: feeds[spec.name].shape for spec in others if spec.name in feeds}
        shapes = fresh_state_shapes(model.inputs, states, given, count)
    else:
        check_batch(others, given, block.batch_size)
        given |= fresh_state_shapes(model.inputs, states, given, block.batch_size or 1)
        shapes = resolve_shapes(model.inputs, given, block.batch_size or 1)
        feeds, source = draw_inputs(model.inputs, shapes, block.seed), f"drawn by signature, seed {block.seed}"
        shapes = {name: shapes[name] for name in states}
    feeds |= fresh_state(model.inputs, shapes)
    bench.result = replace(
        bench.result,
        input_source=source + (f"; zeros for {', '.join(states)}" if states else ""),
        batch_size=batch_of(feeds, block.batch_size, states),
    )
    return feeds


def _task_data(
    block: Block, inputs: tuple[TensorSpec, ...], others: tuple[TensorSpec, ...], given: Mapping[str, tuple[int, ...]]
) -> tuple[dict[str, Array], str, int]:
    """Return one batch of the task's data, where it is from, and its samples; ``others`` carry no state."""
    with closing(SampleFile(Path(block.data_path))) as samples:
        if holds_whole_inferences(samples.ranks, inputs):
            if block.batch_size > 1:
                raise BlockFailure(
                    BlockStatus.USER_ERROR,
                    "fixed_batch",
                    f"each sample of the task is all that one inference takes, and a batch of {block.batch_size} was "
                    "asked for; leave the batch out",
                )
            return for_model(whole_inference(samples.read(1)), others), "task data, sample 0", 1
        check_batch(others, given, block.batch_size)
        count = block.batch_size or fixed_batch(others) or 1
        source = "task data, sample 0" if count == 1 else f"task data, samples 0 to {count - 1}"
        return for_model(samples.read(count), others), source, count


def whole_inference(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return what one inference takes of samples that are whole ones, read one at a time."""
    return {name: np.array(values[0]) for name, values in arrays.items()}


def for_model(arrays: dict[str, Array], inputs: tuple[TensorSpec, ...]) -> dict[str, Array]:
    """Return the arrays under the model's names: a converted model's only input may be called otherwise."""
    if len(arrays) == 1 and len(inputs) == 1:
        return {inputs[0].name: next(iter(arrays.values()))}
    return arrays


@contextmanager
def explained(model: LoadedModel) -> Iterator[None]:
    """Turn an exception of the bound call into the failure that the adapter explains it with."""
    try:
        yield
    except BlockFailure:
        raise
    except Exception as error:
        failure = model.explain(error)
        if failure is None:
            raise
        raise failure from error


def _is_hit(model: LoadedModel, before: CacheWitness, after: CacheWitness) -> bool:
    """Return whether the load is proven to come from the cache: by its folder, and by the runtime where it says so."""
    return before.proves_hit(after) and model.loaded_from_cache is not False


def _options(block: Block, note: str) -> tuple[RuntimeOptions, tuple[str, ...]]:
    notes = (note,) if note else ()
    try:
        options = replace(decode_runtime_options(block.runtime), cache_folder=block.cache_folder)
    except ValueError as error:
        raise BlockFailure(BlockStatus.USER_ERROR, "runtime_options", f"the runtime's options: {error}") from error
    if block.core_ids and options.intra_op_thread_count is None:
        # Left to themselves runtimes make a thread per core of the machine and may even move them off the pinned ones.
        options = replace(options, intra_op_thread_count=len(block.core_ids))
        notes = (*notes, f"{len(block.core_ids)} intra-op threads, one for each pinned core")
    return options, notes


def _described(spec: TensorSpec) -> dict[str, object]:
    return {**asdict(spec), "shape": list(spec.shape)}

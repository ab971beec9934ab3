"""Measures one model file with no controller: a few launches, their medians and their spread.

No verdict and no interval: those need rounds beside a reference, and live on the controller.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from steelyard_agent.block_runner import BlockOutcome, run_block
from steelyard_agent.errors import AgentError
from steelyard_agent.runtimes.lookup import runtime_name_for_file
from steelyard_agent.standalone_modes import ModeFigures, mode_figures
from steelyard_agent.worker.block import KIND_LATENCY, Block, Timing, WorkerResult
from steelyard_agent.worker.codec import encode_runtime_options
from steelyard_agent.worker.contract import RuntimeOptions
from steelyard_agent.worker.failure import BlockFailure, BlockStatus
from steelyard_agent.worker.modes import Mode
from steelyard_agent.worker.percentiles import ninetieth_ns

SCHEMA_VERSION = 1

_OF_THE_USER = frozenset({BlockStatus.USER_ERROR, BlockStatus.INVALID_MODEL, BlockStatus.RUNTIME_MISSING})


class MeasurementError(AgentError):
    """A launch did not end well; ``status`` says how."""

    def __init__(self, status: BlockStatus, reason: str, message: str) -> None:
        super().__init__(reason, message)
        self.status = status
        self.exit_code = 2 if status in _OF_THE_USER else 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What one fresh process measured; ``p90_ns`` is None when there were too few samples to say it.

    ``loaded_from_cache`` is whether the load was proven to take what an earlier launch compiled, None where nothing was
    compiled that could be kept.
    """

    p50_ns: float
    p90_ns: float | None
    sample_count: int
    process_start_ns: int | None
    runtime_import_ns: int | None
    model_load_ns: int | None
    first_inference_ns: int | None
    warmup_ns: int | None
    memory_phases: dict[str, dict[str, int]]
    peak_resident_bytes: int | None
    peak_source: str
    memory_reason: str
    mode_figures: ModeFigures | None = None
    loaded_from_cache: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StandaloneReport:
    """All that the launches of one file said. Times are nanoseconds, memory is bytes.

    ``emulated_by`` is what emulates the processor ("" for none): times and memory of such a report are not shown.
    """

    model_path: str
    size_bytes: int
    runtime: str
    runtime_version: str
    runtime_options: dict[str, object]
    providers: tuple[str, ...]
    input_source: str
    inputs: tuple[dict[str, object], ...]
    outputs: tuple[dict[str, object], ...]
    launches: tuple[Launch, ...]
    # Nodes that each provider runs, None where the runtime does not tell.
    placements: dict[str, int | None] = field(default_factory=dict)
    core_ids: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    emulated_by: str = ""
    mode: Mode = field(default_factory=Mode)
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        """Refuse a report of nothing."""
        if not self.launches:
            raise ValueError(f"a report of {self.model_path} without a launch")


async def measure_file(
    path: Path,
    *,
    runtime: str | None = None,
    options: RuntimeOptions | None = None,
    rounds: int,
    timing: Timing | None = None,
    mode: Mode | None = None,
    batch_size: int = 0,
    seed: int = 0,
    core_ids: tuple[int, ...] = (),
    block_timeout_s: float,
    memory_limit_bytes: int | None = None,
    python: Path | None = None,
    emulated_by: str = "",
    on_launch: Callable[[int, BlockOutcome], None] | None = None,
    on_phase: Callable[[str], None] | None = None,
) -> StandaloneReport:
    """Measure a file in ``rounds`` fresh processes; ``on_launch`` hears the index and outcome of each as it ends.

    ``on_phase`` hears the phases of each as they end. ``batch_size`` 0 leaves the batch to the model.
    A runtime that compiles does so in the first, and the others load what it made.

    Raises:
        MeasurementError: the file cannot be measured; the first launch that fails ends the measurement.
        ValueError: a number that makes no sense.
    """
    if rounds < 1:
        raise ValueError(f"rounds is {rounds}; 1 is the least")
    block = Block(
        kind=KIND_LATENCY,
        model_path=str(_existing(path)),
        runtime_name=_runtime_name(path, runtime),
        runtime=encode_runtime_options(options or RuntimeOptions()),
        timing=timing or Timing(),
        mode=mode or Mode(),
        batch_size=batch_size,
        seed=seed,
        core_ids=core_ids,
    )
    results: list[WorkerResult] = []
    with (
        tempfile.TemporaryDirectory(prefix="steelyard-measure-") as work_dir,
        tempfile.TemporaryDirectory(prefix="steelyard-compiled-") as cache_folder,
    ):
        block = replace(block, cache_folder=cache_folder)
        for index in range(rounds):
            outcome = await run_block(
                block,
                timeout_s=block_timeout_s + _silence_s(block),
                memory_limit_bytes=memory_limit_bytes,
                python=python,
                work_dir=Path(work_dir),
                on_phase=on_phase,
            )
            if on_launch is not None:
                on_launch(index, outcome)
            results.append(_result_of(outcome))
        results = _with_hits(results, Path(cache_folder))
    return replace(_report(path, block, results), emulated_by=emulated_by)


def _result_of(outcome: BlockOutcome) -> WorkerResult:
    if outcome.result is None:
        raise MeasurementError(outcome.status, outcome.reason, outcome.message)
    return outcome.result


def _silence_s(block: Block) -> float:
    """Return how long the worker gives no sign: a window that a mode makes longer is no worker that is stuck."""
    return block.mode.silence_ms(block.timing.sample_window_ms, block.timing.min_sample_count) / 1000


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise MeasurementError(BlockStatus.USER_ERROR, "no_such_model", f"there is no model file {str(path)!r}")
    return path.resolve()


def _runtime_name(path: Path, runtime: str | None) -> str:
    try:
        return runtime or runtime_name_for_file(path)
    except BlockFailure as failure:
        raise MeasurementError(failure.status, failure.reason, str(failure)) from failure


def _with_hits(results: list[WorkerResult], cache_folder: Path) -> list[WorkerResult]:
    """Return the results without hits and misses where nothing was ever kept: then there was nothing to compile."""
    if any(cache_folder.iterdir()):
        return results
    return [replace(result, prepared_cache_hit=None) for result in results]


def _report(path: Path, block: Block, results: Sequence[WorkerResult]) -> StandaloneReport:
    last = results[-1]
    notes = dict.fromkeys(note for result in results for note in result.notes)
    if unsteady := sum(result.warmup_steady is False for result in results):
        notes[f"{unsteady} of {len(results)} launches were not steady after warm-up; run again on an idle device"] = (
            None
        )
    return StandaloneReport(
        model_path=str(path),
        size_bytes=path.stat().st_size,
        runtime=block.runtime_name,
        runtime_version=last.runtime_version,
        runtime_options=dict(block.runtime),
        providers=last.providers,
        input_source=last.input_source,
        inputs=last.inputs,
        outputs=last.outputs,
        mode=block.mode,
        launches=tuple(_launch(result) for result in results),
        placements=dict(last.placements),
        core_ids=block.core_ids,
        notes=tuple(notes),
    )


def _launch(result: WorkerResult) -> Launch:
    ordered = sorted(result.latency_ns)
    return Launch(
        p50_ns=median(ordered),
        p90_ns=ninetieth_ns(ordered),
        sample_count=len(ordered),
        process_start_ns=result.process_start_ns,
        runtime_import_ns=result.runtime_import_ns,
        model_load_ns=result.model_load_ns,
        first_inference_ns=result.first_inference_ns,
        warmup_ns=result.warmup_ns,
        memory_phases=result.memory_phases,
        peak_resident_bytes=result.peak_resident_bytes,
        peak_source=result.peak_source,
        memory_reason=result.memory_reason,
        mode_figures=mode_figures(result),
        loaded_from_cache=result.prepared_cache_hit,
    )

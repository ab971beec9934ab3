"""Measures one model file with no controller: a few launches, their medians and their spread.

No verdict and no interval: those need rounds beside a reference, and live on the controller.
"""

from __future__ import annotations

import tempfile
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median

from steelyard_agent.block_runner import BlockOutcome, run_block
from steelyard_agent.cores import format_cores
from steelyard_agent.emulation import not_a_latency, not_its_own
from steelyard_agent.errors import AgentError
from steelyard_agent.figure_text import bytes_text, duration_text, known, spread_text
from steelyard_agent.runtimes.lookup import runtime_name_for_file
from steelyard_agent.standalone_modes import (
    LEAST_FOR_P90,
    ModeFigures,
    latency_name,
    mode_figures,
    mode_lines,
    ninetieth,
)
from steelyard_agent.worker.block import KIND_LATENCY, Block, Timing, WorkerResult
from steelyard_agent.worker.codec import encode_runtime_options
from steelyard_agent.worker.contract import RuntimeOptions
from steelyard_agent.worker.failure import BlockFailure, BlockStatus
from steelyard_agent.worker.modes import Mode

SCHEMA_VERSION = 1

_COLUMNS = 80
_NOT_EMULATED = frozenset({"memory_phases", "peak_resident_bytes", "mode_figures"})
_PHASES = ("imported", "loaded", "first_run", "steady")
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
    # Not a second is lost: a window that a mode makes longer would be taken for a worker that is stuck.
    silence_ms = block.mode.silence_ms(block.timing.sample_window_ms, block.timing.min_sample_count)
    results: list[WorkerResult] = []
    with (
        tempfile.TemporaryDirectory(prefix="steelyard-measure-") as work_dir,
        tempfile.TemporaryDirectory(prefix="steelyard-compiled-") as cache_folder,
    ):
        block = replace(block, cache_folder=cache_folder)
        for index in range(rounds):
            outcome = await run_block(
                block,
                timeout_s=block_timeout_s + silence_ms / 1000,
                memory_limit_bytes=memory_limit_bytes,
                python=python,
                work_dir=Path(work_dir),
                on_phase=on_phase,
            )
            if on_launch is not None:
                on_launch(index, outcome)
            if outcome.result is None:
                raise MeasurementError(outcome.status, outcome.reason, outcome.message)
            results.append(outcome.result)
        results = _with_hits(results, Path(cache_folder))
    return replace(_report(path, block, results), emulated_by=emulated_by)


def report_to_json(report: StandaloneReport) -> dict[str, object]:
    """Return the report as a JSON object with ``schema_version``; tuples become lists.

    Times and memory under emulation are null.
    """
    launches = [_launch_to_json(launch, emulated=bool(report.emulated_by)) for launch in report.launches]
    return {name: _plain(value) for name, value in ({**asdict(report), "launches": launches}).items()}


def report_lines(report: StandaloneReport) -> list[str]:
    """Return the report as plain text, at most 80 columns wide."""
    lines = [
        f"{Path(report.model_path).name}, {bytes_text(report.size_bytes)}, {report.runtime} {report.runtime_version}",
        f"providers: {', '.join(_placed(report, name) for name in report.providers)}{_threads(report)}",
        f"input: {report.input_source}",
        *([f"pinned to cores {format_cores(report.core_ids)}"] if report.core_ids else []),
        "",
        *_figure_lines(report),
        "",
        "A figure is the median over launches (lowest to highest). No verdict: compare",
        "models with `steelyard measure`, which interleaves them.",
        *(f"note: {note}" for note in report.notes),
    ]
    return [part for line in lines for part in _wrapped(line)]


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _launch_to_json(launch: Launch, *, emulated: bool) -> dict[str, object]:
    def is_told(name: str) -> bool:
        return not (emulated and (name.endswith("_ns") or name in _NOT_EMULATED))

    return {name: value if is_told(name) else None for name, value in asdict(launch).items()}


def _figure_lines(report: StandaloneReport) -> list[str]:
    if report.emulated_by:
        return [
            f"latency          not said: {not_a_latency(report.emulated_by)}",
            f"memory           not said: {not_its_own(report.emulated_by)}",
        ]
    # Compiling takes memory of its own, which is not the model's.
    plain = [launch for launch in report.launches if launch.loaded_from_cache is not False]
    return [*_time_lines(report.mode, report.launches), "", *_memory_lines(plain or report.launches)]


def _time_lines(mode: Mode, launches: Sequence[Launch]) -> list[str]:
    name, count = latency_name(mode), len(launches)
    figures = [launch.mode_figures for launch in launches if launch.mode_figures is not None]
    medians = [launch.p50_ns for launch in launches]
    ninetieths = [launch.p90_ns for launch in launches if launch.p90_ns is not None]
    return [
        f"{name + ' p50':<16} {spread_text(medians, duration_text)} over {count} launch{'es' * (count > 1)}",
        _ninetieth_line(name, ninetieths),
        *(mode_lines(mode, figures) if figures else ()),
        _time_line("process start", known(launch.process_start_ns for launch in launches)),
        _time_line("runtime import", known(launch.runtime_import_ns for launch in launches)),
        *_load_lines(launches),
        _time_line("first inference", known(launch.first_inference_ns for launch in launches)),
        _time_line("warm-up", known(launch.warmup_ns for launch in launches)),
    ]


def _time_line(label: str, values: Sequence[float]) -> str:
    return f"{label:<16} {spread_text(values, duration_text)}"


def _load_lines(launches: Sequence[Launch]) -> list[str]:
    """Return the load of the model; where it is compiled, the loads that built it apart from those of what was kept."""
    if all(launch.loaded_from_cache is None for launch in launches):
        return [_time_line("model load", known(launch.model_load_ns for launch in launches))]
    built = known(launch.model_load_ns for launch in launches if not launch.loaded_from_cache)
    cached = known(launch.model_load_ns for launch in launches if launch.loaded_from_cache)
    if cached:
        return [_time_line("model build", built), _time_line("cached load", cached)]
    why = "no launch took it from the cache" if len(launches) > 1 else "the one launch built it; --rounds 2 or more"
    return [_time_line("model build", built), f"cached load      not measured: {why}"]


def _placed(report: StandaloneReport, name: str) -> str:
    count = report.placements.get(name)
    return name if count is None else f"{name} ({count} node{'s' * (count != 1)})"


def _threads(report: StandaloneReport) -> str:
    # The controller asks for one; unsaid, a figure from here would be compared with one from there.
    count = report.runtime_options.get("intra_op_thread_count")
    if count is None:
        # With pinned cores the adapter decides, and says so in a note.
        return "" if report.core_ids else "; threads: as the runtime chooses"
    return f"; threads: {count}"


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
        p90_ns=ninetieth(ordered),
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


def _ninetieth_line(name: str, ninetieths: Sequence[float]) -> str:
    if ninetieths:
        return f"{name + ' p90':<16} {spread_text(ninetieths, duration_text)}"
    return f"{name + ' p90':<16} not said: fewer than {LEAST_FOR_P90} samples in every launch"


def _memory_lines(launches: Sequence[Launch]) -> list[str]:
    lines = []
    for phase in _PHASES:
        sizes = known(launch.memory_phases.get(phase, {}).get("resident_bytes") for launch in launches)
        if sizes:
            lines.append(f"{'memory ' + phase:<16} {spread_text(sizes, bytes_text)} resident")
    if not lines:
        lines.append(f"memory by phase  unavailable: {launches[-1].memory_reason}")
    peaks = known(launch.peak_resident_bytes for launch in launches)
    source = launches[-1].peak_source
    return [*lines, f"memory peak      {spread_text(peaks, bytes_text) if peaks else 'unavailable'} ({source})"]


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, _COLUMNS, subsequent_indent="  ", break_on_hyphens=False) or [""]

"""What ``steelyard-agent measure`` says of one file: lines for people, and JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from steelyard_agent.cores import format_cores
from steelyard_agent.emulation import not_a_latency, not_its_own
from steelyard_agent.figure_text import bytes_text, duration_text, known, spread_text
from steelyard_agent.standalone import Launch, StandaloneReport
from steelyard_agent.standalone_modes import latency_name, mode_lines
from steelyard_agent.worker.modes import Mode
from steelyard_agent.worker.percentiles import LEAST_FOR_P90

_COLUMNS = 80
_NOT_EMULATED = frozenset({"memory_phases", "peak_resident_bytes", "mode_figures"})
_PHASES = ("imported", "loaded", "first_run", "steady")


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

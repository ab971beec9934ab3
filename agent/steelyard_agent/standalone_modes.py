"""What a mode adds to the report of one file: throughput, response times, a curve, the times of steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import median

from steelyard_agent.figure_text import duration_text, spread_text
from steelyard_agent.worker import modes
from steelyard_agent.worker.block import CurvePoint, WorkerResult
from steelyard_agent.worker.modes import Mode
from steelyard_agent.worker.percentiles import LEAST_FOR_P90, ninetieth_ns

_MOST_CURVE_ROWS = 24
_NEVER_NS = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeFigures:
    """What one launch measured in its mode; the fields are those of ``WorkerResult``, percentiles apart."""

    batch_size: int | None
    inference_count: int
    window_ns: int | None
    cpu_ns: int | None
    response_p50_ns: float | None = None
    response_p90_ns: float | None = None
    missed_count: int = 0
    curve: tuple[CurvePoint, ...] = ()
    sequences: tuple[tuple[int, ...], ...] = ()


def mode_figures(result: WorkerResult) -> ModeFigures:
    """Return what a launch measured in its mode.

    An arrival that never began has a response time longer than any that did: a percentile that falls among them is not
    said.
    """
    response = [*sorted(result.response_ns), *[_NEVER_NS] * result.missed_count]
    return ModeFigures(
        batch_size=result.batch_size,
        inference_count=result.sample_count,
        window_ns=result.window_ns,
        cpu_ns=result.cpu_ns,
        response_p50_ns=_begun(median(response) if response else None),
        response_p90_ns=_begun(ninetieth_ns(response)),
        missed_count=result.missed_count,
        curve=result.curve,
        sequences=result.sequences,
    )


def _begun(value_ns: float | None) -> float | None:
    # A percentile may lie a part of the way to an arrival that never began: a thirtieth of it at least.
    return value_ns if value_ns is not None and value_ns < _NEVER_NS / 64 else None


def mode_lines(mode: Mode, launches: Sequence[ModeFigures]) -> list[str]:
    """Return the lines of a mode, without those of latency: a name in sixteen columns, then the figure."""
    return [*_LINES[mode.name](mode, launches), *_cpu_lines(launches)]


def latency_name(mode: Mode) -> str:
    """Return what the time from the start of an inference to its end is called in a mode."""
    return {modes.PACED: "service", modes.STEPWISE: "step"}.get(mode.name, "latency")


def _nothing(mode: Mode, launches: Sequence[ModeFigures]) -> Iterator[str]:
    del mode, launches
    yield from ()


def _throughput(mode: Mode, launches: Sequence[ModeFigures]) -> Iterator[str]:
    rates = [one.inference_count * (one.batch_size or 1) / one.window_ns * 1e9 for one in launches if one.window_ns]
    batch_size = launches[-1].batch_size or 1
    parts = [f"{mode.stream_count} streams"] * bool(mode.stream_count)
    parts += [f"batches of {batch_size}"] * (batch_size > 1)
    yield _line("throughput", ", ".join([f"{spread_text(rates, _rate)} samples a second", *parts]))


def _response(mode: Mode, launches: Sequence[ModeFigures]) -> Iterator[str]:
    def shown(name: str) -> list[float]:
        return [value for one in launches if (value := getattr(one, name)) is not None]

    few = f"not said: fewer than {LEAST_FOR_P90} arrivals in every launch, or too many never began"
    for name, why in (("p50", "not said: half of the arrivals never began"), ("p90", few)):
        values = shown(f"response_{name}_ns")
        yield _line(f"response {name}", spread_text(values, duration_text) if values else why)
    missed, begun = sum(one.missed_count for one in launches), sum(one.inference_count for one in launches)
    kind = "random" if mode.random_arrivals else "even"
    never = f"{missed} of {missed + begun} never began" if missed else f"all {begun} began"
    yield _line("arrivals", f"{mode.rate_hz:g} a second, {kind}; {never} within the window")


def _curve(mode: Mode, launches: Sequence[ModeFigures]) -> Iterator[str]:
    del mode
    for number, one in enumerate(launches, start=1):
        title = f"curve of launch {number}" if len(launches) > 1 else "curve"
        yield f"{title:<20}{'p50':>10}{'p90':>10}{'inferences':>13}{'Cel':>8}{'MHz':>8}"
        stride = -(-len(one.curve) // _MOST_CURVE_ROWS)
        yield from map(_point, one.curve[::stride])
        if stride > 1:
            yield f"  one in {stride} of {len(one.curve)} points is shown; --json has all"
        first, last = one.curve[0], one.curve[-1]
        yield _line("last to first", f"{last.p50_ns / first.p50_ns - 1:+.1%} in p50")


def _point(point: CurvePoint) -> str:
    p90 = duration_text(point.p90_ns) if point.p90_ns is not None else "-"
    heat = f"{point.temperature_c:.1f}" if point.temperature_c is not None else "-"
    clock = f"{point.frequency_hz / 1e6:.0f}" if point.frequency_hz is not None else "-"
    at = f"  at {point.offset_ms / 1000:.1f} s"
    return f"{at:<20}{duration_text(point.p50_ns):>10}{p90:>10}{point.inference_count:>13}{heat:>8}{clock:>8}"


def _steps(mode: Mode, launches: Sequence[ModeFigures]) -> Iterator[str]:
    """State the time up to each number of steps: over the sequences of a launch, then over launches."""
    first = [median(steps[0] for steps in one.sequences) for one in launches]
    yield _line("first step", spread_text(first, duration_text))
    for count in mode.step_counts:
        until = [median(list(accumulate(steps))[count - 1] for steps in one.sequences) for one in launches]
        each = duration_text(median(until) / count)
        yield _line(f"{count} step{'s' * (count > 1)}", f"{spread_text(until, duration_text)}, {each} each")


def _cpu_lines(launches: Sequence[ModeFigures]) -> Iterator[str]:
    cores = [one.cpu_ns / one.window_ns for one in launches if one.cpu_ns is not None and one.window_ns]
    if cores:
        yield _line("CPU while timed", f"{spread_text(cores, lambda value: f'{value:.2f}')} cores")


def _rate(per_s: float) -> str:
    return f"{per_s:.3g}" if per_s < 999.5 else f"{per_s:,.0f}"


def _line(name: str, text: str) -> str:
    return f"{name:<16} {text}"


_LINES: dict[str, Callable[[Mode, Sequence[ModeFigures]], Iterator[str]]] = {
    modes.SINGLE_STREAM: _nothing,
    modes.OFFLINE: _throughput,
    modes.PACED: _response,
    modes.MULTI_STREAM: _throughput,
    modes.SUSTAINED: _curve,
    modes.STEPWISE: _steps,
}

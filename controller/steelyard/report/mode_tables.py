"""The tables that a plan's mode adds to a report, on a terminal and on the page alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from steelyard.report.figures import failed
from steelyard.report.mode_words import mode_text
from steelyard_protocol.v1 import measurement_pb2, plan_pb2, result_pb2

_Variant = measurement_pb2.VariantMeasurement
Shown = measurement_pb2.Estimate | str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeTable:
    """A table: a title, the heads of its columns, and rows of a label and as many figures or texts.

    ``is_detail`` is of one that decides nothing in its mode: a first screen leaves it out.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Shown, ...]], ...]
    is_detail: bool = False


def decisive_columns(measurement: measurement_pb2.Measurement) -> dict[str, list[measurement_pb2.Estimate]]:
    """Return the figures beside accuracy and speed-up that decide in this mode: by column, one a variant that ran."""
    ran = _ran(measurement)
    mode = measurement.plan.mode
    p50 = {"p50": [one.p50_latency for one in ran]}
    p90 = {"p90": [one.p90_latency for one in ran]}
    if mode.mode == plan_pb2.MODE_OFFLINE:
        return {"throughput": [one.throughput for one in ran], "p50 of a batch": [one.p50_latency for one in ran]}
    if mode.mode == plan_pb2.MODE_MULTI_STREAM:
        return {"throughput": [one.throughput for one in ran], **p50, **p90}
    if mode.mode == plan_pb2.MODE_PACED:
        return {"response p50": [one.p50_response for one in ran], "response p90": [one.p90_response for one in ran]}
    if mode.mode == plan_pb2.MODE_SUSTAINED:
        return {"last quarter": [one.curve_end for one in ran], "p50 of all": [one.p50_latency for one in ran]}
    if mode.mode == plan_pb2.MODE_STEPWISE and all(one.steps for one in ran):
        count = mode.step_counts[-1]
        return {
            f"{count} steps": [one.steps[-1].total for one in ran],
            "per step": [one.steps[-1].per_step for one in ran],
        }
    return p50 | p90


def mode_tables(measurement: measurement_pb2.Measurement) -> Iterator[ModeTable]:
    """Return the tables of a measurement, those of its mode first."""
    ran = _ran(measurement)
    mode = measurement.plan.mode.mode
    makers = {
        plan_pb2.MODE_PACED: _responses,
        plan_pb2.MODE_SUSTAINED: _curves,
        plan_pb2.MODE_STEPWISE: _steps,
    }
    if ran and mode in makers:
        yield makers[mode](measurement, ran)
    told = [one for one in ran if one.HasField("throughput") or one.HasField("busy_cores")]
    if told:
        yield _tails(measurement, told)
    around = [one for one in ran if one.HasField("preprocessing") or one.HasField("postprocessing")]
    if around:
        head = ("preprocessing", "model p50", "postprocessing")
        rows = _rows(around, lambda one: (one.preprocessing, one.p50_latency, one.postprocessing))
        yield ModeTable(title="around the model, by numpy on the device", head=head, rows=rows, is_detail=True)


def _tails(measurement: measurement_pb2.Measurement, ran: Sequence[_Variant]) -> ModeTable:
    is_paced = measurement.plan.mode.mode == plan_pb2.MODE_PACED
    name = "service " if is_paced else ""
    shows_rate = "throughput" not in decisive_columns(measurement)
    head = (f"{name}p95", f"{name}p99", *(("throughput",) if shows_rate else ()), "busy cores")
    rows = _rows(
        ran,
        lambda one: (
            *(one.p95_latency, one.p99_latency),
            *((one.throughput,) if shows_rate else ()),
            one.busy_cores,
        ),
    )
    return ModeTable(title="tail and load", head=head, rows=rows, is_detail=True)


def _responses(measurement: measurement_pb2.Measurement, ran: Sequence[_Variant]) -> ModeTable:
    rows = _rows(ran, lambda one: (one.p99_response, one.missed, one.p50_latency, one.p90_latency))
    head = ("response p99", "never began", "service p50", "service p90")
    return ModeTable(title=mode_text(measurement.plan), head=head, rows=rows)


def _curves(measurement: measurement_pb2.Measurement, ran: Sequence[_Variant]) -> ModeTable:
    rows = _rows(ran, lambda one: (one.curve_start, one.curve_slowdown, _temperatures(one.curve), _clocks(one.curve)))
    head = ("first quarter", "last is slower by", "temperature", "clock")
    return ModeTable(title=mode_text(measurement.plan), head=head, rows=rows)


def _steps(measurement: measurement_pb2.Measurement, ran: Sequence[_Variant]) -> ModeTable:
    """Return a row for each stated number of steps: sixteen of them would not fit beside each other."""
    rows = tuple(
        (one.label, (str(at.step_count), at.total, at.per_step if at.step_count > 1 else ""))
        for one in ran
        for at in one.steps
    )
    return ModeTable(title="from a state of zeros", head=("steps", "in all", "each after the first"), rows=rows)


def _temperatures(curve: Iterable[result_pb2.CurvePoint]) -> str:
    return _ends([f"{one.temperature_c:.0f}" for one in curve if one.HasField("temperature_c")], "C")


def _clocks(curve: Iterable[result_pb2.CurvePoint]) -> str:
    return _ends([f"{one.frequency_hz / 1e9:.2f}" for one in curve if one.HasField("frequency_hz")], "GHz")


def _ends(values: Sequence[str], unit: str) -> str:
    return f"{values[0]} to {values[-1]} {unit}" if values else "not read"


def _rows(
    ran: Sequence[_Variant], figures_of: Callable[[_Variant], tuple[Shown, ...]]
) -> tuple[tuple[str, tuple[Shown, ...]], ...]:
    return tuple((one.label, figures_of(one)) for one in ran)


def _ran(measurement: measurement_pb2.Measurement) -> list[_Variant]:
    return [one for one in measurement.variants if not failed(one)]

"""Operators of a variant as people read them: a table of the longest, and sentences on what they add up to."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from steelyard.report.figures import failed, failure_text, one_line, runtime_text
from steelyard.report.labels import short_labels
from steelyard.report.listings import hanging, plain_table
from steelyard.stats.formatting import format_value
from steelyard_protocol.v1 import measurement_pb2, result_pb2

_NAME_COLUMNS, _KIND_COLUMNS, _PLACE_COLUMNS = 22, 15, 8
_PROVIDER_SUFFIX = "ExecutionProvider"
_NOT_KNOWN = "-"
_BEYOND_PERCENT = 100


def has_operators(variant: measurement_pb2.VariantMeasurement) -> bool:
    """Return whether anything was asked about the operators of a variant."""
    return variant.HasField("operators")


def short_provider(name: str) -> str:
    """Return "CPU" for "CPUExecutionProvider"."""
    return name.removesuffix(_PROVIDER_SUFFIX) or name


def operator_table(summary: measurement_pb2.OperatorSummary, *, top: int) -> Table:
    """Return the longest operators as a table of at most 80 columns; ``top`` 0: all of them."""
    shown = list(summary.operators[:top] if top else summary.operators)
    table = plain_table()
    for name in ("operator", "kind", "on"):
        table.add_column(name, no_wrap=True)
    for name in ("time", "share", "MACs", "MAC/s"):
        table.add_column(name, justify="right", no_wrap=True)
    # Names tell themselves apart; kinds and places may be cut to the same text.
    names = short_labels([one.name for one in shown], _NAME_COLUMNS)
    for one, name in zip(shown, names, strict=True):
        table.add_row(
            Text(name),
            Text(_cut(one.kind, _KIND_COLUMNS)),
            Text(_cut(short_provider(one.provider), _PLACE_COLUMNS)),
            format_value(one.mean_ns, "ns"),
            f"{100 * one.share:.1f} %",
            _count(one.mac_count) if one.HasField("mac_count") else _NOT_KNOWN,
            _rate(one),
        )
    return table


def operator_sentences(variant: measurement_pb2.VariantMeasurement) -> list[str]:
    """Return what the operators of a variant add up to, a sentence each."""
    if not has_operators(variant):
        return []
    summary = variant.operators
    told = [_counts(summary), _speed(summary), _traffic(summary)]
    reason = [f"operators: {summary.reason}"] if summary.reason else []
    return [*reason, *(one for one in told if one), *summary.findings]


def operator_parts(
    variants: Sequence[measurement_pb2.VariantMeasurement], *, top: int, hint: str = ""
) -> list[RenderableType]:
    """Return a table for each variant that has operators, with ``hint`` where not all are shown."""
    parts: list[RenderableType] = []
    for variant in variants:
        operators = variant.operators.operators
        if not operators:
            continue
        shown = min(top or len(operators), len(operators))
        title = f"{variant.label}: the {shown} longest of {len(operators)} operators"
        title = title if shown < len(operators) else f"{variant.label}: {len(operators)} operators"
        # Not the table's own title, which would be as narrow as the table.
        parts += [Text(), Text(title, style="bold"), operator_table(variant.operators, top=top)]
        if hint and shown < len(operators):
            parts.append(Text(hint, style="dim"))
    return parts


def operator_report(measurement: measurement_pb2.Measurement, *, top: int) -> RenderableType:
    """Return the operators of a measurement's variants, what they add up to, and what the device can do."""
    ran = [one for one in measurement.variants if not failed(one)]
    parts = operator_parts(ran, top=top, hint="--all shows all of them")
    parts.append(Text())
    for one in measurement.variants:
        if failed(one):
            parts.append(Text(f"{one.label} failed, {failure_text(one)}", style="red"))
            continue
        runs = f"{runtime_text(one)} on {measurement.device_name}: p50 {one_line(one.p50_latency)}"
        parts += [hanging("- ", line) for line in (runs, *operator_sentences(one))]
    parts += [hanging("- ", line) for line in rate_sentences(measurement)]
    warnings = [hanging("warning: ", line, "yellow") for line in measurement.warnings if not _is_off_topic(line)]
    return Group(*parts, *([Text()] if warnings else []), *warnings)


def _is_off_topic(warning: str) -> bool:
    """Return whether a warning is of figures that are not shown with operators."""
    return warning.startswith("accuracy")


def rate_text(rate: result_pb2.RooflineRate) -> str:
    """Return "58.1 GMAC/s", or "not measured"."""
    return format_value(rate.rate_per_s, rate.unit) if rate.HasField("rate_per_s") else "not measured"


def rate_sentences(measurement: measurement_pb2.Measurement) -> list[str]:
    """Return what the device did at most in its probe in one sentence, and why a rate is missing in one each."""
    known = [f"{one.name} {rate_text(one)}" for one in measurement.roofline if one.HasField("rate_per_s")]
    missing = [
        f"{one.name} was not probed: {one.how}" for one in measurement.roofline if not one.HasField("rate_per_s")
    ]
    return ([f"at most, this device did {', '.join(known)}"] if known else []) + missing


def _counts(summary: measurement_pb2.OperatorSummary) -> str:
    known = []
    if summary.HasField("mac_count"):
        known.append(f"{_count(summary.mac_count)} multiply-accumulates")
    if summary.HasField("parameter_count"):
        known.append(f"{_count(summary.parameter_count)} parameters")
    if summary.HasField("byte_count"):
        known.append(f"{format_value(summary.byte_count, 'B')} read and written by all layers")
    return ", ".join(known)


def _speed(summary: measurement_pb2.OperatorSummary) -> str:
    if not summary.HasField("mac_per_s"):
        return ""
    reached = f"{format_value(summary.mac_per_s, 'MAC/s')} at p50"
    if not summary.HasField("device_mac_per_s"):
        return reached
    share = 100 * summary.mac_per_s / summary.device_mac_per_s
    most = format_value(summary.device_mac_per_s, "MAC/s")
    # What every other program took from the probe, or a kernel that needs fewer products than are counted.
    beyond = "; the probe was disturbed, or the model's kernels save products" if share > _BEYOND_PERCENT else ""
    return f"{reached}, {share:.3g} % of the {most} that this device reached in its probe{beyond}"


def _traffic(summary: measurement_pb2.OperatorSummary) -> str:
    if not summary.HasField("byte_per_s"):
        return ""
    passed = f"layers pass {format_value(summary.byte_per_s, 'B/s')} at p50"
    if not summary.HasField("device_byte_per_s"):
        return passed
    read = format_value(summary.device_byte_per_s, "B/s")
    beyond = summary.byte_per_s > summary.device_byte_per_s
    return f"{passed}; memory is read at {read} here" + (", so that most of it stays in caches" if beyond else "")


def _count(value: float) -> str:
    return format_value(value, "count")


def _rate(one: measurement_pb2.OperatorShare) -> str:
    if not one.mac_count or one.mean_ns <= 0:
        return _NOT_KNOWN
    return _count(one.mac_count * 1e9 / one.mean_ns)


def _cut(text: str, length: int) -> str:
    return short_labels([text], length)[0]

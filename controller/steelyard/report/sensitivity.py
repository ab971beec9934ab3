"""What each operator of a model costs as integers, as people read it: a table with bars, and what to write."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from steelyard.compress.sensitivity_report import LayerSensitivity, MetricDrops, SensitivityReport
from steelyard.report.labels import short_labels
from steelyard.report.listings import hanging, plain_table
from steelyard.stats.formatting import format_value

_NAME_COLUMNS, _KIND_COLUMNS, _BAR_COLUMNS = 20, 11, 8
_EIGHTHS = " ▏▎▍▌▋▊▉"
_FULL = "█"
_NOT_KNOWN = "-"
# Below it, keeping operators in float is not worth their time.
_WORTH_DB = 1.0


def render_sensitivity(name: str, recipe: str, report: SensitivityReport, *, top: int) -> RenderableType:
    """Return the most sensitive operators, at most 80 columns wide; ``top`` 0: all of them."""
    shown = list(report.layers[:top] if top else report.layers)
    title = f"{name} by {recipe}: what each of {len(report.layers)} quantized operators costs"
    if len(shown) < len(report.layers):
        title = f"{name} by {recipe}: the {len(shown)} most sensitive of {len(report.layers)} quantized operators"
    lines = [hanging("- ", line) for line in _sentences(report)]
    return Group(Text(title, style="bold"), _table(shown, report.metrics), Text(), *lines)


def is_worth_keeping(report: SensitivityReport) -> bool:
    """Return whether the worst operators in float bring anything."""
    return report.kept_sqnr_db - report.whole_sqnr_db >= _WORTH_DB


def _table(shown: list[LayerSensitivity], metrics: MetricDrops | None) -> RenderableType:
    table = plain_table()
    table.add_column("operator", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    table.add_column("noise", no_wrap=True)
    for head in ("share", "SQNR", "MACs"):
        table.add_column(head, justify="right", no_wrap=True)
    if metrics is not None:
        table.add_column("loss", justify="right", no_wrap=True)
    names = short_labels([one.name for one in shown], _NAME_COLUMNS)
    largest = max((one.noise_share for one in shown), default=0.0)
    for one, name in zip(shown, names, strict=True):
        row = [
            Text(name),
            Text(short_labels([one.kind], _KIND_COLUMNS)[0]),
            Text(_bar(one.noise_share / largest if largest else 0.0)),
            Text(_percent(one.noise_share)),
            Text(f"{one.sqnr_db:.1f} dB"),
            Text(_NOT_KNOWN if one.mac_share is None else _percent(one.mac_share)),
        ]
        if metrics is not None:
            row.append(Text(_loss(one.metric_drop, metrics)))
        table.add_row(*row)
    return table


def _sentences(report: SensitivityReport) -> list[str]:
    count = len(report.kept)
    which = "the most sensitive operator" if count == 1 else f"the {count} most sensitive operators"
    macs = [one.mac_share for one in report.layers if one.name in report.kept]
    share = f" ({_percent(sum(one or 0.0 for one in macs))} of the MACs)" if None not in macs else ""
    lines = [
        f"everything quantized: outputs at {report.whole_sqnr_db:.1f} dB{_scored(report.metrics, kept=False)}",
        f"with {which} in float{share}: {report.kept_sqnr_db:.1f} dB{_scored(report.metrics, kept=True)}",
    ]
    if not is_worth_keeping(report):
        lines.append(
            "no few operators stand out: rather than keep some in float, try the recipes int8-careful, int8-percentile "
            "or int16x8"
        )
    noise = f"noise: each operator alone, all others in float, over {report.sample_count} calibration samples"
    if report.metrics is not None:
        metrics = report.metrics
        noise += f"; loss: of {metrics.metric}, by {metrics.sample_count} {metrics.split} samples"
    return [*lines, noise]


def _scored(metrics: MetricDrops | None, *, kept: bool) -> str:
    """Return ", top1 92.9 % against 93.0 % in float"."""
    if metrics is None:
        return ""
    drop = metrics.kept_drop if kept else metrics.whole_drop
    if drop is None:
        return f", {metrics.metric} without a value"
    value = metrics.float_value - drop if metrics.higher_is_better else metrics.float_value + drop
    unit = metrics.unit or "number"
    return f", {metrics.metric} {format_value(value, unit)} against {format_value(metrics.float_value, unit)} in float"


def _loss(drop: float | None, metrics: MetricDrops) -> str:
    if drop is None:
        return ""
    return f"{100 * drop + 0.0:.1f} pp" if metrics.unit == "fraction" else f"{drop:.3g} {metrics.unit}".rstrip()


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _bar(share: float) -> str:
    """Return a bar of eighths of a character, at most ``_BAR_COLUMNS`` long."""
    eighths = round(8 * _BAR_COLUMNS * share)
    return (_FULL * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()

"""How the samples of each variant are spread: ridges from the pooled quantiles, on one axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from steelyard.report.charts.axes import x_axis
from steelyard.report.charts.canvas import Canvas
from steelyard.report.charts.scales import Scale, fitted
from steelyard.report.charts.series import Series
from steelyard.report.figures import figure, is_known
from steelyard.stats.formatting import format_value

_ROW_PX, _RIDGE_PX, _HEAD_PX = 68.0, 42.0, 18.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 6.0, 10.0, 8.0, 24.0
# The slowest two of a hundred samples may lie ten times as far as the rest; they are told in figures instead.
_AXIS_END = 0.98
# Bandwidth floor: below it a ridge shows the pixels' raster rather than the samples.
_LEAST_BANDWIDTH_PX = 1.6


def draw_distributions(series: Sequence[Series], *, name: str, width: float) -> Markup | None:
    """Draw a ridge for each variant with samples, or return None when none has any."""
    shown = [one for one in series if len(one.variant.latency_quantiles_ns) > 1]
    if not shown:
        return None
    height = _TOP + _ROW_PX * len(shown) + _BOTTOM
    canvas = Canvas(
        name=name,
        width=width,
        height=height,
        title="Latency distributions",
        description="; ".join(f"{one.variant.label}: {_summary(one, wide=True)}" for one in shown),
    )
    ends = [end for one in shown for end in (_quantile(one, 0.0), _quantile(one, _AXIS_END))]
    ends += [one.variant.p90_latency.value for one in shown if is_known(one.variant.p90_latency)]
    scale = fitted(ends, start=_LEFT, end=width - _RIGHT, padding=0.03)
    x_axis(canvas, scale, "ns", top=_TOP + _HEAD_PX, bottom=height - _BOTTOM)
    for row, one in enumerate(shown):
        _draw_ridge(canvas, one, scale, _TOP + _ROW_PX * row)
    return canvas.markup()


def _draw_ridge(canvas: Canvas, series: Series, scale: Scale, top: float) -> None:
    base = top + _HEAD_PX + _RIDGE_PX
    x, density = _density(series.variant.latency_quantiles_ns, scale)
    outline = [(float(at), base - float(share) * _RIDGE_PX) for at, share in zip(x, density, strict=True)]
    with canvas.group(colour=series.colour, tip=f"{series.variant.label}: {_summary(series, wide=True)}"):
        canvas.path([(outline[0][0], base), *outline, (outline[-1][0], base)], "ridge", closed=True)
        canvas.line((scale.start, base), (scale.end, base), "base")
        for estimate, kind in ((series.variant.p50_latency, "p50"), (series.variant.p90_latency, "p90")):
            if is_known(estimate):
                at = scale(estimate.value)
                canvas.line((at, base - _RIDGE_PX), (at, base + 3), kind)
    canvas.text((_LEFT, top + 11), series.label, f"{series.label_kind} halo")
    wide = canvas.width >= 480
    canvas.text((canvas.width - _RIGHT, top + 11), _summary(series, wide=wide), "tick halo", anchor="end")


def _density(quantiles: Sequence[float], scale: Scale) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the density (0 to 1) on pixels of the axis: Gaussian kernels at equally likely values, in px.

    Bandwidth: Silverman 1986, 0.9 min(sd, IQR/1.34) n^(-1/5).
    """
    edges = np.array([scale(value) for value in quantiles])
    centres = (edges[:-1] + edges[1:]) / 2
    low, high = np.quantile(edges, (0.25, 0.75))
    spread = min(float(centres.std()), float(high - low) / 1.34)
    bandwidth = max(0.9 * spread * len(centres) ** -0.2, _LEAST_BANDWIDTH_PX)
    reach = 3 * bandwidth
    x = np.linspace(max(scale.start, edges[0] - reach), min(scale.end, edges[-1] + reach), 140)
    density = np.exp(-0.5 * ((x[:, None] - centres[None, :]) / bandwidth) ** 2).sum(axis=1)
    return x, density / max(float(density.max()), 1e-12)


def _quantile(series: Series, share: float) -> float:
    quantiles = series.variant.latency_quantiles_ns
    return quantiles[round(share * (len(quantiles) - 1))]


def _summary(series: Series, *, wide: bool) -> str:
    variant = series.variant
    text = f"p50 {figure(variant.p50_latency).value}, p90 {figure(variant.p90_latency).value}"
    return f"{text}, slowest {format_value(_quantile(series, 1.0), 'ns')}" if wide else text

"""How the samples of each variant are spread: ridges from the pooled quantiles, on one axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from steelyard.report.charts.axes import x_axis
from steelyard.report.charts.canvas import Canvas
from steelyard.report.charts.scales import Scale, fitted
from steelyard.report.charts.series import Series
from steelyard.report.figures import figure, is_known
from steelyard.stats.formatting import format_value
from steelyard_protocol.v1 import measurement_pb2

_ROW_PX, _RIDGE_PX, _HEAD_PX = 68.0, 42.0, 18.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 6.0, 10.0, 8.0, 24.0
# The slowest two of a hundred samples may lie ten times as far as the rest; they are told in figures instead.
_AXIS_END = 0.98
# Bandwidth floor: below it a ridge shows the pixels' raster rather than the samples.
_LEAST_BANDWIDTH_PX = 1.6


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ridge:
    """One variant's values: quantiles (ns) from 0 to 1, and the two percentiles that are marked."""

    series: Series
    quantiles_ns: Sequence[float]
    p50: measurement_pb2.Estimate
    p90: measurement_pb2.Estimate


def draw_distributions(series: Sequence[Series], *, name: str, width: float) -> Markup | None:
    """Draw a ridge for each variant with samples, or return None when none has any."""
    ridges = [
        _Ridge(series=one, quantiles_ns=of.latency_quantiles_ns, p50=of.p50_latency, p90=of.p90_latency)
        for one in series
        for of in (one.variant,)
    ]
    return _draw("Latency distributions", ridges, name=name, width=width)


def draw_responses(series: Sequence[Series], *, name: str, width: float) -> Markup | None:
    """Draw a ridge for each variant with response times, or return None when none has any."""
    ridges = [
        _Ridge(series=one, quantiles_ns=of.response_quantiles_ns, p50=of.p50_response, p90=of.p90_response)
        for one in series
        for of in (one.variant,)
    ]
    return _draw("Response times", ridges, name=name, width=width)


def _draw(title: str, ridges: Sequence[_Ridge], *, name: str, width: float) -> Markup | None:
    shown = [one for one in ridges if len(one.quantiles_ns) > 1]
    if not shown:
        return None
    height = _TOP + _ROW_PX * len(shown) + _BOTTOM
    canvas = Canvas(
        name=name,
        width=width,
        height=height,
        title=title,
        description="; ".join(f"{one.series.variant.label}: {_summary(one, wide=True)}" for one in shown),
    )
    ends = [end for one in shown for end in (_quantile(one, 0.0), _quantile(one, _AXIS_END))]
    ends += [one.p90.value for one in shown if is_known(one.p90)]
    scale = fitted(ends, start=_LEFT, end=width - _RIGHT, padding=0.03)
    x_axis(canvas, scale, "ns", top=_TOP + _HEAD_PX, bottom=height - _BOTTOM)
    for row, one in enumerate(shown):
        _draw_ridge(canvas, one, scale, _TOP + _ROW_PX * row)
    return canvas.markup()


def _draw_ridge(canvas: Canvas, ridge: _Ridge, scale: Scale, top: float) -> None:
    base = top + _HEAD_PX + _RIDGE_PX
    x, density = _density(ridge.quantiles_ns, scale)
    outline = [(float(at), base - float(share) * _RIDGE_PX) for at, share in zip(x, density, strict=True)]
    series = ridge.series
    with canvas.group(colour=series.colour, tip=f"{series.variant.label}: {_summary(ridge, wide=True)}"):
        canvas.path([(outline[0][0], base), *outline, (outline[-1][0], base)], "ridge", closed=True)
        canvas.line((scale.start, base), (scale.end, base), "base")
        for estimate, kind in ((ridge.p50, "p50"), (ridge.p90, "p90")):
            if is_known(estimate):
                at = scale(estimate.value)
                canvas.line((at, base - _RIDGE_PX), (at, base + 3), kind)
    canvas.text((_LEFT, top + 11), series.label, f"{series.label_kind} halo")
    wide = canvas.width >= 480
    canvas.text((canvas.width - _RIGHT, top + 11), _summary(ridge, wide=wide), "tick halo", anchor="end")


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


def _quantile(ridge: _Ridge, share: float) -> float:
    quantiles = ridge.quantiles_ns
    return quantiles[round(share * (len(quantiles) - 1))]


def _summary(ridge: _Ridge, *, wide: bool) -> str:
    text = f"p50 {figure(ridge.p50).value}, p90 {figure(ridge.p90).value}"
    return f"{text}, slowest {format_value(_quantile(ridge, 1.0), 'ns')}" if wide else text

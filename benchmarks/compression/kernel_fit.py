"""The cost of each term of a layer in the times of synthetic networks. Pure: rounds in, costs and errors out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import nnls

from steelyard.advice.kernel_costs import DYNAMIC, FLOAT, PER_TENSOR, STATIC, WEIGHT_ONLY, KernelCosts
from steelyard.advice.layer_terms import LayerTerms
from steelyard.layers.contract import Layer, LayerTable

# Every fifth network is held out: by it the costs are judged, and never found.
_HELD_OUT = 5
_PERCENTILES = (10, 90)
_QUANTIZED = (STATIC, PER_TENSOR)
_OF_PRODUCTS = (DYNAMIC, WEIGHT_ONLY)
_FITTED_FOR_PRODUCTS = "perceptron"
HEAD = [
    "form",
    "of networks",
    "number",
    "measured speed-up",
    "measured over expected (8 of 10)",
    "right about faster",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedNet:
    """A network as it was recorded: ``ns`` is its time by form."""

    seed: int
    family: str
    table: LayerTable
    ns: Mapping[str, float]

    @property
    def is_held_out(self) -> bool:
        """Whether it judges the costs."""
        # Families take turns by the seed too: the quotient keeps some of each.
        return (self.seed // 11) % _HELD_OUT == 0


def timed_nets(rounds: Sequence[Mapping[str, Any]]) -> list[TimedNet]:
    """Return the networks of recorded rounds; of the medians of a form's turns the least: a neighbour only adds."""
    return [
        TimedNet(
            seed=one["seed"],
            family=one["family"],
            table=_table(one["layers"]),
            ns={form: min(turns) for form, turns in one["median_ns"].items()},
        )
        for one in rounds
    ]


def _table(layers: Sequence[Mapping[str, Any]]) -> LayerTable:
    return LayerTable(
        layers=tuple(
            Layer(
                index=index,
                name=one["kind"],
                kind=one["kind"],
                inputs=tuple(one["inputs"]),
                outputs=tuple(one["outputs"]),
                mac_count=one["mac_count"],
                parameter_count=math.prod(one["weight_shape"]) if one["weight_shape"] else 0,
                byte_count=one["byte_count"],
                weight_dtype="float32" if one["weight_shape"] else "",
                weight_shape=tuple(one["weight_shape"]),
                is_depthwise=one["is_depthwise"],
            )
            for index, one in enumerate(layers)
        ),
        parameter_count=0,
    )


def fitted(nets: Sequence[TimedNet], *, source: str, least_weights: int) -> KernelCosts:
    """Return the costs of all terms, found in the networks that are not held out, and how far the others are off."""
    used = [net for net in nets if not net.is_held_out]
    forms = {form: _fit(used, form, least_weights) for form in (FLOAT, *_QUANTIZED)}
    products = [net for net in used if net.family == _FITTED_FOR_PRODUCTS]
    for form in _OF_PRODUCTS:
        forms[form] = _fit([net for net in products if form in net.ns], form, least_weights, known=forms[FLOAT])
    costs = KernelCosts(source=source, least_weights=least_weights, spreads={}, forms=forms)
    spreads = {form: _spread([net for net in nets if net.is_held_out and form in net.ns], costs, form)
               for form in (*_QUANTIZED, *_OF_PRODUCTS)}  # fmt: skip
    return KernelCosts(source=source, least_weights=least_weights, spreads=spreads, forms=forms)


def _fit(
    nets: Sequence[TimedNet], form: str, least_weights: int, known: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Return costs of at least nothing, by the least squares of relative errors (Lawson and Hanson 1974).

    ``known``: the costs of what the form leaves in float.
    """
    blank = KernelCosts(source="", least_weights=least_weights, spreads={}, forms={FLOAT: known or {}, form: {}})
    rows, left = [], []
    for net in nets:
        row: dict[str, float] = {}
        rest_ns = net.ns[form]
        for layer, cost_ns in blank.of(net.table, form):
            if known is not None and blank.charged(layer, form) == FLOAT:
                rest_ns -= cost_ns
                continue
            for term, count in layer.counts.items():
                name = f"{layer.kernel}: {term}"
                row[name] = row.get(name, 0.0) + count
        rows.append(row)
        left.append(rest_ns / net.ns[form])
    names = sorted({name for row in rows for name in row})
    counts = np.array([[row.get(name, 0.0) for name in names] for row in rows])
    scale = np.maximum(counts.max(axis=0), 1e-9)
    weighted = counts / scale / np.array([[net.ns[form]] for net in nets])
    found, _ = nnls(weighted, np.array(left), maxiter=100 * len(names))
    return {name: float(f"{cost / size:.3g}") for name, cost, size in zip(names, found, scale, strict=True) if cost > 0}


def expected_speedup(net: TimedNet, costs: KernelCosts, form: str) -> float:
    """Return the speed-up of a form by the costs alone."""
    return _total(costs.of(net.table, FLOAT)) / _total(costs.of(net.table, form))


def speedup(net: TimedNet, form: str) -> float:
    """Return the measured speed-up of a form."""
    return net.ns[FLOAT] / net.ns[form]


def _total(layers: Sequence[tuple[LayerTerms, float]]) -> float:
    return sum(cost_ns for _, cost_ns in layers)


def _spread(nets: Sequence[TimedNet], costs: KernelCosts, form: str) -> tuple[float, float]:
    """Return between which ratios of measured to expected speed-up eight of ten held out networks lie."""
    low, high = np.percentile(_errors(nets, costs, form), _PERCENTILES)
    return float(f"{low:.2f}"), float(f"{high:.2f}")


def costs_toml(costs: KernelCosts) -> str:
    """Return the file that advice reads."""
    lines = [
        "# Written by `python -m benchmarks.compression.kernel_costs`: ns of each term of a layer, by form.",
        f'source = "{costs.source}"',
        f"least_weights = {costs.least_weights}",
    ]
    for form, (low, high) in costs.spreads.items():
        lines += ["", f'[spreads."{form}"]', f"low = {low}", f"high = {high}"]
    for form, terms in costs.forms.items():
        lines += ["", f'[forms."{form}"]', *(f'"{name}" = {cost:g}' for name, cost in terms.items())]
    return "\n".join(lines) + "\n"


def rows(nets: Sequence[TimedNet], costs: KernelCosts) -> list[list[str]]:
    """Return a row a form, of static int8 also one a family, of the networks that are held out."""
    found = []
    for form in costs.spreads:
        held = [net for net in nets if net.is_held_out and form in net.ns]
        found.append(_row(form, "all", held, costs))
        if form == STATIC:
            families = dict.fromkeys(net.family for net in held)
            found += [_row(form, one, [net for net in held if net.family == one], costs) for one in families]
    return found


def _row(form: str, what: str, nets: Sequence[TimedNet], costs: KernelCosts) -> list[str]:
    measured = [speedup(net, form) for net in nets]
    low, high = np.percentile(_errors(nets, costs, form), _PERCENTILES)
    right = sum(_is_right(net, costs, form) for net in nets)
    return [
        form,
        what,
        str(len(nets)),
        f"{min(measured):.2f} to {max(measured):.2f}",
        f"{low:.2f} to {high:.2f}",
        f"{right} of {len(nets)}",
    ]


def _errors(nets: Sequence[TimedNet], costs: KernelCosts, form: str) -> list[float]:
    return [speedup(net, form) / expected_speedup(net, costs, form) for net in nets]


def _is_right(net: TimedNet, costs: KernelCosts, form: str) -> bool:
    return (speedup(net, form) > 1.0) == (expected_speedup(net, costs, form) > 1.0)

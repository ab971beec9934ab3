"""Costs found in the times of networks: planted costs come back, and what is held out judges them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import pytest
from benchmarks.compression.kernel_costs import recorded_layers
from benchmarks.compression.kernel_fit import (
    HEAD,
    TimedNet,
    costs_toml,
    expected_speedup,
    fitted,
    rows,
    speedup,
    timed_nets,
)
from benchmarks.compression.synthetic_nets import synthetic_net

from steelyard.advice.kernel_costs import DYNAMIC, FLOAT, PER_TENSOR, STATIC, WEIGHT_ONLY, KernelCosts, read_costs
from steelyard.layers.onnx_layers import onnx_layers

LEAST_WEIGHTS = 8192


@lru_cache(maxsize=1)
def _layers() -> tuple[tuple[int, str, list[dict[str, Any]]], ...]:
    """Layers of twelve networks of each family; their weights and times do not matter."""
    nets = [synthetic_net(seed) for seed in range(132)]
    return tuple(
        (net.seed, net.family, recorded_layers(onnx_layers(net.model, input_shapes={}, batch_size=1))) for net in nets
    )


def _planted(layer_costs: Mapping[str, float], *, slower: float = 1.0) -> list[TimedNet]:
    """Networks whose times are sums of planted costs; every form costs half of float in products, the rest the same."""
    rounds = [
        {"seed": seed, "family": family, "layers": layers, "median_ns": {FLOAT: [1.0]}}
        for seed, family, layers in _layers()
    ]
    halves = {name: cost / 2 if "products" in name else cost for name, cost in layer_costs.items()}
    forms = {FLOAT: layer_costs, **dict.fromkeys((STATIC, PER_TENSOR, DYNAMIC, WEIGHT_ONLY), halves)}
    truth = KernelCosts(source="planted", least_weights=LEAST_WEIGHTS, spreads={}, forms=forms)
    found = []
    for net in timed_nets(rounds):
        ns = {form: slower * sum(cost for _, cost in truth.of(net.table, form)) for form in forms}
        found.append(TimedNet(seed=net.seed, family=net.family, table=net.table, ns=ns))
    return found


def _costs() -> dict[str, float]:
    """Some nanoseconds a call and a thousandth a product, whatever the kernel."""
    kernels = (
        "dense",
        "pointwise",
        "depthwise",
        "depthwise blocked",
        "depthwise plain",
        "narrow",
        "unrolled",
        "product",
    )
    calls = {f"{kernel}: calls": 700.0 for kernel in (*kernels, "pooling", "moving", "arithmetic")}
    return {"model: calls": 2000.0, **calls, **{f"{kernel}: products": 0.008 for kernel in kernels}}


def test_planted_costs_tell_the_speed_of_networks_that_were_held_out() -> None:
    nets = _planted(_costs())
    costs = fitted(nets, source="a test", least_weights=LEAST_WEIGHTS)
    held = [net for net in nets if net.is_held_out]
    assert len(held) >= 20
    for form in (STATIC, DYNAMIC):
        for net in held:
            assert expected_speedup(net, costs, form) == pytest.approx(speedup(net, form), rel=0.03)
    assert costs.forms[FLOAT]["dense: products"] == pytest.approx(0.008, rel=0.05)
    assert costs.forms[STATIC]["dense: products"] == pytest.approx(0.004, rel=0.05)
    low, high = costs.spreads[STATIC]
    assert 0.97 < low <= high < 1.03


def test_of_the_turns_the_least_counts() -> None:
    layers = _layers()[0][2]
    (net,) = timed_nets([{"seed": 0, "family": "dense", "layers": layers, "median_ns": {FLOAT: [30.0, 10.0, 20.0]}}])
    assert net.ns == {FLOAT: 10.0}


def test_rows_count_where_the_costs_are_right_about_faster() -> None:
    nets = _planted(_costs())
    costs = fitted(nets, source="a test", least_weights=LEAST_WEIGHTS)
    found = rows(nets, costs)
    assert all(len(row) == len(HEAD) for row in found)
    whole = next(row for row in found if row[:2] == [STATIC, "all"])
    held = sum(net.is_held_out for net in nets)
    assert whole[2] == str(held)
    assert whole[-1] == f"{held} of {held}"
    assert {row[1] for row in found if row[0] == DYNAMIC} == {"all"}


def test_the_file_says_what_was_found() -> None:
    costs = fitted(_planted(_costs()), source="a test", least_weights=LEAST_WEIGHTS)
    again = read_costs(costs_toml(costs))
    assert again.source == "a test"
    assert again.spreads == costs.spreads
    assert again.forms[STATIC] == pytest.approx(costs.forms[STATIC], rel=1e-5)

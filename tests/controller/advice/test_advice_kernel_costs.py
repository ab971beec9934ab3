"""Expected speeds by the costs of layers: what shipped costs say of planted models, and of which they say nothing."""

from __future__ import annotations

import pytest

from steelyard.advice.advising import advise
from steelyard.advice.facts import MeasuredTimes
from steelyard.advice.kernel_costs import (
    DYNAMIC,
    FLOAT,
    PER_TENSOR,
    STATIC,
    WEIGHT_ONLY,
    KernelCosts,
    expected_by_costs,
    kernel_costs,
)
from steelyard.advice.layer_terms import float_terms
from steelyard.layers.contract import LayerTable
from tests.controller.advice import situations
from tests.controller.advice.shaped_layers import BY_CHANNEL, PRODUCTS, WIDE, layer, table
from tests.controller.advice.situations import device, situation


def _middle(layers: LayerTable, form: str) -> float:
    found = expected_by_costs(situation(layers), form)
    assert found is not None
    assert found.low < found.middle < found.high
    return found.middle


def test_wide_dense_convolutions_gain_and_narrow_ones_by_channel_lose() -> None:
    assert _middle(WIDE, STATIC) > 2.0
    assert _middle(BY_CHANNEL, STATIC) < 0.7
    assert _middle(BY_CHANNEL, DYNAMIC) == pytest.approx(_middle(WIDE, DYNAMIC))


def test_products_of_one_row_gain_more_by_one_scale_a_tensor() -> None:
    assert _middle(PRODUCTS, PER_TENSOR) > _middle(PRODUCTS, STATIC)


def test_where_8_bits_are_slower_the_model_is_kept_and_the_reason_said() -> None:
    advice = advise(situation(BY_CHANNEL))
    assert advice.keeps_model
    first = advice.recipes[0]
    assert first.recipe == "static-int8"
    assert first.expectation is not None
    assert "in depthwise convolutions, which take" in first.expectation.evidence
    assert "synthetic networks" in first.expectation.evidence
    assert not advise(situation(WIDE)).keeps_model


def test_where_no_speed_is_known_the_model_is_not_kept_for_that() -> None:
    assert not advise(situation(BY_CHANNEL, device(emulated_by="qemu-user"))).keeps_model


def test_measured_shares_weigh_the_families() -> None:
    layers = table(
        layer("Conv", "x", "a", positions=1024, weights=(64, 64, 3, 3)),
        layer("MaxPool", "a", "y", byte_count=400_000),
    )
    ratios = []
    for share in (0.1, 0.9):
        times = MeasuredTimes(job_id="0123456789abcdef", shares={"Conv": share, "MaxPool": 1.0 - share})
        found = expected_by_costs(situation(layers, times=times), STATIC)
        assert found is not None
        assert "shares were measured here (0123456789ab)" in found.evidence
        ratios.append(found.middle)
    assert ratios[0] < ratios[1]


@pytest.mark.parametrize(
    ("layers", "changes"),
    [
        (WIDE, {"on": device(situations.CORTEX_A76, "aarch64")}),
        (WIDE, {"on": device(situations.AVX2)}),
        (WIDE, {"runtime": "litert"}),
        (WIDE, {"provider": "CUDAExecutionProvider"}),
        (situations.LSTM, {}),
        (situations.TRANSFORMER, {}),
        (situations.SPELLED_OUT, {}),
        (situations.CONTROL_FLOW, {}),
    ],
)
def test_nothing_is_told_where_the_costs_do_not_hold(layers: LayerTable, changes: dict[str, object]) -> None:
    assert expected_by_costs(situation(layers, **changes), STATIC) is None  # type: ignore[arg-type]


def test_unknown_operators_may_move_a_little_and_no_more() -> None:
    end = layer("Softplus", "y", "z", byte_count=100)
    assert expected_by_costs(situation(table(*WIDE.layers, layer("Add", "y", "y2"), end)), STATIC) is not None
    much = layer("Softplus", "y", "z", byte_count=1_000_000)
    assert expected_by_costs(situation(table(*WIDE.layers, much)), STATIC) is None


def test_small_products_cost_the_same_where_they_stay_in_float() -> None:
    costs = kernel_costs()
    small = table(layer("Gemm", "x", "y", positions=1, weights=(64, 64)))
    assert [ns for _, ns in costs.of(small, DYNAMIC)] == [ns for _, ns in costs.of(small, FLOAT)]
    assert costs.least_weights > 64 * 64
    assert [ns for _, ns in costs.of(PRODUCTS, WEIGHT_ONLY)] != [ns for _, ns in costs.of(PRODUCTS, FLOAT)]


def test_every_kernel_of_a_known_layer_has_a_cost() -> None:
    costs = kernel_costs()
    for layers in (WIDE, BY_CHANNEL, PRODUCTS):
        assert all(costs.layer_ns(one, FLOAT) > 0 for one in float_terms(layers))
        assert all(ns > 0 for form in (STATIC, PER_TENSOR) for _, ns in costs.of(layers, form))


def test_costs_below_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="costs -1"):
        KernelCosts(source="x", least_weights=0, spreads={}, forms={FLOAT: {"dense: calls": -1.0}})

"""The terms of layers: planted shapes, and what is counted of them."""

from __future__ import annotations

import pytest

from steelyard.advice.layer_terms import (
    DENSE,
    DEPTHWISE,
    OTHERS,
    POINTWISE,
    PRODUCTS,
    LayerTerms,
    float_terms,
    int8_terms,
)
from tests.controller.advice.shaped_layers import layer, table


def _layers(found: list[LayerTerms]) -> list[LayerTerms]:
    return [one for one in found if one.kernel != "model"]


@pytest.mark.parametrize(
    ("weights", "is_depthwise", "in_float", "in_8_bits", "group"),
    [
        ((32, 3, 3, 3), False, "narrow", "dense", DENSE),
        ((32, 16, 3, 3), False, "dense", "dense", DENSE),
        ((32, 18, 3, 3), False, "unrolled", "dense", DENSE),
        ((32, 16, 1, 1), False, "pointwise", "pointwise", POINTWISE),
        ((32, 16, 1), False, "unrolled", "pointwise", POINTWISE),
        ((24, 1, 3, 3), True, "depthwise blocked", "depthwise", DEPTHWISE),
        ((18, 1, 3, 3), True, "depthwise plain", "depthwise", DEPTHWISE),
        ((24, 1, 3), True, "depthwise plain", "depthwise", DEPTHWISE),
    ],
)
def test_convolutions_run_in_the_kernel_of_their_shape(
    weights: tuple[int, ...], is_depthwise: bool, in_float: str, in_8_bits: str, group: str
) -> None:
    one = table(layer("Conv", "x", "y", positions=100, weights=weights, is_depthwise=is_depthwise))
    (before,), (after,) = _layers(float_terms(one)), _layers(int8_terms(one))
    assert (before.kernel, after.kernel) == (in_float, in_8_bits)
    assert before.group == after.group == group
    assert before.is_known


def test_channels_are_counted_in_blocks_and_what_is_left_beside_them() -> None:
    one = table(layer("Conv", "x", "y", positions=100, weights=(20, 16, 1, 1)))
    (before,), (after,) = _layers(float_terms(one)), _layers(int8_terms(one))
    assert before.counts == {"calls": 1.0, "products": 100 * 32 * 16, "results": 100 * 32}
    assert after.counts["products"] == 100 * 32 * 16
    assert after.counts["rest results"] == 100 * 4
    assert after.counts["odd results"] == 0
    by_channel = table(layer("Conv", "x", "y", positions=100, weights=(20, 1, 3, 3), is_depthwise=True))
    (narrow,) = _layers(int8_terms(by_channel))
    assert narrow.counts["products"] == 100 * 16 * 9
    assert narrow.counts["rest products"] == narrow.counts["odd products"] == 100 * 4 * 9


def test_what_is_folded_takes_no_time_but_normalization_behind_a_product_does_in_float() -> None:
    convolution = table(
        layer("Conv", "x", "a", positions=100, weights=(16, 16, 1, 1)),
        layer("BatchNormalization", "a", "b"),
        layer("Relu", "b", "y"),
    )
    assert [one.kernel for one in _layers(float_terms(convolution))] == ["pointwise"]
    product = table(
        layer("Gemm", "x", "a", positions=1, weights=(64, 32)),
        layer("BatchNormalization", "a", "b"),
        layer("Relu", "b", "y"),
    )
    assert [one.kernel for one in _layers(float_terms(product))] == ["product", "arithmetic"]
    (folded,) = _layers(int8_terms(product))
    assert folded.group == PRODUCTS
    assert folded.counts == {"calls": 1.0, "weights": 2048.0, "products": 2048.0}
    assert folded.weight_count == 2048


def test_an_operator_that_no_network_had_says_so() -> None:
    found = {
        one.kernel: one.is_known
        for kind in ("HardSwish", "MaxPool", "Concat", "Add", "LayerNormalization", "LSTM")
        for one in _layers(float_terms(table(layer(kind, "x", "y", byte_count=4000))))
    }
    assert found == {"HardSwish": True, "pooling": True, "arithmetic": True, "moving": False}
    (unknown,) = _layers(float_terms(table(layer("Erf", "x", "y"))))
    assert (unknown.group, unknown.byte_count, unknown.is_known) == (OTHERS, 4000.0, False)


def test_the_model_has_one_call_and_the_input_of_its_first_convolution() -> None:
    bytes_moved = 4 * (3 * 64 + 8 * 3 * 9 + 8 + 8 * 64)
    one = table(layer("Conv", "x", "y", positions=64, weights=(8, 3, 3, 3), byte_count=bytes_moved))
    model = next(one for one in float_terms(one) if one.kernel == "model")
    assert model.counts == {"calls": 1.0, "elements": 3 * 64}

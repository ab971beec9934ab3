"""What a model and a processor are, from their facts."""

from __future__ import annotations

import pytest

from steelyard.advice.arithmetic import has_half_arithmetic, has_int8_dot
from steelyard.advice.facts import CONVOLUTIONS, MIXED, NOTHING_COUNTED, PERCEPTRON, RECURRENCE, TRANSFORMER
from steelyard.advice.families import CONVOLUTION, OTHER, PRODUCT, QUANTIZING, family_of, is_integer
from steelyard.layers.contract import LayerTable
from tests.controller.advice import situations
from tests.controller.advice.situations import layer, situation, table


@pytest.mark.parametrize(
    ("layers", "character"),
    [
        (situations.RESNET, CONVOLUTIONS),
        (situations.MOBILENET, CONVOLUTIONS),
        (situations.TRANSFORMER, TRANSFORMER),
        (situations.PERCEPTRON, PERCEPTRON),
        (situations.LSTM, RECURRENCE),
        (situations.CONTROL_FLOW, NOTHING_COUNTED),
        (situations.TFLITE_NET, CONVOLUTIONS),
        (table(layer("Conv", 500, parameters=9), layer("Gemm", 500, parameters=9)), MIXED),
    ],
)
def test_a_model_is_what_most_of_its_products_are(layers: LayerTable, character: str) -> None:
    assert situation(layers).model.character == character


def test_attention_without_stored_weights_is_not_what_dynamic_int8_quantizes() -> None:
    model = situation(situations.TRANSFORMER).model
    assert model.stored_product_count == 1
    assert model.stored_product_share == pytest.approx(50 / 52)
    assert model.depthwise_count == 0


def test_depthwise_convolutions_are_counted_apart() -> None:
    model = situation(situations.MOBILENET).model
    assert model.depthwise_count == 1
    assert model.depthwise_share == pytest.approx(12 / 92.128)
    assert model.weight_bytes == 4 * 448_000


def test_weights_that_are_read_once_are_told_from_those_that_are_used_again() -> None:
    assert situation(situations.PERCEPTRON).model.reads_weights_once
    assert not situation(situations.TRANSFORMER).model.reads_weights_once
    assert not situation(situations.MOBILENET).model.reads_weights_once
    wide_head = table(layer("Conv", 12_000_000, parameters=70_000), layer("Gemm", 300_000, parameters=300_000))
    assert situation(wide_head).model.reads_weights_once


def test_hard_swish_in_four_operators_is_counted_and_other_clips_are_not() -> None:
    model = situation(situations.SPELLED_OUT).model
    assert model.spelled_hard_swish_count == 1
    assert model.hard_activation_share == pytest.approx(0.5)
    clipped = table(layer("Conv", 9_000_000, parameters=90_000), layer("Clip"), layer("Mul"), layer("HardSigmoid"))
    assert situation(clipped).model.spelled_hard_swish_count == 0
    assert situation(clipped).model.hard_activation_share == 1.0
    assert situation(situations.MOBILENET).model.hard_activation_share == 0.0


def test_kinds_come_by_what_they_multiply() -> None:
    assert [kind for kind, *_ in situation(situations.RESNET).model.kinds] == ["Conv", "Gemm", "Add", "Relu"]
    assert situation(situations.MOBILENET).model.kinds[0] == ("Conv", 2, 92_000_000, 200)


@pytest.mark.parametrize(
    ("features", "dot", "half"),
    [
        (situations.VNNI, True, False),
        (situations.AVX2, False, False),
        (situations.CORTEX_A72, False, False),
        (situations.CORTEX_A76, True, True),
        (frozenset({"asimd", "i8mm"}), True, False),
        (frozenset({"avx2", "avx_vnni"}), True, False),
        (frozenset({"avx512f", "avx512_fp16"}), False, True),
        # A 32-bit program on Arm, and a device that tells nothing.
        (frozenset({"neon"}), None, None),
        (frozenset(), None, None),
    ],
)
def test_features_say_what_arithmetic_there_is_or_that_they_do_not_tell(
    features: frozenset[str], dot: bool | None, half: bool | None
) -> None:
    assert has_int8_dot(features) is dot
    assert has_half_arithmetic(features) is half


def test_operators_of_profiles_are_known_by_their_family() -> None:
    assert family_of("QLinearConv") == CONVOLUTION
    assert family_of("Fully Connected (NC, QS8, QC8W) GEMM") == PRODUCT
    assert family_of("Convert (NC, F32, QS8)") == QUANTIZING
    assert family_of("Softmax") == OTHER
    assert is_integer("Convolution (NHWC, QC8) IGEMM")
    assert is_integer("MatMulInteger")
    assert not is_integer("Convolution (NHWC, F32) IGEMM")
    assert not is_integer("Gemm")

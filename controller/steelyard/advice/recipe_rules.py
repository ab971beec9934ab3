"""Which recipes to try: a table of rules, each a condition and the recipe that it speaks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from steelyard.advice.facts import CONVOLUTIONS, MIXED, PERCEPTRON, RECURRENCE, TRANSFORMER, Situation
from steelyard.stats.formatting import format_value

_STATIC_CHARACTERS = frozenset({CONVOLUTIONS, TRANSFORMER, PERCEPTRON, MIXED})
# Fewer bits of a smaller file save nothing that anybody would notice.
_LARGE_WEIGHT_BYTES = 1 << 20
_WORTH_IT = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeRule:
    """A recipe (in one word) and when to try it; ``prior_kind`` is the step whose priors its speed is expected by."""

    id: str
    recipe: str
    applies: Callable[[Situation], bool]
    reason: Callable[[Situation], str]
    prior_kind: str = ""
    saves_only_space: bool = False


def _quantizes_statically(situation: Situation) -> bool:
    if situation.runtime == "tflite-runtime" and situation.device.is_x86:
        return False
    return situation.on_cpu and situation.model.character in _STATIC_CHARACTERS


def _static_pays(situation: Situation) -> bool:
    # LiteRT's static transformer ran at 0.58x: a warning says so.
    return _quantizes_statically(situation) and not (situation.by_litert and situation.model.character == TRANSFORMER)


def _dynamic_pays(situation: Situation) -> bool:
    model = situation.model
    if situation.by_litert:
        return model.character in {CONVOLUTIONS, TRANSFORMER, PERCEPTRON, MIXED}
    if situation.runtime == "tflite-runtime":
        return False
    return situation.on_cpu and model.stored_product_count > 0 and (
        model.stored_product_share >= _WORTH_IT or model.stored_product_parameter_share >= _WORTH_IT
    )  # fmt: skip


def _static_reason(situation: Situation) -> str:
    return (
        f"{_mostly(situation)}; static int8 runs convolutions and matrix products in 8 bits, with ranges found on "
        "calibration data"
    )


def _dynamic_reason(situation: Situation) -> str:
    model = situation.model
    if situation.by_litert:
        return "it quantizes weights of convolutions and matrix products, and needs no data"
    return (
        f"{_percent(model.stored_product_share)} of the multiply-accumulates and "
        f"{_percent(model.stored_product_parameter_share)} of the weights are in matrix products with stored weights, "
        "which it quantizes without any data"
    )


def _mostly(situation: Situation) -> str:
    model = situation.model
    depthwise = f", {_percent(model.depthwise_share)} depthwise" if model.depthwise_count else ""
    return f"the model's {format_value(model.mac_count, 'count')} multiply-accumulates: {model.character}{depthwise}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


RECIPE_RULES = (
    RecipeRule(
        id="spelled-out",
        recipe="fold",
        applies=lambda one: one.by_onnxruntime and one.model.spelled_hard_swish_count > 0,
        reason=lambda one: (
            f"{one.model.spelled_hard_swish_count} HardSwish are spelled out in four operators, which onnxruntime "
            "runs one by one: folding makes two of each and changes no result"
        ),
        prior_kind="fold",
    ),
    RecipeRule(
        id="static-int8",
        recipe="static-int8",
        applies=_static_pays,
        reason=_static_reason,
        prior_kind="static-int8",
    ),
    RecipeRule(
        id="recurrent-weights",
        recipe="dynamic-int8",
        applies=lambda one: (
            # onnxruntime has such a kernel for LSTM, and none for GRU and RNN.
            one.by_onnxruntime and one.model.character == RECURRENCE and one.model.has_kind("LSTM")
        ),
        reason=lambda _one: "LSTM layers run with weights in 8 bits and scales found at run time, without any data",
        prior_kind="dynamic-int8",
    ),
    RecipeRule(
        id="dynamic-int8",
        recipe="dynamic-int8",
        applies=_dynamic_pays,
        reason=_dynamic_reason,
        prior_kind="dynamic-int8",
    ),
    RecipeRule(
        id="signed-on-arm",
        recipe="static-int8,activation_type=int8",
        applies=lambda one: _static_pays(one) and one.by_onnxruntime and one.device.is_arm,
        reason=lambda _one: (
            "on Arm it depends on the model whether signed or unsigned activations run faster: under emulation signed "
            "ones were ahead on a ResNet8 and behind on transformer blocks, so both are measured"
        ),
        prior_kind="static-int8",
    ),
    RecipeRule(
        id="careful-depthwise",
        recipe="equalize+static-int8+bias-correction",
        applies=lambda one: _static_pays(one) and one.model.depthwise_count > 0 and one.by_onnxruntime,
        reason=lambda one: (
            f"{one.model.depthwise_count} depthwise convolutions, whose channels tend to differ in range: equalization "
            "and bias correction keep accuracy at the speed of static int8"
        ),
        prior_kind="static-int8",
    ),
    RecipeRule(
        id="static-per-tensor",
        recipe="static-int8,per_channel=false",
        applies=lambda one: _static_pays(one) and one.by_onnxruntime and one.model.character == PERCEPTRON,
        reason=lambda _one: (
            "one scale a tensor instead of one a channel: onnxruntime's products of few rows run faster with it, at "
            "some cost in accuracy"
        ),
        prior_kind="static-int8,per_channel=false",
    ),
    RecipeRule(
        id="unsigned-weights",
        recipe="static-int8,weight_type=uint8,per_channel=false",
        applies=lambda one: _static_pays(one) and one.by_onnxruntime and one.device.saturates,
        reason=lambda _one: (
            "sums of u8 and s8 saturate on this processor, sums of u8 and u8 do not: 8 whole bits for the weights, at "
            "one scale a tensor"
        ),
        prior_kind="static-int8",
    ),
    RecipeRule(
        id="float16-arithmetic",
        recipe="float16",
        applies=lambda one: one.by_onnxruntime and one.device.is_arm and one.device.half_arithmetic is True,
        reason=lambda _one: "the processor multiplies float16, and the file is half as large",
    ),
    RecipeRule(
        id="float16-on-gpu",
        recipe="float16",
        applies=lambda one: one.provider in {"CUDAExecutionProvider", "TensorrtExecutionProvider",
            "CoreMLExecutionProvider", "WebGpuExecutionProvider", "DmlExecutionProvider"},
        reason=lambda one: f"{one.provider} has float16 arithmetic, and half as many bytes are moved",
    ),
    RecipeRule(
        id="int8-on-accelerator",
        recipe="static-int8",
        applies=lambda one: one.provider in {"QNNExecutionProvider", "VitisAIExecutionProvider",
            "NnapiExecutionProvider"},
        reason=lambda one: f"{one.provider} is for models in 8 bits with unsigned activations",
    ),
    RecipeRule(
        id="signed-on-tensorrt",
        recipe="static-int8,activation_type=int8",
        applies=lambda one: one.provider == "TensorrtExecutionProvider",
        reason=lambda _one: "TensorRT reads Q/DQ of signed, symmetric activations",
    ),
    RecipeRule(
        id="weights-read-once",
        recipe="weight-only",
        applies=lambda one: (
            one.by_onnxruntime and one.model.reads_weights_once and one.model.weight_bytes >= _LARGE_WEIGHT_BYTES
        ),
        reason=lambda _one: (
            "most weights are used once an inference, so that reading fewer bytes may save time beside space"
        ),
        prior_kind="weight-only",
    ),
    RecipeRule(
        id="weight-only",
        recipe="weight-only",
        applies=lambda one: one.on_cpu and one.model.weight_bytes >= _LARGE_WEIGHT_BYTES,
        reason=lambda one: (
            f"{format_value(one.model.weight_bytes, 'B')} of weights become about a quarter of it; activations stay in "
            "float"
        ),
        prior_kind="weight-only",
        saves_only_space=True,
    ),
    RecipeRule(
        id="float16-file",
        recipe="float16",
        applies=lambda one: one.by_litert and one.model.weight_bytes >= _LARGE_WEIGHT_BYTES,
        reason=lambda _one: "it halves the file with hardly any loss",
        prior_kind="float16",
        saves_only_space=True,
    ),
)  # fmt: skip

"""What to know before time is spent: a table of rules. Each warning claims what a measurement can check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from steelyard.advice.contract import REDUCE_RANGE, SPEEDUP, Claim
from steelyard.advice.facts import CONVOLUTIONS, RECURRENCE, TRANSFORMER, Situation
from steelyard.advice.priors import quantized_families
from steelyard.stats.formatting import format_value

_LITTLE = 0.1
_HALF = 0.5
_LARGE_WEIGHT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class WarningRule:
    """A warning, when it is due, and what it claims."""

    id: str
    applies: Callable[[Situation], bool]
    text: Callable[[Situation], str]
    claims: Callable[[Situation], tuple[Claim, ...]]


def _floats_on_onnxruntime(situation: Situation) -> bool:
    """Whether a float16 model would be computed in float32, with casts around every operator."""
    device = situation.device
    return situation.by_onnxruntime and (device.is_x86 or device.half_arithmetic is False)


def _convolves_mostly(situation: Situation) -> bool:
    # onnxruntime multiplies matrices by packed weights as they are: 32 rows up to 1.3 times as fast as by float ones.
    model = situation.model
    return model.mac_count > 0 and model.stored_product_share < _HALF


def _faster(recipe: str, *, low: float = 0.0, high: float) -> Claim:
    return Claim(recipe=recipe, figure=SPEEDUP, low=low, high=high)


def _no_gain(recipe: str) -> Callable[[Situation], tuple[Claim, ...]]:
    """Claim that a recipe gains nothing; it also folds, which does gain where HardSwish is spelled out."""
    return lambda one: (_faster(recipe, high=1.7 if one.model.spelled_hard_swish_count else 1.2),)


def _always(*claims: Claim) -> Callable[[Situation], tuple[Claim, ...]]:
    return lambda _situation: claims


WARNING_RULES = (
    WarningRule(
        id="no-int8-dot",
        applies=lambda one: one.on_cpu and one.device.int8_dot is False,
        text=lambda _one: (
            "this processor has no int8 dot product (VNNI, asimddp): expect about float speed from 8 bits, and less "
            "than twice of it in any case"
        ),
        claims=_always(_faster("static-int8", high=2.0), _faster("dynamic-int8", high=2.0)),
    ),
    WarningRule(
        id="u8s8-saturates",
        applies=lambda one: one.by_onnxruntime and one.device.saturates,
        text=lambda _one: (
            'sums of u8 and s8 saturate on this processor (AVX2 or AVX-512 without VNNI): reduce_range "auto" gives '
            "the weights 7 bits when the device is named; one ResNet-50 lost 5.8 points of accuracy without it"
        ),
        claims=_always(Claim(recipe="static-int8", figure=REDUCE_RANGE, low=1.0, high=1.0)),
    ),
    WarningRule(
        id="float16-no-halves",
        applies=_floats_on_onnxruntime,
        text=lambda _one: (
            "float16 halves the file and not the time: onnxruntime computes it in float32 on this processor, with "
            "casts around operators; it ran at 0.79x to 1.00x of float32 elsewhere"
        ),
        claims=_always(_faster("float16", high=1.1)),
    ),
    WarningRule(
        id="float16-unpacked",
        applies=lambda one: one.by_litert and one.device.is_x86,
        text=lambda _one: (
            "float16 halves the file and not the time: LiteRT unpacks the weights to float32 when it loads the model"
        ),
        claims=_always(_faster("float16", low=0.85, high=1.15)),
    ),
    WarningRule(
        id="dynamic-convolutions",
        applies=lambda one: one.by_onnxruntime and one.model.character == CONVOLUTIONS,
        text=lambda _one: (
            "dynamic int8 leaves convolutions alone, and rightly: with all_ops six models ran at 0.1x to 0.7x of "
            "float32 in onnxruntime"
        ),
        claims=_always(_faster("dynamic-int8,weight_type=uint8,all_ops=true", high=0.9)),
    ),
    WarningRule(
        id="dynamic-touches-little",
        applies=lambda one: (
            one.by_onnxruntime
            # It quantizes these, too.
            and not one.model.has_kind("LSTM")
            and one.model.stored_product_count > 0
            and one.model.stored_product_share < _LITTLE
            and one.model.stored_product_parameter_share < _LITTLE
        ),
        text=lambda one: (
            f"dynamic int8 would quantize {100 * one.model.stored_product_share:.1f} % of the multiply-accumulates: "
            "expect no gain beyond that of folding"
        ),
        claims=_no_gain("dynamic-int8"),
    ),
    WarningRule(
        id="weight-only-saves-file",
        applies=lambda one: (
            (one.by_litert or (one.by_onnxruntime and _convolves_mostly(one)))
            and one.model.weight_bytes >= _LARGE_WEIGHT_BYTES
            and not one.model.reads_weights_once
        ),
        text=lambda one: (
            f"{format_value(one.model.weight_bytes, 'B')} of weights, most of them used many times an inference: "
            "weight-only saves file, not time"
        ),
        claims=_no_gain("weight-only"),
    ),
    WarningRule(
        id="zeros-run-as-fast",
        applies=lambda one: one.by_onnxruntime or (one.by_litert and one.device.is_x86),
        text=lambda one: (
            f"zeros among the weights do not run faster in {one.runtime} here (1.00x at 50 % and 90 % elsewhere): "
            "sparsify makes a file that compresses better, and costs accuracy"
        ),
        claims=_always(_faster("sparsify", low=0.85, high=1.15)),
    ),
    WarningRule(
        id="recurrent-stays-float",
        applies=lambda one: one.by_onnxruntime and one.model.character == RECURRENCE,
        text=lambda _one: (
            "static int8 leaves LSTM, GRU and RNN layers in float, and this model is hardly more than these"
        ),
        claims=_always(_faster("static-int8", high=1.2)),
    ),
    WarningRule(
        id="litert-static-transformer",
        applies=lambda one: one.by_litert and one.model.character == TRANSFORMER,
        text=lambda _one: (
            "static int8 of transformer blocks ran at 0.58x of float32 in LiteRT: softmax and normalization convert "
            "back and forth; dynamic int8 ran at 2.35x"
        ),
        claims=_always(_faster("static-int8", high=1.1)),
    ),
    WarningRule(
        id="litert-16x8",
        applies=lambda one: one.by_litert,
        text=lambda _one: (
            "16-bit activations have no fast kernels in LiteRT: they ran 20 to 30 times slower than float32, and are "
            "for accelerators that have them"
        ),
        claims=_always(_faster("static-int8,activation_type=int16", high=0.7)),
    ),
    WarningRule(
        id="litert-int4-convolutions",
        applies=lambda one: one.by_litert and one.model.character == CONVOLUTIONS,
        text=lambda _one: "weights of 4 bits in convolutions ran at half of float32's speed in LiteRT (0.45x to 0.55x)",
        claims=_always(_faster("dynamic-int8,weight_type=int4", high=1.0)),
    ),
    WarningRule(
        id="tflite-runtime-int8",
        applies=lambda one: one.runtime == "tflite-runtime" and one.device.is_x86,
        text=lambda _one: (
            "tflite-runtime has no fast int8 kernels on x86: int8 ran at 0.09x of float32 there, where LiteRT's ran at "
            "1.77x; measure with --runtime litert"
        ),
        claims=_always(_faster("static-int8", high=0.8)),
    ),
    WarningRule(
        id="bound-by-the-rest",
        applies=lambda one: one.times is not None and _rest(one) > 0.5,
        text=lambda one: (
            f"{100 * _rest(one):.0f} % of the time measured here is in operators that 8 bits do not touch"
            f"{_named(one)}: static int8 cannot make the model more than {1 / _rest(one):.1f} times faster"
        ),
        # A profile is one run with the profiler on: room is left for its error.
        claims=lambda one: (_faster("static-int8", high=1.25 / _rest(one)),),
    ),
)  # fmt: skip


def _rest(situation: Situation) -> float:
    assert situation.times is not None
    return 1.0 - situation.times.share_of(quantized_families(situation, "static-int8"))


def _named(situation: Situation) -> str:
    assert situation.times is not None
    kind, share = situation.times.longest_other
    return f" (most in {kind}, {100 * share:.0f} %)" if kind else ""

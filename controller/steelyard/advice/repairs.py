"""What to try when a variant loses too much: repairs and fallbacks, in order of what they cost."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.compress.contract import TFLITE
from steelyard.compress.inline_text import inline_text, parse_inline


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """A recipe in one word, why it may help, and what it costs."""

    recipe: str
    reason: str
    costs: str


# In order of cost. Equalization, bias correction: Nagel et al. 2019. AdaRound: Nagel et al. 2020.
_ONNX = (
    ("static-int8,calibration_method=percentile", "rare activations no longer stretch the ranges", "a calibration"),
    ("static-int8,calibration_method=mse", "ranges of activations with the least squared error", "a calibration"),
    (
        "static-int8,calibration_method=entropy",
        "ranges that keep most of what the values tell, whatever a few samples do to the extremes",
        "a calibration",
    ),
    (
        "equalize+static-int8+bias-correction",
        "channels get weights of one range, and what rounding adds to the mean of each is taken off",
        "minutes of this machine, the same speed on the device",
    ),
    (
        "static-int8+adaround",
        "each weight is rounded as its layer's outputs need it",
        "an optimisation a layer on this machine, the same speed on the device",
    ),
    (
        "equalize+static-int8+bias-correction+adaround",
        "all three together",
        "an optimisation a layer on this machine, the same speed on the device",
    ),
    (
        "static-int8+bias-correction+fallback,max_drop={max_drop}",
        "layers that cost most accuracy go back to float until the bound holds",
        "evaluations on this machine, and some of the speed on the device",
    ),
)
_TFLITE = (
    ("static-int8,calibration_method=percentile", "rare activations no longer stretch the ranges", "a calibration"),
    ("static-int8,calibration_method=mse", "ranges of activations with the least squared error", "a calibration"),
    ("dynamic-int8", "activations get their scales as the model runs", "some of the speed on the device"),
    ("weight-only", "activations stay in float", "all of the speed, and the file stays small"),
)


def repairs(
    model_format: str, *, max_drop: float, step_kinds: frozenset[str], tried: frozenset[str] = frozenset()
) -> tuple[Repair, ...]:
    """Return what to try next.

    Args:
        model_format: "onnx" or "tflite".
        max_drop: what may be lost, in the metric's unit (0.01: a point).
        step_kinds: the steps that there are for this format.
        tried: recipes that were measured, in one word.
    """
    found = []
    for text, reason, costs in _TFLITE if model_format == TFLITE else _ONNX:
        recipe = text.format(max_drop=f"{max_drop:g}")
        if not {step.partition(",")[0] for step in recipe.split("+")} <= step_kinds:
            continue
        # Settings that are defaults are left out, as in the names of variants.
        recipe = inline_text(parse_inline(recipe))
        if recipe not in tried:
            found.append(Repair(recipe=recipe, reason=reason, costs=costs))
    return tuple(found)

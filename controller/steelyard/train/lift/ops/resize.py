"""Resize and its older form, Upsample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from steelyard.train.lift.call import Call, Rule
from steelyard.train.lift.values import Sizes, Value

# Before, there was one form, that of Upsample.
_FORMS_OPSET = 11
_ROUNDINGS = {
    "round_prefer_floor": lambda place: math.ceil(place - 0.5),
    "round_prefer_ceil": lambda place: math.floor(place + 0.5),
    "floor": math.floor,
    "ceil": math.ceil,
}


def _resize(call: Call) -> Value:
    """Axes are resized one by one: linear interpolation is separable, the nearest element too (ONNX Resize)."""
    mode = call.attribute("mode", "nearest")
    if call.opset < _FORMS_OPSET:
        return _by_axis(call, mode, "asymmetric", "floor")
    form = call.attribute("coordinate_transformation_mode", "half_pixel")
    if mode == "cubic" and not call.attribute("antialias", 0):
        return _cubic(call, form)
    if mode not in ("nearest", "linear") or call.attribute("antialias", 0) or form == "tf_crop_and_resize":
        call.refuse(f"resizes in the mode {mode}, {form}")
    return _by_axis(call, mode, form, call.attribute("nearest_mode", "round_prefer_floor"))


def _upsample(call: Call) -> Value:
    mode = call.attribute("mode", "nearest")
    return _by_axis(call, "linear" if mode in ("linear", "bilinear") else mode, "asymmetric", "floor")


def _cubic(call: Call, form: str) -> Value:
    """Pictures as torch resizes them: both sides to whole sizes, coefficient -0.75."""
    given = list(call.sample().shape)
    wanted, scales = _target(call, given)
    aligned = form == "align_corners"
    as_torch = call.attribute("cubic_coeff_a", -0.75) == -0.75 and not call.attribute("exclude_outside", 0)
    known = form in ("half_pixel", "pytorch_half_pixel") and _is_of_pictures(given, wanted, scales)
    if not as_torch or not (known or (aligned and len(given) == 4 and scales[:2] == [1.0, 1.0])):
        call.refuse(f"resizes in the mode cubic, {form}, otherwise than PyTorch does")
    return call.call(functional.interpolate, call.tensor(0), size=wanted[2:], mode="bicubic", align_corners=aligned)


def _by_axis(call: Call, mode: str, form: str, rounding: str) -> Value:
    given = list(call.sample().shape)
    wanted, scales = _target(call, given)
    if mode == "linear" and form == "half_pixel" and _is_of_pictures(given, wanted, scales):
        return call.call(functional.interpolate, call.tensor(0), size=wanted[2:], mode="bilinear", align_corners=False)
    made: Value = call.tensor(0)
    for axis, (have, want, scale) in enumerate(zip(given, wanted, scales, strict=True)):
        if have == want and scale == 1.0:
            continue
        places = [_place(at, form, scale, have, want) for at in range(want)]
        if mode == "nearest":
            nearest = [min(max(_ROUNDINGS[rounding](place), 0), have - 1) for place in places]
            made = call.call(torch.index_select, made, axis, call.build.constant(torch.tensor(nearest)))
        else:
            made = _between(call, made, axis, [min(max(place, 0.0), have - 1.0) for place in places])
    return made


def _is_of_pictures(given: Sequence[int], wanted: Sequence[int], scales: Sequence[float]) -> bool:
    """Return whether both sides of pictures change to whole sizes, which torch has one function for."""
    exact = all(want == have * scale for have, want, scale in zip(given, wanted, scales, strict=True))
    return len(given) == 4 and exact and scales[0] == scales[1] == 1.0


def _target(call: Call, given: Sequence[int]) -> tuple[list[int], list[float]]:
    """Return the size and scale of every axis, from sizes or scales (a stored input, or an attribute of old)."""
    if call.build.has_open_sizes:
        call.refuse("resizes a model whose sizes are open; fix its height and width")
    at_scales = 1 if call.operation.op_type == "Upsample" or call.opset < _FORMS_OPSET else 2
    axes = [one % len(given) for one in call.attribute("axes", range(len(given)))]
    wanted, scales = list(given), [1.0] * len(given)
    if call.has(3):
        sizes = call.sizes(3)
        sizes = sizes.sample if isinstance(sizes, Sizes) else sizes
        if call.attribute("keep_aspect_ratio_policy", "stretch") != "stretch":
            call.refuse("keeps the aspect ratio")
        for axis, size in zip(axes, sizes, strict=True):
            if axis > 0:
                wanted[axis], scales[axis] = int(size), int(size) / given[axis]
        return wanted, scales
    listed = call.numbers("scales", at_scales) or []
    for axis, scale in zip(axes, listed, strict=True):
        wanted[axis], scales[axis] = math.floor(given[axis] * scale), float(scale)
    return wanted, scales


def _place(at: int, form: str, scale: float, have: int, want: int) -> float:
    """Return where an output element lies in the input (the formulas of ONNX Resize)."""
    if form == "asymmetric":
        return at / scale
    if form == "align_corners":
        return at * (have - 1) / (want - 1) if want > 1 else 0.0
    if form == "pytorch_half_pixel" and want <= 1:
        return 0.0
    if form == "half_pixel_symmetric":
        return have / 2 * (1 - want / (have * scale)) + (at + 0.5) / scale - 0.5
    return (at + 0.5) / scale - 0.5


def _between(call: Call, values: Value, axis: int, places: Sequence[float]) -> Value:
    lower = torch.tensor([math.floor(place) for place in places])
    upper = torch.tensor([math.ceil(place) for place in places])
    shares = torch.tensor([place - math.floor(place) for place in places], dtype=call.sample().dtype)
    shape = [1] * call.sample().dim()
    shape[axis] = len(places)
    return call.call(_mixed, values, axis, *(call.build.constant(one) for one in (lower, upper, shares.reshape(shape))))


def _mixed(values: torch.Tensor, axis: int, lower: Any, upper: Any, shares: torch.Tensor) -> torch.Tensor:
    return torch.lerp(torch.index_select(values, axis, lower), torch.index_select(values, axis, upper), shares)


RULES: dict[str, Rule] = {"Resize": _resize, "Upsample": _upsample}

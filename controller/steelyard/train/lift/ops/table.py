"""Every operator that the lifter knows, with its rule."""

from __future__ import annotations

from steelyard.train.lift.call import Rule
from steelyard.train.lift.ops import (
    activation,
    attention,
    convolution,
    elementwise,
    indexing,
    linear,
    normalization,
    pooling,
    recurrent,
    reduction,
    resize,
    shaping,
)

RULES: dict[str, Rule] = {
    **activation.RULES,
    **attention.RULES,
    **convolution.RULES,
    **elementwise.RULES,
    **indexing.RULES,
    **linear.RULES,
    **normalization.RULES,
    **pooling.RULES,
    **recurrent.RULES,
    **reduction.RULES,
    **resize.RULES,
    **shaping.RULES,
}

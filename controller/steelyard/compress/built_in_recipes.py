"""Recipes that need no file: one a step with its defaults, and the common pipelines."""

from __future__ import annotations

from functools import lru_cache

from steelyard.compress.errors import RecipeError
from steelyard.compress.inline_text import parse_inline
from steelyard.compress.recipe import Recipe
from steelyard.compress.registry import step_class, step_kinds

# Name and steps. In order of what they cost.
_PIPELINES = {
    "int8-percentile": "static-int8,calibration_method=percentile",
    "int8-per-tensor": "static-int8,per_channel=false",
    "int8-signed": "static-int8,activation_type=int8",
    "int16x8": "static-int8,activation_type=int16",
    "int8-careful": "equalize+static-int8+bias-correction",
    "int8-adaround": "static-int8+adaround",
    "int8-repaired": "equalize+static-int8+bias-correction+adaround",
    "int8-bounded": "static-int8+bias-correction+fallback",
    "weights-int8-gptq": "weight-only,method=gptq",
    "weights-int4": "weight-only,bits=4",
    "weights-int4-gptq": "weight-only,bits=4,method=gptq",
    "hybrid": "prune,teachers=parent+qat,teachers=parent",
    "sparse-arm": "sparsify,sparsity=0.8+sparse-encoding",
}


@lru_cache(maxsize=1)
def builtin_recipes() -> tuple[Recipe, ...]:
    """Return the recipes that need no file: one a step with its defaults, named like its kind, then the pipelines."""
    single = [Recipe((step_class(kind)(),), name=kind) for kind in step_kinds() if _begins(kind)]
    return (*single, *(Recipe(parse_inline(text), name=name) for name, text in _PIPELINES.items()))


def _begins(kind: str) -> bool:
    """Say whether a recipe may begin with this step: repairs come after what they repair."""
    try:
        Recipe((step_class(kind)(),))
    except RecipeError:
        return False
    return True

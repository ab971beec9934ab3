"""A recipe that keeps more operators in float, as it is written."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from steelyard.compress.errors import RecipeError
from steelyard.compress.inline_text import inline_text, parse_inline
from steelyard.compress.recipe import Recipe

if TYPE_CHECKING:
    from steelyard.compress.contract import Step

# The steps that make integers of activations, and take patterns of what stays in float.
_QUANTIZERS = ("static-int8", "qat")


def quantizing_kind(recipe: Recipe) -> str:
    """Return which of a recipe's steps makes integers of activations: "static-int8", "qat", "" for none."""
    return next((step.kind for step in recipe.step_list if step.kind in _QUANTIZERS), "")


def keep_float_line(recipe: Recipe, patterns: Sequence[str]) -> str:
    """Return the line of the quantizing step's table in a recipe file: ``keep_float = ["conv1"]``."""
    before = next((_kept(step) for step in recipe.step_list if step.kind in _QUANTIZERS), ())
    kept = list(dict.fromkeys((*before, *patterns)))
    return f"keep_float = {json.dumps(kept, ensure_ascii=False)}"


def word_keeping(recipe: Recipe, patterns: Sequence[str]) -> str:
    """Return the recipe with these patterns of nodes in float as one word; "" where no word can say it.

    Names may hold what separates settings; a word counts only when it is read back as what it should say.
    """
    parts, wanted = [], []
    for step in recipe.step_list:
        if step.kind not in _QUANTIZERS:
            parts.append(inline_text([step]))
            wanted.append(step)
            continue
        kept = tuple(dict.fromkeys((*_kept(step), *patterns)))
        wanted.append(_keeping(step, kept))
        parts.append(f"{inline_text([_keeping(step, ())])},keep_float={'|'.join(kept)}")
    word = "+".join(parts)
    try:
        return word if list(parse_inline(word)) == wanted else ""
    except RecipeError:
        return ""


def _kept(step: Any) -> tuple[str, ...]:
    kept: tuple[str, ...] = step.keep_float
    return kept


def _keeping(step: Any, kept: tuple[str, ...]) -> Step:
    made: Step = dataclasses.replace(step, keep_float=kept)
    return made

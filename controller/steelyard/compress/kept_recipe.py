"""A recipe that keeps more operators in float, as it is written."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

from steelyard.compress.errors import RecipeError
from steelyard.compress.inline_text import inline_text, parse_inline
from steelyard.compress.recipe import Recipe
from steelyard.compress.steps.static_int8 import StaticInt8


def keep_float_line(recipe: Recipe, patterns: Sequence[str]) -> str:
    """Return the line of the static-int8 table in a recipe file: ``keep_float = ["conv1"]``."""
    before = next((step.keep_float for step in recipe.step_list if isinstance(step, StaticInt8)), ())
    kept = list(dict.fromkeys((*before, *patterns)))
    return f"keep_float = {json.dumps(kept, ensure_ascii=False)}"


def word_keeping(recipe: Recipe, patterns: Sequence[str]) -> str:
    """Return the recipe with these patterns of nodes in float as one word; "" where no word can say it.

    Names may hold what separates settings; a word counts only when it is read back as what it should say.
    """
    parts, wanted = [], []
    for step in recipe.step_list:
        if not isinstance(step, StaticInt8):
            parts.append(inline_text([step]))
            wanted.append(step)
            continue
        kept = tuple(dict.fromkeys((*step.keep_float, *patterns)))
        wanted.append(dataclasses.replace(step, keep_float=kept))
        parts.append(f"{inline_text([dataclasses.replace(step, keep_float=())])},keep_float={'|'.join(kept)}")
    word = "+".join(parts)
    try:
        return word if list(parse_inline(word)) == wanted else ""
    except RecipeError:
        return ""

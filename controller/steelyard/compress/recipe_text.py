"""The TOML form of recipes, and where recipes are found: built in, in one word, or in a file."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from steelyard.compress.built_in_recipes import builtin_recipes
from steelyard.compress.contract import Step
from steelyard.compress.errors import RecipeError
from steelyard.compress.inline_text import inline_text, parse_inline
from steelyard.compress.recipe import Recipe
from steelyard.compress.registry import all_step_kinds, step_class, step_kinds
from steelyard.spelling import first_unknown, meant
from steelyard.toml_text import parse_toml


def load_recipe(name_or_path: str) -> Recipe:
    """Return a built-in recipe by name, one written in one word, or the one in a TOML file.

    Raises:
        RecipeError: nothing of that name (the nearest is named), or a file that is no recipe.
    """
    known = {recipe.name: recipe for recipe in builtin_recipes()}
    if name_or_path in known:
        return known[name_or_path]
    path = Path(name_or_path)
    if path.suffix != ".toml" and _is_inline(name_or_path):
        return Recipe(parse_inline(name_or_path))
    built_in = known.get(name_or_path.partition(",")[0])
    if path.suffix != ".toml" and built_in is not None:
        raise RecipeError(
            "recipe_with_settings",
            f"{built_in.name} is a recipe that has its settings, and {name_or_path!r} gives it more; write its steps "
            f"out with yours among them: {inline_text(built_in.step_list)}",
        )
    if path.suffix != ".toml":
        raise RecipeError(
            "recipe_not_found",
            f"there is no recipe {name_or_path!r}; {meant(name_or_path, known)}; a file's name ends in .toml, steps "
            "are joined by '+'",
        )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise RecipeError("recipe_not_found", f"the recipe {path} cannot be read ({error}); check the path") from error
    return parse_recipe(text, source=str(path))


def parse_recipe(text: str, *, source: str = "the recipe") -> Recipe:
    """Parse a recipe; ``source`` names the text in errors.

    Raises:
        RecipeError: no TOML, an unknown key or kind (the nearest is named), or an impossible combination.
    """
    try:
        content = parse_toml(text)
    except ValueError as error:
        raise RecipeError("invalid_recipe", f"{source} is not valid TOML: {error}") from error
    _refuse_unknown(content, ("name", "steps"), source)
    name, tables = content.get("name"), content.get("steps")
    if not isinstance(name, str):
        raise RecipeError("invalid_recipe", f"{source}: 'name' is {name!r}; write a text in quotes")
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise RecipeError("invalid_recipe", f"{source} has no steps; add a [[steps]] table with a kind")
    return Recipe(tuple(_step(table, source) for table in tables), name=name)


def _is_inline(text: str) -> bool:
    """Say whether a text means steps: several, or a known one with settings."""
    kind = text.partition(",")[0]
    return "+" in text or kind in step_kinds() or kind in all_step_kinds()


def _step(table: dict[str, Any], source: str) -> Step:
    kind = table.get("kind")
    if not isinstance(kind, str):
        raise RecipeError("invalid_recipe", f"{source}: a step has the kind {kind!r}; {meant('', all_step_kinds())}")
    found = step_class(kind)
    settings = {key: value for key, value in table.items() if key != "kind"}
    _refuse_unknown(settings, tuple(field.name for field in dataclasses.fields(found)), f"{source}: step {kind}")
    return found(**{key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()})


def _refuse_unknown(table: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    unknown = first_unknown(list(table), known)
    if unknown is not None:
        raise RecipeError("unknown_key", f"{where} has the unknown key {unknown!r}; {meant(unknown, known)}")

"""What a recipe must find in a model, checked for all its steps before the first one runs."""

from __future__ import annotations

from pathlib import Path

from steelyard.compress.contract import FLOAT32
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.recipe import Recipe


def refuse_other_format(recipe: Recipe, model_format: str, path: Path) -> None:
    """Refuse a model of a file format that one of the steps does not work on.

    Raises:
        CompressionInputError: unsupported_format.
    """
    for step in recipe.step_list:
        if model_format not in step.formats:
            raise CompressionInputError(
                "unsupported_format",
                f"{path} is {model_format} and {step.kind} works on {' and '.join(sorted(step.formats))}; give another "
                "export of it, or leave the step out",
            )


def refuse_other_form(recipe: Recipe, form: str, path: Path) -> None:
    """Refuse a model in a numeric form that leads to one of the steps in a form which it does not take.

    Raises:
        CompressionInputError: already_compressed, or no_float_ancestor.
    """
    before = (form, *recipe.forms(form))
    for number, step in enumerate(recipe.step_list):
        if before[number] not in step.accepts:
            met = "is already" if number == 0 else "is"
            raise CompressionInputError(
                "already_compressed",
                f"{path} {met} {form}, and {step.kind} starts from {' or '.join(sorted(step.accepts))}; give the "
                "model that it was made from",
            )
        if step.needs_float_ancestor and FLOAT32 not in before[: number + 1]:
            raise CompressionInputError(
                "no_float_ancestor",
                f"{path} is {form}, and {step.kind} compares with the float32 model; give the model that it was made "
                "from",
            )

"""From the model file that a step is given to a module, and from the module to the file that it leaves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from steelyard.compress.contract import StepContext
from steelyard.compress.tools import tool_versions
from steelyard.errors import SteelyardError
from steelyard.train.errors import TrainingInputError
from steelyard.train.lift import lift_checked

if TYPE_CHECKING:
    from steelyard.train.lift.lifted import LiftedModel


def lifted_model(path: Path) -> LiftedModel:
    """Return the model of a file as a module that gives the same numbers.

    Raises:
        LiftError, ExtraMissingError: it cannot become one.
    """
    return lift_checked(path)


def named_model(name: str, context: StepContext, *, what: str) -> Path:
    """Return the file of a model that the controller has; ``what`` says in the sentence what it is to do.

    Raises:
        TrainingInputError: unknown_model.
    """
    path = context.artifacts.get(name)
    if path is None:
        raise TrainingInputError(
            "unknown_model", f"there is no model {name!r} to {what}; write the name of one that the controller has"
        )
    return path


def named_lifted(name: str, context: StepContext, *, what: str) -> LiftedModel:
    """Return a model that the controller has as a module; errors call it by its name, for its file has none.

    Raises:
        TrainingInputError: unknown_model.
        LiftError, InvalidModelError, ExtraMissingError: it cannot become one.
    """
    path = named_model(name, context, what=what)
    try:
        return lifted_model(path)
    except SteelyardError as error:
        told = str(error).replace(str(path), name).replace(path.name, name)
        raise type(error)(error.reason, told) from error


def write_model(lifted: LiftedModel, out_path: Path) -> None:
    """Write a module as ONNX; the exporter folds BatchNorm into the convolutions before it.

    Raises:
        ExportError: it cannot be written, or gives other numbers.
    """
    from steelyard.train.export.onnx_program import export_lifted

    export_lifted(lifted, out_path, folded=False)


def training_tools(*more: str) -> tuple[str, ...]:
    """Return "name version" of what steps that train work with."""
    return tool_versions("torch", "onnxscript", "onnx", "numpy", *more)

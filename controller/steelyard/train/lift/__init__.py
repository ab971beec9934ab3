"""The lifter: an ONNX model becomes a tree of PyTorch modules whose weights optimizers and pruners see."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from steelyard.train.extras import need

if TYPE_CHECKING:
    from steelyard.train.lift.lifted import LiftedModel

__all__ = ["RELATIVE_TOLERANCE", "lift", "lift_checked"]

# The largest difference to onnxruntime, as a share of the largest magnitude in the output.
RELATIVE_TOLERANCE = 1e-5


def lift(path: Path, *, shapes: Mapping[str, tuple[int, ...]] | None = None) -> LiftedModel:
    """Return a float ONNX model as a module in evaluation mode; its numbers are not checked (``lift_checked``).

    Args:
        path: an ONNX file.
        shapes: by name of an input, a shape that the model runs with, where open dimensions cannot be guessed.

    Raises:
        LiftError: unknown_op, control_flow, already_quantized and others, each naming the node.
        InvalidModelError: the file is no ONNX model.
        ExtraMissingError: PyTorch is not installed.
    """
    need("torch", what="lifting a model")
    from steelyard.train.lift.lifting import lift_model

    return lift_model(path, shapes or {})


def lift_checked(
    path: Path,
    *,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    tolerance: float = RELATIVE_TOLERANCE,
) -> LiftedModel:
    """Return ``lift(path)`` after its outputs were found the same as onnxruntime's on drawn inputs.

    ``tolerance`` is the largest difference of an output as a share of its largest magnitude.

    Raises:
        LiftError: as ``lift``; outputs_differ, naming the first layer that differs.
    """
    need("torch", what="lifting a model")
    from steelyard.train.lift.checking import check_lifted

    lifted = lift(path, shapes=shapes)
    check_lifted(path, lifted, tolerance=tolerance)
    return lifted

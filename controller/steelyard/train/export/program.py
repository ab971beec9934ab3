"""Trace a module into an ExportedProgram; where that fails, say which line of whose source."""

from __future__ import annotations

import inspect
import re
import sysconfig
import traceback
from pathlib import Path
from typing import Any

from steelyard.errors import first_line
from steelyard.train.errors import ExportError
from steelyard.train.export.example import Interface, as_arguments, example_feed
from steelyard.train.export.quiet import quiet_exporters


def trace(module: Any, interface: Interface) -> Any:
    """Return the ``torch.export.ExportedProgram`` of a module that is in evaluation mode, with the open axes kept open.

    The program is decomposed to torch's core operators when it is converted, not here.

    Raises:
        ExportError: not_traceable, naming the source line; batch_fixed: the module works with one batch only.
    """
    import torch

    arguments = as_arguments(interface, example_feed(interface))
    try:
        with quiet_exporters(), torch.no_grad():
            return torch.export.export(module, arguments, dynamic_shapes=_dynamic(interface, module), strict=False)
    except (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError, AssertionError) as error:
        if _is_about_shapes(error):
            raise ExportError(
                "axis_fixed",
                f"the module works with one size only where the model leaves it open: {_fixed_axes(error)}; write it "
                "for any size, or keep the size that it works with",
            ) from error
        raise ExportError("not_traceable", f"the module cannot be traced{at_line(error)} {_why(error)}") from error


def at_line(error: BaseException) -> str:
    """Return " at file.py:12: the code" of the innermost line that is the program's own, "" where there is none."""
    import torch

    if isinstance(error, SyntaxError) and error.filename and error.text:
        return f" at {error.filename}:{error.lineno}: {error.text.strip()}"
    others = (str(Path(torch.__file__).parent), str(Path(__file__).parents[1]), "<")
    standard = sysconfig.get_paths()["stdlib"]
    theirs = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(others)
        and ("site-packages" in frame.filename or not frame.filename.startswith(standard))
    ]
    return f" at {theirs[-1].filename}:{theirs[-1].lineno}: {theirs[-1].line}" if theirs else ""


def _why(error: BaseException) -> str:
    if "DataDependent" in type(error).__name__ or "data-dependent" in str(error):
        return (
            "(it goes by the values in a tensor, and a model is one graph for all values); choose with torch.where, or "
            "take if, assert, range, int() and .item() on values out of forward"
        )
    if any(frame.filename.endswith("utils/rnn.py") for frame in traceback.extract_tb(error.__traceback__)):
        return "(packed sequences have no form in a model); give the layer the padded tensor"
    return f"({type(error).__name__}: {first_line(error)}); write that line with operators on tensors alone"


def _dynamic(interface: Interface, module: Any) -> tuple[Any, ...]:
    """Return for torch which axes are open. The batch must stay so; another one may turn out to be fixed."""
    from torch.export import Dim

    kinds: dict[str, Any] = {}
    each = []
    for axes in interface.open_axes():
        kept = {}
        for axis, name in axes.items():
            is_batch = axis == 0 and interface.open_batch
            kept[axis] = kinds.setdefault(name, Dim("batch", min=1)) if is_batch else Dim.AUTO
        each.append(kept)
    kinds_of_arguments = [one.kind for one in inspect.signature(module.forward).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL not in kinds_of_arguments:
        return tuple(each)
    named = kinds_of_arguments.index(inspect.Parameter.VAR_POSITIONAL)
    return (*each[:named], tuple(each[named:]))


def _fixed_axes(error: BaseException) -> str:
    """Return what torch says of the sizes that turned out to be fixed."""
    told = re.findall(r"marked (\w+) as dynamic but your code specialized it to be a constant \((\d+)\)", str(error))
    return ", ".join(f"{name} is always {size}" for name, size in told) or first_line(error)


def _is_about_shapes(error: BaseException) -> bool:
    return "Constraints violated" in str(error) or "ConstraintViolation" in type(error).__name__

"""Trace a module into an ExportedProgram; where that fails, say which line of whose source."""

from __future__ import annotations

import re
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
            return torch.export.export(module, arguments, dynamic_shapes=_dynamic(interface), strict=False)
    except (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError, AssertionError) as error:
        if _is_about_shapes(error):
            raise ExportError(
                "axis_fixed",
                f"the module works with one size only where the model leaves it open: {_fixed_axes(error)}; write it "
                "for any size, or keep the size that it works with",
            ) from error
        raise ExportError(
            "not_traceable",
            f"the module cannot be traced at {source_line(error)} ({type(error).__name__}: {first_line(error)}); "
            "write that line without control flow on values",
        ) from error


def source_line(error: BaseException) -> str:
    """Return "file.py:12: the code" of the innermost frame outside of torch, as far as there is one."""
    import torch

    own = str(Path(torch.__file__).parent)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(own) and "<eval_with_key>" not in frame.filename
    ]
    ours = str(Path(__file__).parent)
    theirs = [frame for frame in frames if not frame.filename.startswith(ours)] or frames
    if not theirs:
        return "a place that torch does not tell"
    last = theirs[-1]
    return f"{last.filename}:{last.lineno}: {last.line}"


def _dynamic(interface: Interface) -> tuple[dict[int, Any], ...]:
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
    return tuple(each)


def _fixed_axes(error: BaseException) -> str:
    """Return what torch says of the sizes that turned out to be fixed."""
    told = re.findall(r"marked (\w+) as dynamic but your code specialized it to be a constant \((\d+)\)", str(error))
    return ", ".join(f"{name} is always {size}" for name, size in told) or first_line(error)


def _is_about_shapes(error: BaseException) -> bool:
    return "Constraints violated" in str(error) or "ConstraintViolation" in type(error).__name__

"""Samples from a function in a Python file. It runs where the task is materialised, and is never sent anywhere."""

from __future__ import annotations

import hashlib
import runpy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.contract import LABELS
from steelyard.tasks.sources.contract import SourceData
from steelyard.tasks.task import ONLY_INPUT, Split

_SPLITS = ("evaluation", "calibration", "validation", "training")


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonFile:
    """``function`` of ``file`` returns a mapping: a split's name to inputs, or to (inputs, truth).

    Inputs are an array [N, ...] or a mapping from input name to arrays; truth is an array (the labels) or a mapping
    from array name to arrays.
    """

    kind: ClassVar[str] = "python"

    file: str
    function: str = "load"

    def read(self, folder: Path) -> SourceData:
        """Return what the function returns; see ``Source.read``."""
        path = folder / self.file
        try:
            content = path.read_bytes()
            found = runpy.run_path(str(path)).get(self.function)
        except FileNotFoundError as error:
            raise TaskError("data_not_found", f"there is no file {path}; check the path") from error
        except (Exception, SystemExit) as error:
            raise TaskError(
                "python_failed", f"{path} fails ({type(error).__name__}: {error}); run it by itself"
            ) from error
        if not callable(found):
            raise TaskError("python_failed", f"{path} has no function {self.function!r}; name it in [source]")
        try:
            made = found()
        except (Exception, SystemExit) as error:
            raise TaskError(
                "python_failed", f"{self.function} of {path} fails ({type(error).__name__}: {error}); run it by itself"
            ) from error
        splits = _splits(made, f"{self.function} of {path}")
        return SourceData(
            evaluation=splits["evaluation"],
            calibration=splits.get("calibration"),
            validation=splits.get("validation"),
            training=splits.get("training"),
            drawn={
                "kind": self.kind,
                "file": self.file,
                "function": self.function,
                "sha256": hashlib.sha256(content).hexdigest(),
            },
        )


def _splits(made: object, what: str) -> dict[str, Split]:
    if not isinstance(made, Mapping) or "evaluation" not in made or not set(made) <= set(_SPLITS):
        names = ", ".join(map(str, made)) or "nothing" if isinstance(made, Mapping) else type(made).__name__
        raise TaskError("python_failed", f"{what} returns {names}; return a mapping of {', '.join(_SPLITS)}")
    return {str(name): _split(value, f"{what}, {name}") for name, value in made.items() if value is not None}


def _split(value: object, what: str) -> Split:
    inputs, truth = value if isinstance(value, tuple) and len(value) == 2 else (value, {})
    return Split(inputs=_arrays(inputs, ONLY_INPUT, what), truth=_arrays(truth, LABELS, what))


def _arrays(value: Any, only: str, what: str) -> dict[str, NDArray[Any]]:
    named = value if isinstance(value, Mapping) else {only: value}
    arrays = {str(name): np.asarray(array) for name, array in named.items()}
    odd = [name for name, array in arrays.items() if array.dtype == object or array.ndim == 0]
    if odd:
        raise TaskError(
            "python_failed", f"{what}: {odd[0] or 'the samples'} is no array of samples; return numpy arrays"
        )
    return arrays

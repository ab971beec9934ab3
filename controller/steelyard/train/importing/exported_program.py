"""Load an ExportedProgram (.pt2) so that nothing in the file runs while it is read."""

from __future__ import annotations

import json
import os
import pickle
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from steelyard.errors import first_line
from steelyard.train.errors import ImportModelError
from steelyard.train.export.quiet import quiet_exporters
from steelyard.train.importing.weights import refused_class

# torch (2.13) gives formulas of sizes to sympy, which evaluates them as Python. Sizes need sympy's own names (they
# begin with a capital), their settings, symbols (s40), numbers and operators; no function of Python is among these.
_FORMULA = re.compile(
    r"(?!.*__)(?:\s|'\w+(?:\.\d+)?'|[A-Z]\w*\b|[a-z_]+\b(?=\s*=)|[a-z]+\d+\b|\d+(?:\.\d+)?(?!\w)|[-+*/%,<>=!&|~()])*"
)
_ONLY_TENSORS = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


def load_exported(path: Path, *, allow_pickle: bool) -> Any:
    """Return the ``torch.export.ExportedProgram`` of a file.

    torch loads some of its parts as pickles and evaluates its formulas; without ``allow_pickle`` only tensors and plain
    formulas are read.

    Raises:
        ImportModelError: bare_pickle: it holds more than those; invalid_program: this torch cannot read it.
    """
    import torch

    if not allow_pickle:
        _refuse_code(path)
    try:
        with quiet_exporters(), _only_tensors(wanted=not allow_pickle):
            return torch.export.load(path)
    except pickle.UnpicklingError as error:
        raise _holds_more(path, refused_class(error) or "an object that torch does not know") from error
    except (RuntimeError, ValueError, KeyError, TypeError, OSError) as error:
        raise ImportModelError(
            "invalid_program",
            f"{path} cannot be loaded as an ExportedProgram by torch {torch.__version__} ({first_line(error)}); save "
            "it again with this version",
        ) from error


def _refuse_code(path: Path) -> None:
    for formula in _formulas(path):
        if not _FORMULA.fullmatch(formula):
            raise _holds_more(path, f"a size is {formula[:60]!r}")


def _holds_more(path: Path, what: str) -> ImportModelError:
    return ImportModelError(
        "bare_pickle",
        f"{path} holds more than tensors and their graph ({what}), which can run any code as it is loaded; save it "
        "again, or add --allow-pickle if you trust whoever made it",
    )


def _formulas(path: Path) -> Iterator[str]:
    """Yield the formulas of sizes in all JSON parts of a file."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if not name.endswith(".json"):
                continue
            try:
                yield from _texts_of(json.loads(archive.read(name)))
            except (ValueError, RecursionError) as error:
                raise ImportModelError(
                    "invalid_program", f"{path} has a part {name} that is no JSON; save it again"
                ) from error


def _texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "expr_str":
                yield str(inner)
            yield from _texts_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts_of(inner)


@contextmanager
def _only_tensors(*, wanted: bool) -> Iterator[None]:
    """Have torch.load take tensors alone, whatever its callers ask for."""
    before = os.environ.get(_ONLY_TENSORS)
    if wanted:
        os.environ[_ONLY_TENSORS] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_ONLY_TENSORS, None)
        else:
            os.environ[_ONLY_TENSORS] = before

"""Get a module from a Python file: a callable without arguments that returns it, or the module itself."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from steelyard.errors import first_line
from steelyard.train.errors import ImportModelError
from steelyard.train.export.program import at_line

_NAME = "_steelyard_imported"


def module_of(path: Path, name: str) -> Any:
    """Return the ``torch.nn.Module`` that a Python file calls, or returns from, ``name``.

    Raises:
        ImportModelError: model_not_found, factory_failed naming the line, no_factory, no_module.
    """
    import torch

    if not path.is_file():
        raise ImportModelError("model_not_found", f"there is no Python file {path}; check the path")
    with _importable(path.resolve().parent):
        factory = getattr(_imported(path.resolve()), name, None)
        if not callable(factory):
            raise ImportModelError("no_factory", f"{path} has no callable {name}; name one that returns the module")
        module = factory if isinstance(factory, torch.nn.Module) else _called(factory, name, path)
    if not isinstance(module, torch.nn.Module):
        raise ImportModelError(
            "no_module", f"{name} of {path} returned a {type(module).__name__}; return a torch.nn.Module"
        )
    return module


def _called(factory: Any, name: str, path: Path) -> Any:
    try:
        return factory()
    except (Exception, SystemExit) as error:
        raise ImportModelError(
            "factory_failed",
            f"{name} of {path} failed{at_line(error)} ({type(error).__name__}: {first_line(error)}); it is called "
            "without arguments",
        ) from error


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Have a folder importable as ``python FILE`` has it."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _imported(path: Path) -> ModuleType:
    """Import a file as ``python FILE`` runs it; one that imports from its own package, as a module of that."""
    try:
        try:
            return _alone(path)
        except ImportError as error:
            if "no known parent package" not in str(error):
                raise
        root, dotted = _in_package(path)
        with _importable(root):
            return importlib.import_module(dotted)
    except (Exception, SystemExit) as error:
        raise ImportModelError(
            "factory_failed",
            f"{path} cannot be imported{at_line(error)} ({type(error).__name__}: {first_line(error)}); see that "
            "Python itself imports it",
        ) from error


def _alone(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(_NAME, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[_NAME] = module
    spec.loader.exec_module(module)
    return module


def _in_package(path: Path) -> tuple[Path, str]:
    """Return the folder that the outermost package of a file lies in, and the file's name from there."""
    folder, parts = path.parent.parent, [path.parent.name, path.stem]
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(parts)

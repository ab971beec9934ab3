"""A module that is loaded when something of it is used first."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec


def load_late(name: str) -> None:
    """Let ``import name`` bring a module that loads itself on first use; one that is there already stays as it is.

    For what others import and seldom use: ``pathlib`` brings ``urllib.parse``, and that ``ipaddress``, 0.24 MiB which
    an idle agent never needs (Python 3.11 and 3.12). The standard library's ``LazyLoader`` does not do: in these
    versions the import statement itself counts as use. Packages are left to be imported as ever.
    """
    spec = None if name in sys.modules else importlib.util.find_spec(name)
    if spec is not None and spec.loader is not None and spec.submodule_search_locations is None:
        sys.modules[name] = _LateModule(spec, spec.loader)


class _LateModule(ModuleType):
    def __init__(self, spec: ModuleSpec, loader: Loader) -> None:
        super().__init__(spec.name)
        self.__spec__ = spec
        self.__loader__ = loader

    def __getattr__(self, name: str) -> Any:
        # Called for what is missing only; from now on this is a module like any other.
        self.__class__ = ModuleType  # type: ignore[assignment]
        self.__loader__.exec_module(self)  # type: ignore[union-attr]
        return getattr(self, name)

"""Finds a way of access by its name. A new one is one file with ``open_reader`` and ``RUNS_PROGRAM``, and a line here.

``open_reader(system, addresses)`` returns a ``RawReader`` and opens nothing yet; ``RUNS_PROGRAM`` says that a read
starts a program and so takes milliseconds to seconds.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from steelyard_agent.meters.access.contract import RawReader
from steelyard_agent.meters.contract import System

_MODULES = {
    "files": "files",
    "file-pairs": "file_pairs",
    "pi-pmic": "pi_pmic",
    "android-battery": "android_battery",
    "termux-battery": "termux_battery",
    "nvml": "nvml",
}
ACCESS_NAMES = tuple(_MODULES)


def open_access(system: System, name: str, addresses: tuple[str, ...]) -> RawReader:
    """Return a reader of ``addresses``, whose meaning is that of the access.

    Raises:
        ValueError: there is no access of this name.
    """
    reader: RawReader = _module(name).open_reader(system, addresses)
    return reader


def runs_program(name: str) -> bool:
    """Return whether a read starts a program; such sources are read in a thread of their own.

    Raises:
        ValueError: there is no access of this name.
    """
    return bool(_module(name).RUNS_PROGRAM)


def _module(name: str) -> ModuleType:
    if name not in _MODULES:
        raise ValueError(f"there is no access {name!r} to a power source; there are {', '.join(_MODULES)}")
    return import_module(f"steelyard_agent.meters.access.{_MODULES[name]}")

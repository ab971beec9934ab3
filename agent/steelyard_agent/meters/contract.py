"""The contract of a meter. Meters run in the supervisor (or its sampler), never in the measured process."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from steelyard_agent.commands import CommandAnswer, run_program
from steelyard_agent.readings import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """The world that meters look at; tests give a fake tree and a fake clock.

    ``root`` is put before every absolute path (``/sys/class/hwmon`` becomes ``root/sys/class/hwmon``).
    ``open_descriptor`` opens a path with flags as ``os.open`` does and ``list_folder`` names what is in a folder as
    ``os.listdir`` does; tests refuse files and folders with them, which file modes cannot do for root. ``run_command``
    asks a program of the device.
    """

    root: Path = Path("/")
    clock_ns: Callable[[], int]
    open_descriptor: Callable[[Path, int], int] = os.open
    list_folder: Callable[[Path], list[str]] = os.listdir
    run_command: Callable[[Sequence[str]], CommandAnswer] = run_program

    def path(self, absolute: str) -> Path:
        """Return ``absolute`` under the root."""
        return self.root / absolute.lstrip("/")


class Meter(Protocol):
    """One kind of source. A probe answers with readings or with the reasons why there are none, and never raises."""

    name: str

    def probe(self) -> list[Reading]:
        """Look for sources and read each once; at least one reading, an unavailable one where there is nothing."""
        ...

    def read(self) -> list[Reading]:
        """Read the sources that the last probe found; a source that fails now gives an unavailable reading."""
        ...

    def close(self) -> None:
        """Give cached descriptors back; the next probe opens them again."""
        ...

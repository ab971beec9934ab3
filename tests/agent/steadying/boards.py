"""Boards whose governors can be changed, or refuse to be."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.fake_sysfs import FakeSysfs

GOVERNOR = "/sys/devices/system/cpu/cpufreq/policy{}/scaling_governor"


class StubbornSysfs(FakeSysfs):
    """A tree of which one file refuses writes, or takes them and does nothing."""

    refusing: Path | None = None
    swallowing: Path | None = None

    def refuse_writes(self, absolute: str = "") -> None:
        """Let only root write the file; "" lets everybody write everything again."""
        self.refusing = self.system.path(absolute) if absolute else None

    def swallow_writes(self, absolute: str) -> None:
        """Let writes to the file go nowhere."""
        self.swallowing = self.system.path(absolute)

    def _open(self, path: Path, flags: int) -> int:
        writes = bool(flags & os.O_WRONLY)
        if writes and path == self.refusing:
            raise PermissionError(13, "Permission denied", str(path))
        return super()._open(Path(os.devnull) if writes and path == self.swallowing else path, flags)


def governed(root: Path, *governors: str, available: str = "conservative ondemand powersave performance"):
    """Return a tree with one policy for each governor."""
    tree = StubbornSysfs(root)
    for index, governor in enumerate(governors):
        tree.write(GOVERNOR.format(index), f"{governor}\n")
        file = GOVERNOR.format(index).replace("scaling_governor", "scaling_available_governors")
        tree.write(file, f"{available} \n")
    tree.write("/proc/sys/kernel/random/boot_id", "boot-1\n")
    return tree

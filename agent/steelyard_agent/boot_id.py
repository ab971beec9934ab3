"""Which boot of the device this is."""

from __future__ import annotations

import time

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.sysfs import text_or_empty
from steelyard_agent.worker.platforms import has_linux_kernel


def read_boot_id(system: System) -> str:
    """Return a text that changes with every boot."""
    boot_id = text_or_empty(system, "/proc/sys/kernel/random/boot_id")
    if boot_id:
        return boot_id
    if has_linux_kernel():
        # psutil reads /proc/stat, which Android denies. Whole minutes, as the two clocks are not read at once.
        booted_at_s = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        return f"booted-at-{round(booted_at_s / 60) * 60}"
    import psutil

    return f"booted-at-{int(psutil.boot_time())}"

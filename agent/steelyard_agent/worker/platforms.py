"""Which systems behave like Linux. Standard library only."""

from __future__ import annotations

import sys

# From Python 3.13 on sys.platform says "android" where it said "linux" before (PEP 738), in Termux as well: the kernel,
# /proc and prctl are the same.
_LINUX_KERNELS = frozenset({"linux", "android"})


def has_linux_kernel() -> bool:
    """Say whether this process runs on a Linux kernel, Android's included."""
    return sys.platform in _LINUX_KERNELS

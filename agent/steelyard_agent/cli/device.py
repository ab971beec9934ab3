"""Who this device is, for ``run`` and ``doctor``: the real system, its runtimes asked in workers."""

from __future__ import annotations

import platform
import time
from pathlib import Path

from steelyard_agent.block_runner import run_block
from steelyard_agent.description import DeviceDescription, describe_device
from steelyard_agent.jobs.probing import probe_runtimes
from steelyard_agent.meters.contract import System
from steelyard_agent.runtimes.lookup import runtime_names


def this_system() -> System:
    """Return the machine that this process runs on."""
    return System(clock_ns=time.monotonic_ns)


async def describe_this_device(*, name: str, device_id: str, work_folder: Path) -> DeviceDescription:
    """Return the description of this device; starts one worker per runtime, in ``work_folder``."""
    runtimes = await probe_runtimes(runtime_names(), run_block=run_block, work_folder=work_folder)
    return describe_device(this_system(), name=name or platform.node(), device_id=device_id, runtimes=runtimes)

"""Who this device is, for ``run`` and ``doctor``: the real system, its runtimes asked in workers."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path

from steelyard_agent.block_runner import run_block
from steelyard_agent.description import DeviceDescription, describe_device
from steelyard_agent.emulation import find_emulator
from steelyard_agent.environments import RuntimeEnvironment
from steelyard_agent.jobs.probing import probe_environment, probe_runtimes
from steelyard_agent.meters.contract import System
from steelyard_agent.profiles import Profile
from steelyard_agent.runtimes.lookup import runtime_names


def this_system() -> System:
    """Return the machine that this process runs on."""
    return System(clock_ns=time.monotonic_ns)


async def describe_this_device(
    *,
    name: str,
    device_id: str,
    work_folder: Path,
    environments: Sequence[RuntimeEnvironment] = (),
    profiles: Sequence[Profile] | None = None,
) -> DeviceDescription:
    """Return the description of this device; starts one worker per runtime and environment, in ``work_folder``.

    ``profiles`` are those to choose from, by default the shipped ones.

    Raises:
        UsageError: ``STEELYARD_EMULATED_BY`` cannot be shown.
    """
    system = this_system()
    emulated_by = find_emulator(system, os.environ, platform.machine())
    names = runtime_names()
    runtimes = [*await probe_runtimes(names, run_block=run_block, work_folder=work_folder)]
    for environment in environments:
        runtimes += await probe_environment(environment, names, run_block=run_block, work_folder=work_folder)
    return describe_device(
        system,
        name=name or platform.node(),
        device_id=device_id,
        runtimes=runtimes,
        profiles=profiles,
        emulated_by=emulated_by,
    )

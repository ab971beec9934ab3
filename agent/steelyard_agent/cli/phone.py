"""``steelyard-agent run --adb``: the parts of an agent that stands for a phone on a cable."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from steelyard_agent.adb.adb import Adb, connect, find_adb
from steelyard_agent.adb.phone import CableEnergyWatch, Phone
from steelyard_agent.cli.served import ServedControllers
from steelyard_agent.errors import UsageError
from steelyard_agent.jobs.description_message import description_message
from steelyard_agent.jobs.gate import QuietGate
from steelyard_agent.jobs.pinning import pin_as_planned
from steelyard_agent.jobs.preparation import Preparation, build_fingerprint
from steelyard_agent.jobs.round_tools import RoundTools
from steelyard_agent.jobs.validity import ValidityTools
from steelyard_agent.link.agent import AgentParts
from steelyard_agent.policy.owner import OwnersPolicy
from steelyard_agent.state.blob_cache import BlobCache
from steelyard_agent.state.blob_quota import chosen_quota_bytes
from steelyard_agent.state.directory import StateDirectory
from steelyard_agent.state.identity import IdentityFile
from steelyard_agent.state.outbox import Outbox
from steelyard_agent.state.prepared import PreparedCache
from steelyard_agent.state.settings import read_settings
from steelyard_agent.validity.admission import ConditionGate

if TYPE_CHECKING:
    import argparse

    from steelyard_agent.cli.run_options import RunOptions


def connected_phone(options: argparse.Namespace | RunOptions, environment: Mapping[str, str]) -> Adb | None:
    """Return the phone that the options name, None when this machine itself is to be measured.

    Raises:
        UsageError: Only one of the two options is given, or adb is not installed.
        AdbError: The phone is not there.
    """
    if options.adb is None and options.benchmark_binary is None:
        return None
    if options.adb is None or options.benchmark_binary is None:
        raise UsageError(
            "half_a_phone",
            "--adb names the phone and --benchmark-binary the benchmark_model for it; a phone on a cable needs both",
        )
    return connect(find_adb(environment), options.adb)


async def phone_parts(phone: Phone, controllers: ServedControllers, state: StateDirectory, name: str) -> AgentParts:
    """Return an agent that runs its blocks on the phone; wire, jobs and lease are those of any device."""
    identity = IdentityFile(state.identity_file)
    device = await phone.describe(name=name, device_id=identity.device_id, work_folder=state.work)
    surroundings = phone.surroundings()
    return AgentParts(
        address=controllers.address,
        memberships=controllers.memberships,
        policy=OwnersPolicy(state.root, system=phone.system, runs_here=False),
        description=description_message(device),
        boot_id=phone.boot_id(),
        identity=identity,
        outbox=Outbox(state.outbox),
        cache=BlobCache(
            state.blobs,
            free_bytes=lambda folder: shutil.disk_usage(folder).free,
            quota_bytes=chosen_quota_bytes(os.environ),
        ),
        rounds=RoundTools(
            run_block=phone.run_block,
            surroundings=surroundings,
            pin=lambda plan: pin_as_planned(plan, system=phone.system, settings=read_settings(state.root)),
            energy_watch=lambda _core_ids: CableEnergyWatch(),
            preparation=Preparation(
                cache=PreparedCache(state.root / "prepared"),
                runtimes=device.runtimes,
                fingerprint=build_fingerprint(phone.system, device),
            ),
            gate=QuietGate(),
            work_folder=state.work,
            validity=ValidityTools(gate=ConditionGate(surroundings.conditions, counts_on=False)),
        ),
        clock_s=time.monotonic,
        free_bytes=lambda folder: shutil.disk_usage(folder).free,
        read_temperature=surroundings.read_temperature,
    )

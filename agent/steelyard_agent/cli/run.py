"""``steelyard-agent run``."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from steelyard_agent.adb.phone import Phone, state_folder
from steelyard_agent.block_runner import run_block
from steelyard_agent.cli.device import describe_this_device, this_system
from steelyard_agent.cli.device_name import refuse_unreadable_name
from steelyard_agent.cli.phone import connected_phone, phone_parts
from steelyard_agent.cli.served import ServedControllers, served_controllers
from steelyard_agent.description import read_boot_id
from steelyard_agent.environments import read_environments
from steelyard_agent.jobs.description_message import description_message
from steelyard_agent.jobs.energy import SamplerWatch
from steelyard_agent.jobs.gate import QuietGate
from steelyard_agent.jobs.pinning import pin_as_planned
from steelyard_agent.jobs.preparation import Preparation, build_fingerprint
from steelyard_agent.jobs.rounds import RoundTools
from steelyard_agent.jobs.validity import ValidityTools
from steelyard_agent.link.address import parse_controller_address
from steelyard_agent.link.agent import Agent, AgentParts
from steelyard_agent.log_lines import DEVICE_ID
from steelyard_agent.policy.owner import OwnersPolicy
from steelyard_agent.profiles import Profile, read_shelf, user_folders
from steelyard_agent.service.notify import forget_manager, service_manager, told_to_manager
from steelyard_agent.state.blob_cache import BlobCache
from steelyard_agent.state.directory import StateDirectory, default_state_directory, open_state_directory
from steelyard_agent.state.identity import IdentityFile
from steelyard_agent.state.outbox import Outbox
from steelyard_agent.state.prepared import PreparedCache
from steelyard_agent.state.settings import read_settings
from steelyard_agent.surroundings.android import AndroidCircumstances
from steelyard_agent.surroundings.device import DeviceSurroundings
from steelyard_agent.surroundings.emulated import EmulatedProcessor
from steelyard_agent.validity.admission import ConditionGate
from steelyard_agent.validity.conditions import DeviceConditions

_log = logging.getLogger(__name__)


def run(options: argparse.Namespace) -> int:
    """Serve the controller until a signal: 0 after SIGTERM, 130 after SIGINT."""
    address = parse_controller_address(options.controller) if options.controller else None
    refuse_unreadable_name(options.name)
    root = options.state_directory or default_state_directory(os.environ, Path.home())
    if (adb := connected_phone(options, os.environ)) is not None:
        root = state_folder(root, adb.serial)
    state = open_state_directory(root)
    try:
        controllers = served_controllers(address, state.root)
        phone = Phone(adb, options.benchmark_binary, state.root / "phone") if adb is not None else None
        profiles = _profiles(state.root, options.profiles)
        return asyncio.run(
            _serve(controllers, state, options.name, phone, profiles, exit_with_stdin=options.exit_with_stdin)
        )
    finally:
        state.close()


def _profiles(root: Path, named: Path | None) -> tuple[Profile, ...]:
    """Return the board profiles; those of this user count for every agent here, also for the device ``local``."""
    mine = default_state_directory(os.environ, Path.home())
    shelf = read_shelf(user_folders(mine, root, named=named))
    for complaint in shelf.complaints:
        _log.warning("left out: %s", complaint)
    return shelf.profiles


async def _serve(
    controllers: ServedControllers,
    state: StateDirectory,
    name: str,
    phone: Phone | None,
    profiles: Sequence[Profile],
    *,
    exit_with_stdin: bool,
) -> int:
    stop = asyncio.Event()
    signals: list[signal.Signals] = []

    def on_signal(number: signal.Signals) -> None:
        signals.append(number)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    if exit_with_stdin:
        loop.add_reader(sys.stdin.fileno(), _stop_at_end_of_file, stop)
    making = (
        _parts(controllers, state, name, profiles) if phone is None else phone_parts(phone, controllers, state, name)
    )
    parts = await making
    DEVICE_ID.set(parts.identity.device_id)
    agent = Agent(parts)
    manager = service_manager(os.environ, pid=os.getpid())
    forget_manager()
    async with told_to_manager(manager, f"dials {controllers}"):
        await agent.run(stop)
    return 130 if signals[:1] == [signal.SIGINT] else 0


async def _parts(
    controllers: ServedControllers, state: StateDirectory, name: str, profiles: Sequence[Profile]
) -> AgentParts:
    identity = IdentityFile(state.identity_file)
    environments = read_environments(state.root)
    device = await describe_this_device(
        name=name,
        device_id=identity.device_id,
        work_folder=state.work,
        environments=environments,
        profiles=profiles,
    )
    system = this_system()
    circumstances = (AndroidCircumstances(system), EmulatedProcessor(device.emulated_by))
    surroundings = DeviceSurroundings(system, sources=circumstances)
    return AgentParts(
        address=controllers.address,
        memberships=controllers.memberships,
        policy=OwnersPolicy(state.root, system=system),
        description=description_message(device),
        boot_id=read_boot_id(system),
        identity=identity,
        outbox=Outbox(state.outbox),
        cache=BlobCache(state.blobs, free_bytes=_free_bytes),
        rounds=RoundTools(
            run_block=run_block,
            surroundings=surroundings,
            pin=lambda plan: pin_as_planned(plan, system=system, settings=read_settings(state.root)),
            energy_watch=lambda core_ids: SamplerWatch(system, core_ids),
            preparation=Preparation(
                cache=PreparedCache(state.root / "prepared"),
                runtimes=device.runtimes,
                fingerprint=build_fingerprint(system, device),
            ),
            gate=QuietGate(),
            work_folder=state.work,
            interpreters={one.name: one.python for one in environments},
            # What emulates a processor keeps it busy and hot as no board is.
            validity=ValidityTools(judges=False)
            if device.emulated_by
            else ValidityTools(gate=ConditionGate(DeviceConditions(system).look)),
        ),
        clock_s=time.monotonic,
        free_bytes=_free_bytes,
        read_temperature=surroundings.read_temperature,
    )


def _stop_at_end_of_file(stop: asyncio.Event) -> None:
    """Whoever started this agent holds the other end of its standard input: at its end there is nobody to serve."""
    if not os.read(sys.stdin.fileno(), 4096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        stop.set()


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free

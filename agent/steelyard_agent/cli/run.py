"""``steelyard-agent run``."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from steelyard_agent.boot_id import read_boot_id
from steelyard_agent.cli.describing import Question, described_by_child
from steelyard_agent.cli.device_name import refuse_unreadable_name
from steelyard_agent.cli.run_options import RunOptions
from steelyard_agent.cli.served import ServedControllers, served_controllers
from steelyard_agent.enrollment.membership import membership_folders
from steelyard_agent.jobs.gate import QuietGate
from steelyard_agent.jobs.round_tools import LaterTools, RoundTools
from steelyard_agent.link.address import parse_controller_address
from steelyard_agent.link.agent import Agent, AgentParts
from steelyard_agent.log_lines import DEVICE_ID
from steelyard_agent.meters.contract import System
from steelyard_agent.meters.temperature import TemperatureMeter
from steelyard_agent.meters.under_voltage import UnderVoltageMeter
from steelyard_agent.policy.owner import OwnersPolicy
from steelyard_agent.service.notify import forget_manager, service_manager, told_to_manager
from steelyard_agent.state.blob_cache import BlobCache
from steelyard_agent.state.blob_quota import chosen_quota_bytes
from steelyard_agent.state.directory import StateDirectory, default_state_directory, open_state_directory
from steelyard_agent.state.identity import IdentityFile
from steelyard_agent.state.outbox import Outbox

if TYPE_CHECKING:
    from steelyard_agent.adb.phone import Phone

_log = logging.getLogger(__name__)


def run(options: RunOptions) -> int:
    """Serve the controller until a signal: 0 after SIGTERM, 130 after SIGINT."""
    address = parse_controller_address(options.controller) if options.controller else None
    refuse_unreadable_name(options.name)
    root = options.state_root or default_state_directory(os.environ, Path.home())
    adb = None
    if options.adb is not None or options.benchmark_binary is not None:
        from steelyard_agent.adb.phone import Phone, state_folder
        from steelyard_agent.cli.phone import connected_phone

        if (adb := connected_phone(options, os.environ)) is not None:
            root = state_folder(root, adb.serial)
    state = open_state_directory(root)
    try:
        controllers = served_controllers(address, state.root)
        phone = Phone(adb, Path(options.benchmark_binary or ""), state.root / "phone") if adb is not None else None
        return asyncio.run(_serve(controllers, state, options, phone))
    finally:
        state.close()


async def _serve(
    controllers: ServedControllers, state: StateDirectory, options: RunOptions, phone: Phone | None
) -> int:
    stop = asyncio.Event()
    signals: list[signal.Signals] = []

    def on_signal(number: signal.Signals) -> None:
        signals.append(number)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    if options.exit_with_stdin:
        loop.add_reader(sys.stdin.fileno(), _stop_at_end_of_file, stop)
    parts = await (_parts(controllers, state, options) if phone is None else _phone(phone, controllers, state, options))
    DEVICE_ID.set(parts.identity.device_id)
    agent = Agent(parts)
    manager = service_manager(os.environ, pid=os.getpid())
    forget_manager()
    async with told_to_manager(manager, f"dials {controllers}"):
        await agent.run(stop)
    return 130 if signals[:1] == [signal.SIGINT] else 0


async def _phone(
    phone: Phone, controllers: ServedControllers, state: StateDirectory, options: RunOptions
) -> AgentParts:
    from steelyard_agent.cli.phone import phone_parts

    return await phone_parts(phone, controllers, state, options.name)


async def _parts(controllers: ServedControllers, state: StateDirectory, options: RunOptions) -> AgentParts:
    """Return an agent of this device that holds what idling takes; the rest comes with the first job."""
    identity = IdentityFile(state.identity_file)
    device = await described_by_child(
        Question(
            state_root=str(state.root),
            device_id=identity.device_id,
            name=options.name,
            profiles=options.profiles or "",
            log_format=options.log_format,
        )
    )
    system = System(clock_ns=time.monotonic_ns)
    gate = QuietGate()
    temperature = TemperatureMeter(system)
    temperature.probe()
    supply = UnderVoltageMeter(system)

    # One for all controllers: what it looks at is the device's.
    @cache
    def tools() -> RoundTools:
        from steelyard_agent.cli.local_tools import local_tools

        return local_tools(device, state, gate)

    return AgentParts(
        address=controllers.address,
        memberships=controllers.memberships,
        look=partial(membership_folders, state.root) if controllers.memberships else None,
        policy=OwnersPolicy(state.root, system=system),
        description=device,
        boot_id=read_boot_id(system),
        identity=identity,
        outbox=Outbox(state.outbox),
        cache=BlobCache(state.blobs, free_bytes=_free_bytes, quota_bytes=chosen_quota_bytes(os.environ)),
        rounds=LaterTools(gate=gate, work_folder=state.work, make=tools),
        clock_s=time.monotonic,
        free_bytes=_free_bytes,
        read_temperature=lambda: [*temperature.read(), *supply.read()],
    )


def _stop_at_end_of_file(stop: asyncio.Event) -> None:
    """Whoever started this agent holds the other end of its standard input: at its end there is nobody to serve."""
    if not os.read(sys.stdin.fileno(), 4096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        stop.set()


def _free_bytes(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize

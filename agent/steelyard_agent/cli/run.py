"""``steelyard-agent run``."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from steelyard_agent.block_runner import run_block
from steelyard_agent.cli.device import describe_this_device, this_system
from steelyard_agent.description import read_boot_id
from steelyard_agent.errors import UsageError
from steelyard_agent.jobs.energy import SamplerWatch
from steelyard_agent.jobs.gate import QuietGate
from steelyard_agent.jobs.pinning import pin_as_planned
from steelyard_agent.jobs.preparation import Preparation, build_fingerprint
from steelyard_agent.jobs.rounds import RoundTools
from steelyard_agent.jobs.translate import description_message
from steelyard_agent.link.address import ControllerAddress, parse_controller_address
from steelyard_agent.link.agent import Agent, AgentParts
from steelyard_agent.state.blob_cache import BlobCache
from steelyard_agent.state.directory import StateDirectory, default_state_directory, open_state_directory
from steelyard_agent.state.identity import IdentityFile
from steelyard_agent.state.outbox import Outbox
from steelyard_agent.state.prepared import PreparedCache
from steelyard_agent.state.settings import read_settings
from steelyard_agent.surroundings.device import DeviceSurroundings

_MAX_NAME_LENGTH = 200


def run(options: argparse.Namespace) -> int:
    """Serve the controller until a signal: 0 after SIGTERM, 130 after SIGINT."""
    address = parse_controller_address(options.controller)
    _refuse_unreadable_name(options.name)
    state = open_state_directory(options.state_directory or default_state_directory(os.environ, Path.home()))
    try:
        return asyncio.run(_serve(address, state, options.name, exit_with_stdin=options.exit_with_stdin))
    finally:
        state.close()


def _refuse_unreadable_name(name: str) -> None:
    """Refuse what every controller refuses, before it is dialled for ever; "" takes the host's name."""
    if not (name.isprintable() and name.strip() == name and len(name) <= _MAX_NAME_LENGTH):
        raise UsageError(
            "invalid_name",
            f"the name {name[:80]!r} must be 1 to {_MAX_NAME_LENGTH} printable characters; change --name",
        )


async def _serve(address: ControllerAddress, state: StateDirectory, name: str, *, exit_with_stdin: bool) -> int:
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
    await Agent(await _parts(address, state, name)).run(stop)
    return 130 if signals[:1] == [signal.SIGINT] else 0


async def _parts(address: ControllerAddress, state: StateDirectory, name: str) -> AgentParts:
    identity = IdentityFile(state.identity_file)
    device = await describe_this_device(name=name, device_id=identity.device_id, work_folder=state.work)
    system = this_system()
    surroundings = DeviceSurroundings(system)
    return AgentParts(
        address=address,
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

"""What blocks of this device are run with; imported when the first job comes."""

from __future__ import annotations

import time

from steelyard_agent.block_runner import run_block
from steelyard_agent.environments import read_environments
from steelyard_agent.jobs.description_message import described_runtimes
from steelyard_agent.jobs.energy import SamplerWatch
from steelyard_agent.jobs.gate import QuietGate
from steelyard_agent.jobs.pinning import pin_as_planned
from steelyard_agent.jobs.preparation import Preparation, build_fingerprint
from steelyard_agent.jobs.round_tools import RoundTools
from steelyard_agent.jobs.validity import ValidityTools
from steelyard_agent.meters.contract import System
from steelyard_agent.state.directory import StateDirectory
from steelyard_agent.state.prepared import PreparedCache
from steelyard_agent.state.settings import read_settings
from steelyard_agent.surroundings.android import AndroidCircumstances
from steelyard_agent.surroundings.device import DeviceSurroundings
from steelyard_agent.surroundings.emulated import EmulatedProcessor
from steelyard_agent.validity.admission import ConditionGate
from steelyard_agent.validity.conditions import DeviceConditions
from steelyard_protocol.v1.common_pb2 import DeviceDescription


def local_tools(device: DeviceDescription, state: StateDirectory, gate: QuietGate) -> RoundTools:
    """Return the tools of the device that ``device`` describes; its meters and sources are looked for now.

    Raises:
        StateError: The list of runtime environments is damaged.
    """
    system = System(clock_ns=time.monotonic_ns)
    circumstances = (AndroidCircumstances(system), EmulatedProcessor(device.emulated_by))
    return RoundTools(
        run_block=run_block,
        surroundings=DeviceSurroundings(system, sources=circumstances),
        pin=lambda plan: pin_as_planned(plan, system=system, settings=read_settings(state.root)),
        energy_watch=lambda core_ids: SamplerWatch(system, core_ids),
        preparation=Preparation(
            cache=PreparedCache(state.root / "prepared"),
            runtimes=described_runtimes(device),
            fingerprint=build_fingerprint(system, device),
        ),
        gate=gate,
        work_folder=state.work,
        interpreters={one.name: one.python for one in read_environments(state.root)},
        # What emulates a processor keeps it busy and hot as no board is.
        validity=ValidityTools(judges=False)
        if device.emulated_by
        else ValidityTools(gate=ConditionGate(DeviceConditions(system).look)),
    )

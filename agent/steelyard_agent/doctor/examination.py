"""The examination: every capability, what tells of throttling, and what the profile adds or gets wrong."""

from __future__ import annotations

import struct
import sys
from collections.abc import Sequence

from steelyard_agent.description import DeviceDescription
from steelyard_agent.doctor.capabilities import latency, load, meter, power
from steelyard_agent.doctor.contradictions import contradictions
from steelyard_agent.doctor.diagnosis import Diagnosis
from steelyard_agent.doctor.memory import memory
from steelyard_agent.doctor.notes import has_32_bit_userland, notes
from steelyard_agent.doctor.throttling import throttle_doubt, throttle_evidence
from steelyard_agent.doctor.validity import validity_signs
from steelyard_agent.meters.contract import System
from steelyard_agent.meters.cpufreq import read_governors
from steelyard_agent.profiles import Profile, nearest_profile
from steelyard_agent.state.settings import DeviceSettings
from steelyard_agent.steadying.offers import find_offers


def diagnose(
    system: System,
    device: DeviceDescription,
    *,
    profiles: Sequence[Profile] = (),
    settings: DeviceSettings = DeviceSettings(),  # noqa: B008 (frozen)
    pointer_bits: int = struct.calcsize("P") * 8,
    clock_resolution_s: float | None = None,
    platform_name: str = sys.platform,
) -> Diagnosis:
    """Return what the described device can measure; ``profiles`` is where its profile is looked up by name.

    ``settings`` are the agent's own, which an earlier ``--fix`` may have changed.
    """
    profile = next((one for one in profiles if one.name == device.profile), None)
    is_32_bit = has_32_bit_userland(device, pointer_bits)
    capabilities = (
        latency(device, clock_resolution_s),
        load(device),
        memory(system, platform_name),
        meter(device, "temperature", r"(\w+_)?temperature"),
        meter(device, "frequency", r"\w+_frequency|cpu_clock"),
        power(device, profile),
    )
    return Diagnosis(
        device=device,
        capabilities=capabilities,
        throttling=throttle_evidence(system),
        validity=validity_signs(system, device.emulated_by),
        throttle_doubt=throttle_doubt(system),
        governors=read_governors(system),
        profile=profile,
        nearest=None if profile else nearest_profile(device.identity, profiles),
        is_32_bit=is_32_bit,
        notes=(*notes(system, device, pointer_bits), *contradictions(device, profile, is_32_bit=is_32_bit)),
        offers=find_offers(system, settings),
    )

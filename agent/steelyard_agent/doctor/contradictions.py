"""Where the profile says one thing and the device another. The device is believed, always."""

from __future__ import annotations

from collections.abc import Iterator

from steelyard_agent.description import DeviceDescription
from steelyard_agent.doctor.capabilities import POWER_NAMES
from steelyard_agent.profiles import PowerKnowledge, ProcessorKnowledge, Profile


def contradictions(device: DeviceDescription, profile: Profile | None, *, is_32_bit: bool) -> tuple[str, ...]:
    """Return a sentence for each thing that the profile says of this device and the probe does not find."""
    if profile is None:
        return ()
    told = (
        *(_processor(device, profile.processor, is_32_bit=is_32_bit) if profile.processor else ()),
        *(_power(device, profile.power) if profile.power else ()),
    )
    return tuple(f"the profile says {said}, the device says {found}: the device is believed" for said, found in told)


def _processor(device: DeviceDescription, known: ProcessorKnowledge, *, is_32_bit: bool) -> Iterator[tuple[str, str]]:
    if known.cores is not None and device.logical_core_count and known.cores != device.logical_core_count:
        yield f"{known.cores} cores", f"{device.logical_core_count}"
    # A 32-bit system hides features that the processor has: that is a note of its own.
    missing = [] if is_32_bit else [name for name in known.features if name not in device.processor_features]
    if missing:
        yield f"the processor has {', '.join(missing)}", "it has not"
    surplus = [name for name in known.lacks if name in device.processor_features]
    if surplus:
        yield f"the processor lacks {', '.join(surplus)}", "it has it" if len(surplus) == 1 else "it has them"


def _power(device: DeviceDescription, known: PowerKnowledge) -> Iterator[tuple[str, str]]:
    found = [one for one in device.meters if POWER_NAMES.fullmatch(one.name) and one.value is not None]
    if not found:
        return
    if known.kind == "none":
        yield f"power cannot be read ({known.why})", f"{found[0].name} is read from {found[0].source}"
    elif known.scope not in {one.scope for one in found}:
        scope = found[0].scope.value.lower()
        yield f"power covers the scope {known.scope.value.lower() if known.scope else ''}", f"it covers {scope}"

"""What the profile adds to what was probed, on a terminal: short, and without what the device said itself."""

from __future__ import annotations

from collections.abc import Iterator

from steelyard_agent.doctor.diagnosis import Diagnosis
from steelyard_agent.profiles import OptionKnowledge, Profile, RuntimeKnowledge
from steelyard_agent.rows import row

_SHOWN_FACTS = ("soc", "accelerator", "frequency", "throttling")


def knowledge_lines(diagnosis: Diagnosis) -> list[str]:
    """Return the rows of the profile, empty without one."""
    profile = diagnosis.profile
    if profile is None:
        return []
    facts = [(name, [profile.facts[name].value]) for name in _SHOWN_FACTS if name in profile.facts]
    lists = [
        ("runtimes", list(_runtimes(diagnosis, profile))),
        ("providers", list(_providers(diagnosis, profile))),
        ("options", [_option(one) for one in profile.options]),
        ("traps", [one.text for one in profile.traps]),
    ]
    return [line for name, texts in (*facts, *lists) if texts for line in row(name, texts)]


def _runtimes(diagnosis: Diagnosis, profile: Profile) -> Iterator[str]:
    usable = {one.name for one in diagnosis.device.runtimes if one.version}
    for one in profile.runtimes:
        if one.name not in usable and _concerns(diagnosis, one):
            yield f"{one.name}: {one.install or one.unavailable}"


def _concerns(diagnosis: Diagnosis, runtime: RuntimeKnowledge) -> bool:
    is_android = bool(diagnosis.device.identity.android_version)
    holds = {"": True, "32-bit": diagnosis.is_32_bit, "64-bit": not diagnosis.is_32_bit, "termux": is_android}
    return holds[runtime.when]


def _providers(diagnosis: Diagnosis, profile: Profile) -> Iterator[str]:
    usable = {(one.name, provider) for one in diagnosis.device.runtimes for provider in one.providers}
    for one in profile.providers:
        if one.needs and (one.runtime, one.name) not in usable:
            yield f"{one.name} of {one.runtime} needs {one.needs}"


def _option(option: OptionKnowledge) -> str:
    of = f" of {option.provider}" if option.provider else ""
    value = str(option.value).lower() if isinstance(option.value, bool) else option.value
    return f"{option.name}{of} = {value}: {option.why}"

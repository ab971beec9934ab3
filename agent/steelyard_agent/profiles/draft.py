"""Drafts a profile from what a device said of itself: what was probed is filled in, the rest is marked TODO."""

from __future__ import annotations

import re
from collections.abc import Iterator

from steelyard_agent.errors import UsageError
from steelyard_agent.processor import FEATURES
from steelyard_agent.profiles.described import DescribedDevice, DescribedMeter
from steelyard_agent.profiles.schema import SCHEMA_VERSION
from steelyard_agent.profiles.toml_text import toml_list, toml_string

_POWER = re.compile(r"(\w+_)?(power|energy)")
# By what the name of a source holds, the kind of PowerKnowledge.
_POWER_KINDS = (
    ("powercap", "rapl"),
    ("ina3221", "ina3221"),
    ("ina2", "ina2xx"),
    ("pmic", "pmic"),
    ("vcgencmd", "pmic"),
    ("power_supply", "battery"),
    ("termux", "battery"),
    ("nvml", "nvml"),
)
_PROVIDERS_OF_EVERY_BUILD = frozenset({"CPU", "CPUExecutionProvider", "AzureExecutionProvider"})


def draft_profile(device: DescribedDevice, *, agent_version: str, date: str) -> str:
    """Return the TOML text of a profile for boards of this device's kind; it fits the schema as it is.

    ``date`` is that of the probe, "2026-11-23".

    Raises:
        UsageError: the device says nothing by which another one of its kind could be known.
    """
    source = f"probed on the device by steelyard-agent {agent_version} on {date}"
    title = next((text for text in (device.model, device.processor, device.name) if text.strip()), "a board")
    sections = (
        _head(device, title, agent_version, date),
        _match(device),
        _processor(device, source),
        _facts(device, source),
        _power(device, source),
        *_runtimes(device, source),
        *_providers(device, source),
        *_options(device, source),
        _traps(),
    )
    return "\n".join("\n".join(lines) + "\n" for lines in (list(section) for section in sections) if lines)


def _head(device: DescribedDevice, title: str, agent_version: str, date: str) -> Iterator[str]:
    yield f"# Drafted by steelyard-agent {agent_version} on {date} from the device {toml_string(device.name)}."
    yield "# A probe cannot know what is marked TODO. Check the file with: steelyard-agent profile check FILE"
    yield f"schema_version = {SCHEMA_VERSION}"
    yield f"name = {toml_string(_slug(title))}"
    yield f"title = {toml_string(title)}"


def _slug(title: str) -> str:
    # Revisions of a board share a profile.
    words = re.findall(r"[a-z0-9]+", re.sub(r"(?i)\s+rev(ision)?\s+[0-9.]+$", "", title).lower())
    return "-".join(words)[:60].strip("-") or "board"


def _match(device: DescribedDevice) -> Iterator[str]:
    identity = device.identity
    # The first names the board, the last the chip; what lies between are families of boards and modules.
    boards, chips = identity.device_tree_compatibles[:1], identity.device_tree_compatibles[1:][-1:]
    keys: dict[str, tuple[str, ...]] = {"device_tree_compatibles": boards}
    if not boards:
        keys = {
            "device_tree_models": _texts(identity.device_tree_model),
            "android_models": _texts(identity.android_model),
            "android_socs": _texts(identity.android_soc),
            "dmi_products": _texts(identity.dmi_product),
        }
    found = {key: texts for key, texts in keys.items() if texts}
    if not found and not identity.virtual:
        found = {"processors": _texts(device.processor)} if device.processor else {}
    if not found and not identity.virtual:
        message = f"the device {device.name!r} says nothing by which another of its kind could be known: no profile"
        raise UsageError("nothing_to_match", f"{message} is needed, since all is probed")
    yield "[match]"
    yield "# TODO: leave what every board of this kind says, and only boards of this kind"
    yield from (f"{key} = {toml_list(texts)}" for key, texts in found.items())
    if chips:
        yield f"soc_compatibles = {toml_list(chips)}"
    if not found:
        yield "hypervisor = true"


def _texts(text: str) -> tuple[str, ...]:
    return (text,) if text else ()


def _processor(device: DescribedDevice, source: str) -> Iterator[str]:
    yield "[processor]"
    if device.core_count > 0:
        yield f"cores = {device.core_count}"
    yield f"features = {toml_list([name for name in device.features if name in FEATURES])}"
    yield "# TODO: lacks = [...], features that its data sheet rules out, such as i8mm"
    yield f"source = {toml_string(source)}"


def _facts(device: DescribedDevice, source: str) -> Iterator[str]:
    soc = " ".join(part for part in (device.identity.android_soc, device.processor) if part)
    if soc:
        yield from ("[facts.soc]", f"value = {toml_string(soc)}", f"source = {toml_string(source)}", "")
    if device.memory_bytes > 0:
        memory = f"{device.memory_bytes / 2**30:.1f} GiB seen by the system"
        yield from ("[facts.memory]", f"value = {toml_string(memory)}", f"source = {toml_string(source)}", "")
    yield "# TODO: [facts.accelerator], [facts.frequency], [facts.throttling], [facts.sensors]: value and source"


def _power(device: DescribedDevice, source: str) -> Iterator[str]:
    meters = [one for one in device.meters if _POWER.fullmatch(one.name)]
    found = [one for one in meters if one.has_value]
    if not found:
        # A sensor that was denied here, or whose driver is missing, may be on the board all the same.
        reason = next((one.reason for one in meters if one.reason.strip()), "no meter looked for it")
        yield f"# TODO: [power] could not be read here: {toml_string(reason)}"
        yield '# TODO: kind = "none" and why, if the board has no sensor; else kind, scope and covers; and the source'
        return
    yield "[power]"
    yield f"kind = {toml_string(_power_kind(found[0]))}"
    yield f"scope = {toml_string(found[0].scope.value.lower())}"
    yield "# TODO: say what it covers and what it leaves out"
    yield f"covers = {toml_string(', '.join(f'{one.name} from {one.source}' for one in found))}"
    yield f"source = {toml_string(source)}"


def _power_kind(meter: DescribedMeter) -> str:
    text = f"{meter.source} {meter.name}".lower()
    return next((kind for part, kind in _POWER_KINDS if part in text), "hwmon")


def _runtimes(device: DescribedDevice, source: str) -> Iterator[list[str]]:
    for one in device.runtimes:
        # TODO is part of the text where the probe knows only that it works, not how it was installed.
        if one.version:
            answer = f"install = {toml_string(f'TODO: how version {one.version} was installed')}"
            yield ["[[runtimes]]", f"name = {toml_string(one.name)}", answer, f"source = {toml_string(source)}"]
        else:
            # What this device lacks, others of its kind may have: no fact about the board.
            name = toml_string(one.name)
            yield [f"# TODO: [[runtimes]] {name} cannot be used here: say how to get it, or why nobody can"]


def _providers(device: DescribedDevice, source: str) -> Iterator[list[str]]:
    for runtime in (one for one in device.runtimes if one.version):
        for name in runtime.providers:
            if name not in _PROVIDERS_OF_EVERY_BUILD:
                yield [
                    "[[providers]]",
                    f"runtime = {toml_string(runtime.name)}",
                    f"name = {toml_string(name)}",
                    "# TODO: needs = what must be installed for it, unless it comes with the runtime",
                    f"source = {toml_string(source)}",
                ]


def _options(device: DescribedDevice, source: str) -> Iterator[list[str]]:
    if len(device.core_groups) > 1:
        why = f"cores of {len(device.core_groups)} kinds: threads that wander between them take different times"
        yield [
            "[[options]]",
            'name = "cores"',
            'value = "big"',
            f"why = {toml_string(why)}",
            f"source = {toml_string(source)}",
        ]


def _traps() -> Iterator[str]:
    yield "# TODO: [[traps]], each with text and source: what misleads people who measure on this board"

"""How a device fares, in words: what stands out in a list, and all of it for one device."""

from __future__ import annotations

import datetime as dt

from steelyard.clock_words import offset_text
from steelyard_protocol.v1 import control_pb2, health_pb2

# Below it nothing that people do with a device is wrong.
_CLOCK_WORTH_A_WORD_MS = 60_000
_LITTLE_DISK_BYTES = 500 * 1024 * 1024
_MS_PER_MINUTE = 60_000


def concerns(device: control_pb2.Device) -> list[str]:
    """Return what somebody should look at: "clock 3 h behind, within 4 ms", "supply too weak", "80 MB free"."""
    health, found = device.health, []
    if health.under_voltage:
        found.append("supply too weak")
    elif health.under_voltage_since_boot:
        found.append("supply was too weak")
    if health.HasField("clock_offset_ms") and abs(health.clock_offset_ms) > _CLOCK_WORTH_A_WORD_MS:
        found.append(f"clock {offset_text(health)}")
    if 0 < device.free_disk_bytes < _LITTLE_DISK_BYTES:
        found.append(f"{device.free_disk_bytes / 1e6:.0f} MB free")
    return found


def health_facts(device: control_pb2.Device) -> list[tuple[str, str]]:
    """Return terms and texts of how a device fares; what it does not tell is left out, but for the clock."""
    health = device.health
    facts = [("clock", offset_text(health) if health.HasField("clock_offset_ms") else "not told")]
    if health.HasField("under_voltage"):
        now = "too weak" if health.under_voltage else "strong enough"
        facts.append(("supply", f"{now}{', was too weak since it started' if _was_weak(device) else ''}"))
    facts += [("", text) for text in _span_of_samples(device)]
    if health.session_count:
        boots = f"{health.boot_count} boots and {health.restart_count} restarts of its agent"
        facts.append(("sessions", f"{health.session_count} opened; {boots} seen"))
    return facts


def rule_facts(device: control_pb2.Device) -> list[tuple[str, str]]:
    """Return terms and texts of what was decided about a device."""
    facts = []
    if device.draining:
        facts.append(("drained", "it takes nothing new"))
    if device.quarantined_because:
        facts.append(("quarantine", device.quarantined_because))
    if device.power_switch.address:
        most = device.power_switch.most_cycles_an_hour
        often = f"at most {most} times an hour where it hangs" if most else "only when somebody says so"
        facts.append(("power", f"{device.power_switch.address}, {often}"))
    if device.HasField("replaced"):
        old = device.replaced
        facts.append(("replaced", f"{_named(old.old_device_name, old.old_device_id)} {_on(old)}"))
    if device.HasField("replaced_by"):
        by = device.replaced_by
        facts.append(("replaced by", f"{_named(by.new_device_name, by.new_device_id)} {_on(by)}"))
    return facts


def _was_weak(device: control_pb2.Device) -> bool:
    return device.health.under_voltage_since_boot and not device.health.under_voltage


def _span_of_samples(device: control_pb2.Device) -> list[str]:
    samples = device.health.samples
    heats = [one.temperature_cel for one in samples if one.HasField("temperature_cel")]
    if len(samples) < 2 or not heats:
        return []
    minutes = round((samples[-1].at.ToMilliseconds() - samples[0].at.ToMilliseconds()) / _MS_PER_MINUTE)
    return [f"{min(heats):.0f} to {max(heats):.0f} \N{DEGREE SIGN}C in the last {minutes} min"]


def _named(name: str, device_id: str) -> str:
    return f"{name or 'a device'} ({device_id[:8]})"


def _on(replacement: health_pb2.DeviceReplacement) -> str:
    at = replacement.at.ToDatetime(tzinfo=dt.timezone.utc)
    return f"on {at.astimezone():%Y-%m-%d}"

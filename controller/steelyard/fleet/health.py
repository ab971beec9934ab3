"""How devices fare: what hellos and heartbeats say, with what is worth a line in a device's history."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from steelyard.clock_words import offset_text
from steelyard.fleet.clock_offset import ClockOffset, from_round_trip
from steelyard_protocol.v1 import common_pb2, health_pb2, session_pb2

# Two hours. With ten thousand devices a sample a minute would be a tenth of a gigabyte.
MOST_SAMPLES = 24
_SAMPLE_EVERY_NS = 300 * 1_000_000_000
# Logs of both sides cannot be read together any more, and certificates begin to matter.
_CLOCK_WORTH_TELLING_NS = 60 * 1_000_000_000
# A few models and the rounds of a night; below it jobs begin to fail.
_LITTLE_DISK_BYTES = 500 * 1024 * 1024
UNDER_VOLTAGE = "under_voltage"
# Beyond it a time is no time: what int64 nanoseconds hold is three hundred years.
_MOST_NS = 2**62
Events = list[tuple[str, str]]


class DeviceHealth:
    """How one device fares while it is connected; ``message`` is what is told and kept."""

    def __init__(
        self, message: health_pb2.DeviceHealth, *, monotonic_ns: Callable[[], int], clock_ns: Callable[[], int]
    ) -> None:
        """Go on from what was kept of the device."""
        self.message = message
        self._monotonic_ns = monotonic_ns
        self._clock_ns = clock_ns
        self._told_clock = False
        self._told_disk = False
        self._last_sample_ns: int | None = None

    def hello(self, hello: session_pb2.Hello, agent_version_before: str) -> Events:
        """Take a hello in; return kinds and lines for the device's history."""
        told, events = self.message, []
        if told.boot_id and hello.boot_id != told.boot_id:
            told.boot_count += 1
            told.ClearField("under_voltage_since_boot")
            events.append(("boot", "it started anew"))
        elif told.run_id and hello.run_id and hello.run_id != told.run_id:
            told.restart_count += 1
            events.append(("restart", "its agent started anew"))
        if agent_version_before and agent_version_before != hello.agent_version:
            events.append(("agent", f"its agent is {hello.agent_version} now, before {agent_version_before}"))
        told.boot_id, told.run_id = hello.boot_id, hello.run_id
        told.session_count += 1
        told.ClearField("under_voltage")
        self._set_clock(None)
        if hello.HasField("device_now"):
            device_ns = _nanoseconds(hello.device_now)
            if device_ns is not None:
                self._set_clock(ClockOffset(offset_ns=device_ns - self._clock_ns()))
        events.append(("connected", f"connected, agent {hello.agent_version or 'of an unknown version'}"))
        return events + self._clock_events()

    def heartbeat(self, heartbeat: session_pb2.Heartbeat, sent_ns: int | None) -> Events:
        """Take a heartbeat in; ``sent_ns`` is when what it heard last was sent (monotonic), None when not known."""
        events: Events = []
        if heartbeat.HasField("device_now") and sent_ns is not None:
            device_ns = _nanoseconds(heartbeat.device_now)
            offset = device_ns is not None and from_round_trip(
                device_ns=device_ns,
                sent_ns=sent_ns,
                held_ns=heartbeat.held_ns,
                heard_ns=self._monotonic_ns(),
                now_ns=self._clock_ns(),
            )
            if offset:
                self._set_clock(offset)
                events += self._clock_events()
        events += self._power_events(heartbeat.readings)
        events += self._disk_events(heartbeat.free_disk_bytes)
        self._sample(heartbeat)
        return events

    def _set_clock(self, offset: ClockOffset | None) -> None:
        self.message.ClearField("clock_offset_ms")
        self.message.ClearField("clock_uncertainty_ms")
        if offset is None:
            return
        self.message.clock_offset_ms = round(offset.offset_ns / 1e6)
        if offset.uncertainty_ns is not None:
            # Rounded up: a bound must not become tighter.
            self.message.clock_uncertainty_ms = -(-offset.uncertainty_ns // 1_000_000)

    def _clock_events(self) -> Events:
        if not self.message.HasField("clock_offset_ms"):
            return []
        is_off = abs(self.message.clock_offset_ms) * 1_000_000 > _CLOCK_WORTH_TELLING_NS
        if is_off == self._told_clock:
            return []
        self._told_clock = is_off
        if not is_off:
            return [("clock", "its clock is right again")]
        return [("clock", f"its clock is {offset_text(self.message)}; figures do not depend on it")]

    def _power_events(self, readings: Sequence[common_pb2.Reading]) -> Events:
        read = next((one for one in readings if one.name == UNDER_VOLTAGE and one.HasField("value")), None)
        if read is None:
            return []
        before, now = self.message.under_voltage, bool(read.value)
        self.message.under_voltage = now
        self.message.under_voltage_since_boot |= now
        if now == before:
            return []
        word = "is too weak: take another supply or cable" if now else "is strong enough again"
        return [("under_voltage", f"its supply {word} ({read.source or 'source not named'})")]

    def _disk_events(self, free_bytes: int) -> Events:
        if free_bytes <= 0:
            return []
        is_little = free_bytes < _LITTLE_DISK_BYTES
        if is_little == self._told_disk:
            return []
        self._told_disk = is_little
        word = "only " if is_little else ""
        return [("disk", f"{word}{free_bytes / 1e6:.0f} MB of its disk are free")]

    def _sample(self, heartbeat: session_pb2.Heartbeat) -> None:
        now_ns = self._monotonic_ns()
        if self._last_sample_ns is not None and now_ns - self._last_sample_ns < _SAMPLE_EVERY_NS:
            return
        self._last_sample_ns = now_ns
        sample = self.message.samples.add(free_disk_bytes=heartbeat.free_disk_bytes)
        sample.at.FromNanoseconds(self._clock_ns())
        hottest = max(
            (one.value for one in heartbeat.readings if one.unit == "Cel" and one.HasField("value")), default=None
        )
        if hottest is not None:
            sample.temperature_cel = hottest
        if self.message.HasField("clock_offset_ms"):
            sample.clock_offset_ms = self.message.clock_offset_ms
        del self.message.samples[:-MOST_SAMPLES]


def _nanoseconds(at: object) -> int | None:
    try:
        found = int(at.ToNanoseconds())  # type: ignore[attr-defined]
    except ValueError:
        return None
    return found if abs(found) < _MOST_NS else None

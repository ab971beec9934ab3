"""What hellos and heartbeats make of a device's health, and which lines they leave in its history."""

from __future__ import annotations

from itertools import pairwise

import pytest

from steelyard.clock_words import offset_text
from steelyard.fleet import health as fleet_health
from steelyard.fleet.health import MOST_SAMPLES, DeviceHealth
from steelyard_protocol.v1 import common_pb2, health_pb2, session_pb2
from tests.controller.fleet.scripted_agent import hello_of

S = 1_000_000_000
NOW_NS = 1_790_000_000 * S


class Clocks:
    """The controller's two clocks, which a test moves."""

    def __init__(self) -> None:
        self.passed_ns = 0

    def wall_ns(self) -> int:
        return NOW_NS + self.passed_ns

    def monotonic_ns(self) -> int:
        return 5 * S + self.passed_ns


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


def health_of(clocks: Clocks, kept: health_pb2.DeviceHealth | None = None) -> DeviceHealth:
    message = kept or health_pb2.DeviceHealth()
    return DeviceHealth(message, monotonic_ns=clocks.monotonic_ns, clock_ns=clocks.wall_ns)


def hello(*, boot: str = "boot-1", run: str = "run-1", now_ns: int | None = NOW_NS) -> session_pb2.Hello:
    made = hello_of("dev-0001", "pi5", run_id=run)
    made.boot_id = boot
    if now_ns is not None:
        made.device_now.FromNanoseconds(now_ns)
    return made


def beat(clocks: Clocks, *, off_ns: int = 0, disk: int = 10**10, cel: float | None = 50.0, weak: bool | None = None):
    """A heartbeat that came back 20 ms after what it heard was sent."""
    made = session_pb2.Heartbeat(free_disk_bytes=disk, heard_message_id=3)
    made.device_now.FromNanoseconds(clocks.wall_ns() + off_ns)
    for name, value, unit in (("cpu_temperature", cel, "Cel"), ("under_voltage", weak, "1")):
        if value is not None:
            made.readings.add(name=name, value=value, unit=unit, status=common_pb2.READING_STATUS_MEASURED)
    return made, clocks.monotonic_ns() - 20_000_000


def kinds(events: fleet_health.Events) -> list[str]:
    return [kind for kind, _ in events]


def test_the_first_hello_is_no_restart(clocks: Clocks) -> None:
    health = health_of(clocks)
    assert kinds(health.hello(hello(), "")) == ["connected"]
    assert (health.message.boot_count, health.message.restart_count, health.message.session_count) == (0, 0, 1)


@pytest.mark.parametrize(
    ("next_hello", "expected", "counts"),
    [
        ({}, [], (0, 0)),
        ({"run": "run-2"}, ["restart"], (0, 1)),
        ({"boot": "boot-2", "run": "run-2"}, ["boot"], (1, 0)),
        ({"run": ""}, [], (0, 0)),
    ],
)
def test_boots_and_restarts_are_told_apart_from_a_link_that_broke(
    clocks: Clocks, next_hello: dict[str, str], expected: list[str], counts: tuple[int, int]
) -> None:
    first = health_of(clocks)
    first.hello(hello(), "")
    again = health_of(clocks, first.message)
    assert kinds(again.hello(hello(**next_hello), "0.1.0")) == [*expected, "connected"]
    assert (again.message.boot_count, again.message.restart_count) == counts


def test_another_version_of_the_agent_is_a_line_in_the_history(clocks: Clocks) -> None:
    events = health_of(clocks).hello(hello(), "0.0.9")
    assert ("agent", "its agent is 0.1.0 now, before 0.0.9") in events


def test_a_hello_tells_the_offset_without_its_uncertainty_and_a_heartbeat_with_it(clocks: Clocks) -> None:
    health = health_of(clocks)
    health.hello(hello(now_ns=NOW_NS + 2 * S), "")
    assert health.message.clock_offset_ms == 2000
    assert not health.message.HasField("clock_uncertainty_ms")
    health.heartbeat(*beat(clocks, off_ns=2 * S))
    assert health.message.clock_offset_ms == 2010
    assert health.message.clock_uncertainty_ms == 11


def test_a_device_that_does_not_say_its_time_has_no_offset(clocks: Clocks) -> None:
    health = health_of(clocks)
    health.hello(hello(now_ns=None), "")
    health.heartbeat(session_pb2.Heartbeat(), None)
    assert not health.message.HasField("clock_offset_ms")


@pytest.mark.parametrize(
    ("device_ns", "words"),
    [(0, "57 years behind"), ((2040 - 1970) * 31_557_600 * S, "13 years ahead")],
    ids=["1970", "2040"],
)
def test_a_clock_that_is_years_off_is_told_once_and_when_it_is_right_again(
    clocks: Clocks, device_ns: int, words: str
) -> None:
    health = health_of(clocks)
    (told,) = [message for kind, message in health.hello(hello(now_ns=device_ns), "") if kind == "clock"]
    assert words in told
    assert health.heartbeat(*beat(clocks, off_ns=device_ns - NOW_NS)) == []
    assert health.heartbeat(*beat(clocks)) == [("clock", "its clock is right again")]


def test_a_time_that_cannot_be_does_no_harm(clocks: Clocks) -> None:
    health = health_of(clocks)
    odd = hello()
    odd.device_now.seconds = 2**60
    health.hello(odd, "")
    assert not health.message.HasField("clock_offset_ms")


def test_a_weak_supply_is_told_when_it_begins_and_ends_and_remembered_until_the_next_boot(clocks: Clocks) -> None:
    health = health_of(clocks)
    health.hello(hello(), "")
    assert kinds(health.heartbeat(*beat(clocks, weak=False))) == []
    assert "too weak" in health.heartbeat(*beat(clocks, weak=True))[0][1]
    assert health.heartbeat(*beat(clocks, weak=True)) == []
    assert "strong enough again" in health.heartbeat(*beat(clocks, weak=False))[0][1]
    assert (health.message.under_voltage, health.message.under_voltage_since_boot) == (False, True)
    health.hello(hello(boot="boot-2"), "")
    assert not health.message.HasField("under_voltage_since_boot")


def test_a_device_that_does_not_tell_of_its_supply_has_no_word_on_it(clocks: Clocks) -> None:
    health = health_of(clocks)
    health.heartbeat(*beat(clocks))
    assert not health.message.HasField("under_voltage")


def test_a_full_disk_is_told_once(clocks: Clocks) -> None:
    health = health_of(clocks)
    assert kinds(health.heartbeat(*beat(clocks, disk=10**8))) == ["disk"]
    assert health.heartbeat(*beat(clocks, disk=10**8)) == []
    assert kinds(health.heartbeat(*beat(clocks, disk=10**10))) == ["disk"]


def test_samples_are_five_minutes_apart_and_bounded(clocks: Clocks) -> None:
    health = health_of(clocks)
    for _ in range(20 * (MOST_SAMPLES + 10)):
        health.heartbeat(*beat(clocks, cel=61.5))
        clocks.passed_ns += 15 * S
    samples = health.message.samples
    assert len(samples) == MOST_SAMPLES
    gaps = {(after.at.seconds - before.at.seconds) for before, after in pairwise(samples)}
    assert gaps == {300}
    assert (samples[-1].temperature_cel, samples[-1].free_disk_bytes) == (61.5, 10**10)


@pytest.mark.parametrize(
    ("offset_ms", "within_ms", "text"),
    [
        (0, 4, "0 ms ahead, within 4 ms"),
        (-1999, None, "1999 ms behind"),
        (3 * 3_600_000, 900, "3 h ahead, within 900 ms"),
        (-5 * 86_400_000, None, "5 d behind"),
    ],
)
def test_an_offset_is_told_in_words(offset_ms: int, within_ms: int | None, text: str) -> None:
    health = health_pb2.DeviceHealth(clock_offset_ms=offset_ms)
    if within_ms is not None:
        health.clock_uncertainty_ms = within_ms
    assert offset_text(health) == text

"""How a device fares, in words for a list and for one device."""

from __future__ import annotations

import datetime as dt
import io

import pytest
from rich.console import Console

from steelyard.report.device_health import concerns, health_facts, rule_facts
from steelyard.report.listings import device_state, render_device, render_devices
from steelyard_protocol.v1 import common_pb2, control_pb2, health_pb2

NOW = dt.datetime(2026, 11, 28, tzinfo=dt.timezone.utc)


def device(**fields: object) -> control_pb2.Device:
    description = common_pb2.DeviceDescription(device_id="d1e2f3a4b5", name="pi5")
    return control_pb2.Device(description=description, online=True, activity="idle", agent_version="0.1.0", **fields)


def shown(renderable: object) -> str:
    stream = io.StringIO()
    Console(file=stream, width=160).print(renderable)
    return stream.getvalue()


def replacement() -> health_pb2.DeviceReplacement:
    made = health_pb2.DeviceReplacement(
        old_device_id="old-device-id", old_device_name="pi4", new_device_id="d1e2f3a4b5", new_device_name="pi5"
    )
    made.at.seconds = 1_790_000_000
    return made


@pytest.mark.parametrize(
    ("health", "disk", "expected"),
    [
        ({}, 0, []),
        ({"clock_offset_ms": 59_000, "under_voltage": False}, 10**10, []),
        ({"clock_offset_ms": -7_200_000, "clock_uncertainty_ms": 4}, 0, ["clock 2 h behind, within 4 ms"]),
        ({"under_voltage": True, "under_voltage_since_boot": True}, 0, ["supply too weak"]),
        ({"under_voltage": False, "under_voltage_since_boot": True}, 0, ["supply was too weak"]),
        ({}, 80_000_000, ["80 MB free"]),
    ],
)
def test_only_what_somebody_should_look_at_stands_out(
    health: dict[str, object], disk: int, expected: list[str]
) -> None:
    assert concerns(device(health=health_pb2.DeviceHealth(**health), free_disk_bytes=disk)) == expected


def test_a_shelf_in_order_has_no_column_of_notes() -> None:
    assert "notes" not in shown(render_devices([device()], now=NOW))
    weak = health_pb2.DeviceHealth(under_voltage=True)
    text = shown(render_devices([device(tags=["rack1"]), device(health=weak)], now=NOW))
    assert "notes" in text
    assert "rack1" in text
    assert "supply too weak" in text


def test_all_that_is_known_of_one_device_is_shown() -> None:
    health = health_pb2.DeviceHealth(
        clock_offset_ms=12, clock_uncertainty_ms=3, under_voltage=False, boot_count=2, restart_count=1, session_count=9
    )
    for minute, cel in ((0, 48.0), (5, 61.0)):
        sample = health.samples.add(temperature_cel=cel)
        sample.at.seconds = 1_790_000_000 + 60 * minute
    switch = health_pb2.PowerSwitch(address="tasmota://plug", most_cycles_an_hour=3)
    text = shown(render_device(device(health=health, power_switch=switch, replaced=replacement()), now=NOW))
    for part in (
        "12 ms ahead, within 3 ms",
        "strong enough",
        "48 to 61 °C in the last 5 min",
        "9 opened; 2 boots and 1 restarts of its agent seen",
        "tasmota://plug, at most 3 times an hour where it hangs",
        "pi4 (old-devi) on 2026-09-",
    ):
        assert part in text


def test_what_a_device_does_not_tell_is_left_out_but_for_its_clock() -> None:
    assert health_facts(device()) == [("clock", "not told")]
    assert rule_facts(device()) == []


def test_a_device_whose_place_was_taken_names_its_successor() -> None:
    ((term, text),) = rule_facts(device(replaced_by=replacement()))
    assert (term, text[:14]) == ("replaced by", "pi5 (d1e2f3a4)")


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({}, "idle"),
        ({"draining": True}, "drained"),
        ({"draining": True, "running_job_id": "job-1"}, "draining"),
        ({"draining": True, "quarantined_because": "drifted"}, "quarantined"),
        ({"standing": "suspended", "quarantined_because": "drifted"}, "suspended"),
    ],
)
def test_the_state_says_first_what_keeps_a_device_from_working(fields: dict[str, object], word: str) -> None:
    assert device_state(device(**fields)).plain == word

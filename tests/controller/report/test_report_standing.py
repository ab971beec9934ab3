"""Where a device stands, in the list and alone."""

from __future__ import annotations

import datetime as dt

from rich.console import Console

from steelyard.report.terminal import render_device, render_devices
from steelyard_protocol.v1 import control_pb2

NOW = dt.datetime(2026, 11, 28, 12, 0, tzinfo=dt.timezone.utc)


def shown(part: object) -> str:
    console = Console(width=100, no_color=True)
    with console.capture() as capture:
        console.print(part)
    return capture.get()


def enrolled() -> control_pb2.Device:
    device = control_pb2.Device(standing="enrolled", tags=["pi5", "rack1"])
    device.description.device_id = "0b6cf94a-3b35-4c36-9d1c-3a1b8f2c7f10"
    device.description.name = "shelf"
    device.last_seen.FromDatetime(NOW)
    device.certificate_not_after.FromDatetime(NOW + dt.timedelta(days=7))
    return device


def test_a_device_that_is_enrolled_and_never_connected_says_just_that() -> None:
    text = shown(render_device(enrolled(), now=NOW))
    assert "enrolled, has not connected yet" in text
    assert "pi5, rack1" in text
    assert "until 2026-12-0" in text
    assert "logical cores" not in text


def test_to_enroll_is_not_to_be_seen() -> None:
    device = enrolled()
    assert "never" in shown(render_devices([device], now=NOW))
    device.agent_version = "0.1.0"
    assert "0 s ago" in shown(render_devices([device], now=NOW))


def test_a_device_that_connected_shows_its_tags_and_its_certificate_beside_the_rest() -> None:
    device = enrolled()
    device.agent_version = "0.1.0"
    text = shown(render_device(device, now=NOW))
    assert "logical cores" in text
    assert "pi5, rack1" in text


def test_a_suspended_device_is_told_as_such_whether_it_is_there_or_not() -> None:
    device = enrolled()
    device.standing = "suspended"
    for online in (True, False):
        device.online = online
        assert "suspended" in shown(render_devices([device], now=NOW))

"""An emulated device in every report: marked, and without a figure of time."""

from __future__ import annotations

import datetime as dt
import re

from rich.console import Console, RenderableType

from steelyard.analysis.measurement import build_measurement
from steelyard.report.html import render_html
from steelyard.report.terminal import render_comparison, render_device, render_devices, render_measurement
from steelyard_protocol.v1 import common_pb2, control_pb2, measurement_pb2
from tests.controller.analysis.planted_rounds import evaluation_round, given, latency_rounds

QEMU = "qemu-user on x86_64"
NOW = dt.datetime(2026, 11, 23, tzinfo=dt.timezone.utc)
PAIR = {"original": 2e6, "fast": 1e6}
TIME = re.compile(r"\d (ns|us|ms|s)\b")


def shown(renderable: RenderableType) -> str:
    console = Console(width=80, no_color=True)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def described() -> common_pb2.DeviceDescription:
    return common_pb2.DeviceDescription(
        device_id="d1", name="arm", processor="4x Cortex-A72", architecture="aarch64", emulated_by=QEMU
    )


def measurement() -> measurement_pb2.Measurement:
    rounds = [*latency_rounds(PAIR, 6), evaluation_round(list(PAIR))]
    return build_measurement(given(list(PAIR), rounds, correct={"original": 1900, "fast": 1899}, device=described()))


def test_a_device_says_by_what_it_is_emulated() -> None:
    device = control_pb2.Device(description=described())
    assert "4x Cortex-A72 (emulated)" in shown(render_devices([device], now=NOW))
    assert QEMU in shown(render_device(device, now=NOW))
    device.description.emulated_by = ""
    assert "emulated" not in shown(render_devices([device], now=NOW)) + shown(render_device(device, now=NOW))


def test_the_terminal_shows_reasons_and_no_time() -> None:
    for text in (shown(render_measurement(measurement())), shown(render_comparison(measurement()))):
        assert QEMU in " ".join(text.split())
        assert not TIME.search(text)
    assert "No decision on arm" in shown(render_measurement(measurement()))


def test_the_page_shows_reasons_and_no_time_of_an_inference() -> None:
    page = render_html([measurement()], generated_at=NOW, controller="laptop")
    assert f"measured under emulation ({QEMU}): not a latency" in page
    assert "Latency distributions" not in page
    assert "Round by round" not in page

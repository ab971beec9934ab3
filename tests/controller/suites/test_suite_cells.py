"""Cells: every model on every device that the suite's words mean, each device once."""

from __future__ import annotations

from pathlib import Path

from steelyard.suites.cells import cells_of, devices_of, devices_unasked
from steelyard_protocol.v1 import control_pb2
from tests.controller.suites.suite_files import read

TEXT = """
[suite]
name = "shelf"
budget = "60m"
[devices]
tags = ["rack"]
names = ["gone"]
[[device]]
name = "pi5"
budget = "30m"
runtimes = ["cpu"]
[[runtime]]
name = "cpu"
[[runtime]]
name = "gpu"
[[model]]
name = "small"
file = "small.onnx"
[[model]]
name = "large"
file = "large.onnx"
devices = ["pi5"]
runtimes = ["cpu"]
"""


def device(name: str, *tags: str, standing: str = "enrolled") -> control_pb2.Device:
    made = control_pb2.Device(tags=tags, standing=standing)
    made.description.device_id, made.description.name = f"id-of-{name}", name
    return made


def test_devices_are_found_by_name_and_tag_each_once_and_unmet_ones_say_why(tmp_path: Path) -> None:
    suite = read(tmp_path, TEXT)
    found, unmet = devices_of(suite, [device("pi5", "rack"), device("pi4", "rack"), device("old", standing="removed")])
    assert [(one.name, one.budget_s) for one in found] == [("pi5", 3600.0), ("pi4", 3600.0)]
    assert [(one.name, one.reason) for one in unmet] == [("gone", "the controller has never seen a device 'gone'")]


def test_cells_keep_to_the_runtimes_and_devices_that_are_named(tmp_path: Path) -> None:
    suite = read(tmp_path, TEXT)
    found, _ = devices_of(suite, [device("pi5"), device("pi4", "rack")])
    assert [(one.model, one.device_id, one.runtime) for one in cells_of(suite, found)] == [
        ("small", "id-of-pi5", "cpu"),
        ("large", "id-of-pi5", "cpu"),
        ("small", "id-of-pi4", "cpu"),
        ("small", "id-of-pi4", "gpu"),
    ]


def test_only_some_devices_can_be_asked_for(tmp_path: Path) -> None:
    suite = read(tmp_path, TEXT)
    found, unmet = devices_of(suite, [device("pi5"), device("pi4", "rack")], only=["pi4"], budget_s=60.0)
    assert [(one.name, one.budget_s) for one in found] == [("pi4", 60.0)]
    assert unmet == ()


def test_without_a_controller_each_word_stands_for_one_device(tmp_path: Path) -> None:
    suite = read(tmp_path, TEXT)
    assert [one.name for one in devices_unasked(suite)] == ["pi5", "gone", "tag:rack"]

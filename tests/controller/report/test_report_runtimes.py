"""How runtimes, their environments and the placement of nodes are shown."""

from __future__ import annotations

import datetime as dt

from rich.console import Console

from steelyard.report.facts import method_facts
from steelyard.report.figures import runtime_text
from steelyard.report.listings import render_device, render_devices
from steelyard_protocol.v1 import control_pb2
from tests.support import measurements

NOW = dt.datetime(2026, 11, 23, tzinfo=dt.timezone.utc)


def _shown(renderable: object) -> str:
    console = Console(width=200, color_system=None)
    with console.capture() as captured:
        console.print(renderable)
    return captured.get()


def _device() -> control_pb2.Device:
    device = control_pb2.Device(online=True)
    device.description.name = "pi3"
    device.description.runtimes.add(name="onnxruntime", version="1.32.0", providers=["CPUExecutionProvider"])
    for name in ("CUDAExecutionProvider", "TensorrtExecutionProvider"):
        reason = f"not in the installed build; it comes with {name}"
        device.description.runtimes[0].unusable_providers.add(name=name, reason=reason)
    device.description.runtimes.add(name="litert", reason="LiteRT cannot be imported here")
    device.description.runtimes.add(name="tflite-runtime", version="2.14.0", providers=["CPU"], environment="tflite")
    return device


def test_a_runtime_of_another_environment_is_listed_as_it_is_asked_for() -> None:
    assert "onnxruntime 1.32.0, tflite-runtime@tflite 2.14.0" in _shown(render_devices([_device()], now=NOW))
    shown = _shown(render_device(_device(), now=NOW))
    assert "tflite-runtime@tflite 2.14.0 (CPU)" in shown
    assert "litert: not usable (LiteRT cannot be imported here)" in shown


def test_providers_that_cannot_be_used_are_grouped_by_their_reason() -> None:
    assert "not usable: CUDA, Tensorrt (not in the installed build)" in _shown(render_device(_device(), now=NOW))


def test_a_result_names_its_runtime_with_its_environment() -> None:
    variant = measurements.normal().variants[0]
    variant.runtime.name, variant.runtime_version = "tflite-runtime", "2.14.0"
    assert runtime_text(variant) == "tflite-runtime 2.14.0"
    variant.runtime.environment = "tflite"
    assert runtime_text(variant) == "tflite-runtime@tflite 2.14.0"


def test_placement_is_shown_when_more_than_one_provider_runs_nodes() -> None:
    measurement = measurements.normal()
    measurement.variants[0].placements.add(provider="CPUExecutionProvider", node_count=40)
    assert "Placement" not in dict(method_facts(measurement))
    static = measurement.variants[3]
    for name, count in (("TensorrtExecutionProvider", 40), ("CUDAExecutionProvider", 2)):
        static.placements.add(provider=name, node_count=count)
    static.placements.add(provider="CPUExecutionProvider")
    assert dict(method_facts(measurement))["Placement"] == (
        "static-int8: 40 nodes on TensorrtExecutionProvider, 2 on CUDAExecutionProvider, "
        "CPUExecutionProvider (its part is not told)"
    )


def test_the_program_of_a_phone_on_a_cable_is_not_said_to_look_for_a_steady_state() -> None:
    measurement = measurements.normal()
    assert "three windows" in dict(method_facts(measurement))["Timing"]
    for variant in measurement.variants:
        variant.runtime.name = "benchmark_model"
    assert dict(method_facts(measurement))["Timing"] == (
        f"at least {measurement.plan.timing.sample_window_ms} ms of inferences a block after the program's own "
        "warm-up, which looks for no steady state"
    )


def test_what_only_one_kind_of_cores_has_is_told_of_that_kind() -> None:
    device = _device()
    device.description.processor_features.append("asimd")
    device.description.core_groups.add(name="big", core_ids=[4, 5], max_frequency_hz=2_400_000_000)
    device.description.core_groups[0].features.extend(["asimd", "i8mm"])
    device.description.core_groups.add(name="little", core_ids=[0], features=["asimd"])
    shown = _shown(render_device(device, now=NOW))
    assert "big: 4, 5 (up to 2400 MHz), also i8mm" in shown
    assert "little: 0" in shown
    assert "little: 0," not in shown

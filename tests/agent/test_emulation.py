"""Emulators give themselves away by what they leave to the real kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.commands import CommandAnswer
from steelyard_agent.description import describe_device
from steelyard_agent.emulation import EMULATED_VARIABLE, find_emulator
from steelyard_agent.errors import UsageError
from steelyard_agent.jobs.description_message import description_message
from steelyard_agent.meters.contract import System
from steelyard_agent.processor import parse_cpuinfo
from steelyard_agent.standalone import measure_file
from steelyard_agent.standalone_text import report_lines, report_to_json
from steelyard_agent.worker.block import Timing
from tests.support import models

QEMU = "qemu-user on x86_64"
LISTINGS = Path(__file__).parents[2] / "tools/arm/cpuinfo"
QUICK = Timing(sample_window_ms=10, warmup_window_ms=2, warmup_cap_ms=10)


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(root=tmp_path, clock_ns=lambda: 0)


def kernel(system: System, arch: str, comm: str = "python3") -> System:
    for path, text in (("/proc/sys/kernel/arch", arch), ("/proc/self/comm", comm)):
        system.path(path).parent.mkdir(parents=True, exist_ok=True)
        system.path(path).write_text(text + "\n")
    return system


@pytest.mark.parametrize(
    ("arch", "machine"),
    [
        ("x86_64", "x86_64"),
        ("x86_64", "i686"),
        ("aarch64", "aarch64"),
        ("aarch64", "armv7l"),
        ("aarch64", "armv8l"),
        ("arm64", "aarch64"),
        ("riscv64", "riscv64"),
    ],
)
def test_a_system_on_its_own_processor_is_real_also_with_32_bits(system: System, arch: str, machine: str) -> None:
    assert find_emulator(kernel(system, arch), {}, machine) == ""


def test_qemu_is_known_by_its_process_name_and_the_kernels_own_architecture(system: System) -> None:
    assert find_emulator(kernel(system, "x86_64", "qemu-aarch64-st"), {}, "aarch64") == QEMU


def test_an_emulator_that_the_kernel_starts_by_itself_is_known_without_its_name(system: System) -> None:
    assert find_emulator(kernel(system, "aarch64"), {}, "x86_64") == "an emulator on aarch64"


def test_a_kernel_that_does_not_tell_its_architecture_leaves_the_process_name(system: System) -> None:
    assert find_emulator(system, {}, "aarch64") == ""
    kernel(system, "x86_64", "qemu-aarch64-st")
    system.path("/proc/sys/kernel/arch").unlink()
    assert find_emulator(system, {}, "aarch64") == "qemu-user"


def test_the_android_emulator_says_so_itself(system: System) -> None:
    def answer(command: Sequence[str]) -> CommandAnswer:
        return CommandAnswer(output="1" if command == ("getprop", "ro.kernel.qemu") else "")

    phone = replace(kernel(system, "aarch64"), run_command=answer)
    assert find_emulator(phone, {}, "aarch64") == "the Android emulator"


def test_what_cannot_be_seen_can_be_told(system: System) -> None:
    told = {EMULATED_VARIABLE: " qemu-system on x86_64 "}
    assert find_emulator(kernel(system, "aarch64"), told, "aarch64") == "qemu-system on x86_64"
    assert find_emulator(kernel(system, "aarch64"), {EMULATED_VARIABLE: " "}, "aarch64") == ""


@pytest.mark.parametrize("text", ["a\nb", "\x1b[31mred", "x" * 101])
def test_what_is_told_must_fit_a_line(system: System, text: str) -> None:
    with pytest.raises(UsageError, match=EMULATED_VARIABLE):
        find_emulator(system, {EMULATED_VARIABLE: text}, "aarch64")


@given(machine=st.text(max_size=20))
def test_a_machine_that_nobody_knows_is_real_where_the_kernel_says_the_same(
    machine: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert find_emulator(System(root=tmp_path_factory.getbasetemp(), clock_ns=lambda: 0), {}, machine) == ""


def test_an_emulated_device_has_the_architecture_that_it_imitates(system: System) -> None:
    real = describe_device(kernel(system, "some-arch"), name="x", device_id="d-1")
    assert (real.architecture, real.emulated_by) == ("some-arch", "")
    emulated = describe_device(system, name="x", device_id="d-1", emulated_by=QEMU)
    assert emulated.emulated_by == QEMU
    assert emulated.architecture != "some-arch"
    assert description_message(emulated).emulated_by == QEMU


async def test_a_file_measured_under_emulation_has_no_times_and_no_memory(tmp_path: Path) -> None:
    model = models.linear_model(tmp_path / "m.onnx")
    report = await measure_file(model, rounds=1, block_timeout_s=60, timing=QUICK, emulated_by=QEMU)
    text = "\n".join(report_lines(report))
    assert " ".join(text.split()).count(f"not said: measured under emulation ({QEMU}): not a latency") == 1
    assert "model load" not in text
    assert "memory not said: measured under emulation" in " ".join(text.split())
    assert "resident" not in text
    document = report_to_json(report)
    assert document["emulated_by"] == QEMU
    (launch,) = document["launches"]
    assert {name for name, value in launch.items() if value is None} >= {
        *("p50_ns", "p90_ns", "model_load_ns", "memory_phases", "peak_resident_bytes")
    }
    assert launch["sample_count"] > 0
    assert "latency p50" in "\n".join(report_lines(replace(report, emulated_by="")))


@pytest.mark.parametrize(
    ("name", "processor", "features"),
    [
        ("cortex-a72", "4x Cortex-A72", ("asimd",)),
        ("cortex-a76", "4x Cortex-A76", ("asimd", "asimddp", "fphp", "asimdhp")),
    ],
)
def test_the_processors_of_make_test_arm_are_what_they_are_called(
    name: str, processor: str, features: tuple[str, ...]
) -> None:
    parsed = parse_cpuinfo((LISTINGS / f"{name}.txt").read_text())
    assert (parsed.name, parsed.features, parsed.model) == (processor, features, "")

"""What the doctor says on an emulated processor."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.arm.emulated_agent import EMULATOR, arm_python, environment


def doctor(processor: str, *flags: str) -> str:
    command = [str(arm_python(processor)), "-m", "steelyard_agent", "doctor", *flags]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("processor", "name", "features"),
    [("cortex-a72", "4x Cortex-A72", {"asimd"}), ("cortex-a76", "4x Cortex-A76", {"asimd", "asimddp", "asimdhp"})],
)
def test_the_doctor_sees_the_emulated_processor_and_says_by_what(processor: str, name: str, features: set[str]) -> None:
    answer = json.loads(doctor(processor, "--json"))
    device = answer["device"]
    assert device["emulated_by"] == EMULATOR
    assert device["architecture"] == "aarch64"
    assert device["processor"] == name
    assert features <= set(device["processor_features"])
    assert not {"avx2", "avx512f"} & set(device["processor_features"])
    runtimes = {one["name"]: one for one in device["runtimes"]}
    assert "CPUExecutionProvider" in runtimes["onnxruntime"]["providers"]
    assert "XNNPACK" in runtimes["litert"]["providers"]
    capabilities = {one["name"]: one for one in answer["capabilities"]}
    assert capabilities["latency"]["answer"] == "no"
    assert EMULATOR in capabilities["latency"]["reasons"][0]


def test_a_person_reads_that_nothing_timed_there_is_a_latency() -> None:
    text = doctor("cortex-a72")
    assert EMULATOR in text
    assert "latency" in text.partition("Notes")[2]
    assert max(map(len, text.splitlines())) <= 80

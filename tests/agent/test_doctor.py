from __future__ import annotations

import dataclasses
import json

import pytest

from steelyard_agent.description import RuntimeDescription, describe_device
from steelyard_agent.doctor import Answer, Capability, diagnose, diagnosis_lines, diagnosis_to_json
from steelyard_agent.profiles import load_profiles
from tests.support.fake_sysfs import FIXTURES, FakeSysfs, load_tree

RUNTIMES = (
    RuntimeDescription(name="onnxruntime", version="1.22.0", providers=("CPUExecutionProvider",)),
    RuntimeDescription(name="litert", reason="ai-edge-litert is not installed; pip install 'steelyard[litert]'"),
)
COUNTERS = [f"/sys/class/powercap/intel-rapl:{zone}/energy_uj" for zone in ("0", "0:0", "0:1")]


def examine(tree, runtimes=RUNTIMES, **more):
    device = describe_device(tree.system, name="bench", device_id="d-1", runtimes=runtimes)
    more = {"pointer_bits": 64, "clock_resolution_s": 1e-9, "platform_name": "linux", **more}
    device = dataclasses.replace(device, python_version="3.11.9")
    return diagnose(tree.system, device, profiles=load_profiles(), **more)


def capability(diagnosis, name):
    return next(one for one in diagnosis.capabilities if one.name == name)


@pytest.mark.parametrize(
    "golden", ["raspberry_pi_5", "raspberry_pi_4b", "n100", "n100_denied", "bare_virtual_machine", "absurd_values"]
)
def test_the_diagnosis_reads_as_recorded(tmp_path, golden):
    tree = load_tree(golden.removesuffix("_denied"), tmp_path)
    if golden.endswith("_denied"):
        for counter in COUNTERS:
            tree.deny(counter)
    lines = diagnosis_lines(examine(tree))
    assert max(len(line) for line in lines) <= 80
    assert lines == (FIXTURES / "doctor" / f"{golden}.txt").read_text("utf-8").splitlines()


def test_json_says_the_same_with_a_schema_version(tmp_path):
    diagnosis = examine(load_tree("raspberry_pi_5", tmp_path))
    record = json.loads(json.dumps(diagnosis_to_json(diagnosis)))
    assert record["schema_version"] == 1
    assert record["device"]["model"] == "Raspberry Pi 5 Model B Rev 1.0"
    assert {one["name"]: one["answer"] for one in record["capabilities"]} == {
        "latency": "yes",
        "load": "yes",
        "memory": "yes",
        "temperature": "yes",
        "frequency": "yes",
        "power": "no",
    }
    assert record["device"]["meters"][0]["unit"] == "Cel"
    assert all(fact["source"] for fact in record["facts"])


def test_a_broken_sensor_beside_a_good_one_is_told(tmp_path):
    tree = load_tree("n100", tmp_path)
    tree.write("/sys/class/thermal/thermal_zone0/temp", "")
    temperature = capability(examine(tree), "temperature")
    assert temperature.answer is Answer.PARTLY
    assert "zone0/temp is empty" in temperature.reasons[0]
    assert temperature.next_step == ""


def test_rails_that_are_read_are_shown_with_their_caution(tmp_path):
    power = capability(examine(load_tree("power_chips", tmp_path)), "power")
    assert power.answer is Answer.YES
    assert any("vdd_in_power 4.869 W" in detail for detail in power.details)
    assert any("ten times too high" in detail for detail in power.details)


def test_a_denied_clear_refs_leaves_the_phases(tmp_path):
    tree = load_tree("n100", tmp_path)
    tree.deny("/proc/self/clear_refs")
    memory = capability(examine(tree), "memory")
    assert memory.answer is Answer.PARTLY
    assert "clear_refs cannot be written: permission denied" in memory.reasons[0]


def test_an_old_kernel_and_a_missing_proc_have_no_phases(tmp_path):
    tree = load_tree("n100", tmp_path)
    tree.write("/proc/self/status", "VmRSS:\t 1 kB\n")
    assert "no VmHWM or no RssAnon line" in capability(examine(tree), "memory").reasons[0]
    tree.remove("/proc/self/status")
    assert "status is not there" in capability(examine(tree), "memory").reasons[0]


def test_macos_tells_the_peak_only(tmp_path):
    memory = capability(examine(load_tree("n100", tmp_path), platform_name="darwin"), "memory")
    assert memory.answer is Answer.PARTLY
    assert "getrusage" in memory.details[0]


def test_a_32_bit_python_on_a_64_bit_kernel_is_warned_of(tmp_path):
    lines = diagnosis_lines(examine(load_tree("raspberry_pi_4b", tmp_path), pointer_bits=32))
    assert "Notes" in lines
    assert any("32-bit program on a aarch64 kernel" in line for line in lines)


def test_providers_that_lack_for_one_reason_share_it(tmp_path):
    reason = "CUDA: not in this build; QNN: not in this build; GPU: no library"
    runtime = RuntimeDescription(name="onnxruntime", version="1.22.0", providers=("CPU",), reason=reason)
    text = "\n".join(diagnosis_lines(examine(load_tree("n100", tmp_path), runtimes=(runtime,))))
    assert "CUDA, QNN: not in this build\n" in text
    assert "GPU: no library" in text


def test_without_runtimes_the_lines_say_so(tmp_path):
    lines = diagnosis_lines(examine(load_tree("raspberry_pi_5", tmp_path), runtimes=()))
    assert lines[-1].strip() == "none was looked for"


def test_a_meter_that_nobody_asked_is_no_silent_no(tmp_path):
    tree = FakeSysfs(tmp_path)
    device = describe_device(tree.system, name="x", device_id="y")
    blind = diagnose(tree.system, dataclasses.replace(device, meters=()))
    assert capability(blind, "power").reasons == ("no meter looked for it",)


def test_a_no_without_a_reason_is_refused():
    with pytest.raises(ValueError, match="without a reason"):
        Capability(name="power", answer=Answer.NO)

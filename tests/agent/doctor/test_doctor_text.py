from __future__ import annotations

import dataclasses
import json

from steelyard_agent.cores import CoreGroup
from steelyard_agent.description import RuntimeDescription
from steelyard_agent.doctor import diagnosis_lines, diagnosis_to_json
from steelyard_agent.profiles import Identity, Match, OptionKnowledge, Profile
from tests.agent.doctor.examined import PROFILES, device_of, diagnose_device, examine
from tests.support.fake_sysfs import FakeSysfs, load_tree


def lines_of(tmp_path, device, **more):
    lines = diagnosis_lines(diagnose_device(FakeSysfs(tmp_path), device, **more))
    assert max(map(len, lines)) <= 80
    assert all(line == line.rstrip() for line in lines)
    return lines


def section(lines, title):
    """The rows under a title, joined as a person reads them; "" when the section is not there."""
    if title not in lines:
        return ""
    rows = lines[lines.index(title) + 1 :]
    end = rows.index("") if "" in rows else len(rows)
    return " ".join(" ".join(rows[:end]).split())


def test_a_known_board_reads_in_sections(tmp_path):
    lines = lines_of(tmp_path, device_of(profile="jetson-orin-nano", processor_features=("asimd", "asimddp")))
    titles = [line for line in lines if line and not line.startswith(" ")]
    assert titles == [
        *("Device", "Can be measured", "Cannot be measured"),
        *("Blocks are held back or found not valid by", "Throttling shows in"),
        "Runtimes",
        *("Known of boards of this kind", "Notes"),
    ]
    assert "profile jetson-orin-nano" in section(lines, "Device")


def test_what_only_the_profile_says_stands_apart_from_what_was_probed(tmp_path):
    lines = lines_of(tmp_path, device_of(profile="jetson-orin-nano"))
    assert "Ampere" not in section(lines, "Device")
    known = section(lines, "Known of boards of this kind")
    assert "accelerator Ampere GPU, compute capability 8.7" in known
    assert "TensorrtExecutionProvider of onnxruntime needs JetPack" in known
    assert "trt_fp16_enable of TensorrtExecutionProvider = 1: half precision" in known
    assert "litert: pip install" in known
    assert "onnxruntime: pip install" not in known, "it is installed"
    assert "traps CPU, GPU and memory clocks follow nvpmodel" in known


def test_a_provider_that_works_here_is_not_told_again(tmp_path):
    runtime = RuntimeDescription(name="onnxruntime", version="1.22.0", providers=("TensorrtExecutionProvider",))
    lines = lines_of(tmp_path, device_of(profile="jetson-orin-nano", runtimes=(runtime,)))
    assert "TensorrtExecutionProvider of onnxruntime needs" not in section(lines, "Known of boards of this kind")


def test_a_32_bit_system_is_told_of_the_runtime_that_it_can_have(tmp_path):
    known = "Known of boards of this kind"
    narrow = device_of(profile="raspberry-pi-3b-plus", architecture="armv7l", runtimes=())
    assert "tflite-runtime: pip install" in section(lines_of(tmp_path, narrow), known)
    wide = device_of(profile="raspberry-pi-3b-plus", runtimes=())
    assert "tflite-runtime" not in section(lines_of(tmp_path, wide), known)


def test_termux_is_told_of_its_own_package(tmp_path):
    phone = device_of(profile="android-generic", runtimes=(), identity=Identity(android_version="15"))
    assert "pkg install python-onnxruntime" in section(lines_of(tmp_path, phone), "Known of boards of this kind")


def test_yes_and_no_of_an_option_read_as_in_the_file(tmp_path):
    option = OptionKnowledge(name="spinning", value=False, why="saves power", source="measured")
    mine = Profile(name="mine", title="Mine", match=Match(android=True), options=(option,))
    lines = lines_of(tmp_path, device_of(profile="mine"), profiles=[mine])
    assert "spinning = false: saves power" in section(lines, "Known of boards of this kind")


def test_an_unknown_board_with_a_known_chip_is_told_the_nearest(tmp_path):
    identity = Identity(device_tree_compatibles=("maker,carrier", "brcm,bcm2712"))
    device = device_of(identity=identity)
    told = section(lines_of(tmp_path, device), "Device")
    assert "profile none fits; nearest: the same chip (brcm,bcm2712) as raspberry-pi-5; everything is probed" in told
    assert "(steelyard-agent profile new drafts one)" in told
    record = diagnosis_to_json(diagnose_device(FakeSysfs(tmp_path), device))
    assert record["nearest"] == {"profile": "raspberry-pi-5", "soc_compatible": "brcm,bcm2712"}
    assert record["profile"] is None


def test_an_unknown_board_is_told_apart_and_still_works(tmp_path):
    lines = lines_of(tmp_path, device_of(model="", processor="", processor_features=()))
    told = section(lines, "Device")
    assert "profile none fits; everything is probed" in told
    assert "model not told by the device" in told
    assert "name not told, 4 logical cores" in told
    assert section(lines, "Known of boards of this kind") == ""


def test_kinds_of_cores_are_shown_when_there_are_several(tmp_path):
    big = CoreGroup(name="big", core_ids=(4, 5), capacity=1024, max_frequency_hz=2_400_000_000)
    little = CoreGroup(name="little", core_ids=(0, 1, 2, 3))
    told = section(lines_of(tmp_path, device_of(core_groups=(big, little))), "Cores")
    assert told == "big cores 4-5, capacity 1024, up to 2400 MHz little cores 0-3"
    assert "Cores" not in lines_of(tmp_path, device_of(core_groups=(big,)))


def test_what_only_one_kind_of_cores_has_stands_beside_that_kind(tmp_path):
    tree = load_tree("rock_5b", tmp_path)
    text = tree.system.path("/proc/cpuinfo").read_text("utf-8")
    head, _, tail = text.partition("processor\t: 4")
    assert tail
    tree.write("/proc/cpuinfo", head + "processor\t: 4" + tail.replace(" asimddp", " asimddp i8mm"))
    lines = diagnosis_lines(examine(tree))
    assert section(lines, "Cores") == (
        "big cores 4-7, capacity 1024, up to 2400 MHz, also i8mm little cores 0-3, capacity 397, up to 1800 MHz"
    )
    assert "i8mm" not in section(lines, "Device")


def test_without_evidence_of_throttling_the_lines_say_what_follows(tmp_path):
    assert "blocks will say that it is not known" in section(lines_of(tmp_path, device_of()), "Throttling shows in")


def test_what_a_block_reads_where_nothing_shows_is_told_beside_the_evidence(tmp_path):
    tree = load_tree("n100", tmp_path)
    told = section(diagnosis_lines(diagnose_device(tree, device_of())), "Throttling shows in")
    assert "otherwise a block reads unknown, not no: reaching the power limit is not counted here" in told
    record = diagnosis_to_json(diagnose_device(tree, device_of()))
    assert "power limit" in record["throttle_doubt"]


def test_providers_that_lack_for_one_reason_share_it(tmp_path):
    runtime = RuntimeDescription(
        name="onnxruntime",
        version="1.22.0",
        environment="jetpack",
        providers=("CPUExecutionProvider", "TensorrtExecutionProvider"),
        compiling_providers=("TensorrtExecutionProvider",),
        unusable_providers=(
            ("CUDAExecutionProvider", "not in this build; install onnxruntime-gpu"),
            ("QNNExecutionProvider", "not in this build"),
            ("GPU", "no library"),
        ),
        reason="CUDAExecutionProvider: not in this build; QNNExecutionProvider: not in this build; GPU: no library",
    )
    told = section(lines_of(tmp_path, device_of(runtimes=(runtime,))), "Runtimes")
    usable = "CPUExecutionProvider, TensorrtExecutionProvider (compiles here)"
    absent = "CUDA, QNN: not in this build GPU: no library"
    assert told == f"onnxruntime 1.22.0 in the environment jetpack: {usable} {absent}"


def test_reasons_of_an_older_agent_are_grouped_as_well(tmp_path):
    reason = "CUDA: not in this build; QNN: not in this build; GPU: no library"
    runtime = RuntimeDescription(name="onnxruntime", version="1.22.0", providers=("CPU",), reason=reason)
    told = section(lines_of(tmp_path, device_of(runtimes=(runtime,))), "Runtimes")
    assert told == "onnxruntime 1.22.0: CPU CUDA, QNN: not in this build GPU: no library"


def test_a_runtime_that_is_not_there_says_why(tmp_path):
    absent = RuntimeDescription(name="tflite-runtime", environment="old", reason="not installed; pip install it")
    told = section(lines_of(tmp_path, device_of(runtimes=(absent,))), "Runtimes")
    assert told == "tflite-runtime in the environment old not installed; pip install it"
    assert section(lines_of(tmp_path, device_of(runtimes=())), "Runtimes") == "none was looked for"


def test_json_holds_everything_with_a_schema_version(tmp_path):
    tree = load_tree("raspberry_pi_5", tmp_path)
    unusable = RuntimeDescription(name="x", version="1", unusable_providers=(("GPU", "no library"),))
    device = dataclasses.replace(device_of(profile="raspberry-pi-5", runtimes=(unusable,)))
    record = json.loads(json.dumps(diagnosis_to_json(diagnose_device(tree, device))))
    assert record["schema_version"] == 1
    assert {one["name"] for one in record["capabilities"]} == {
        *("latency", "load", "memory", "temperature", "frequency", "power")
    }
    assert record["device"]["runtimes"][0]["unusable_providers"] == [{"name": "GPU", "reason": "no library"}]
    assert record["device"]["identity"]["device_tree_compatibles"] == []
    assert record["profile"]["traps"]
    assert all(fact["source"] for fact in record["facts"])
    assert {one["name"] for one in record["throttling"]} >= {"firmware", "frequency"}


def test_every_shipped_profile_fits_the_width_of_a_terminal(tmp_path):
    for profile in PROFILES:
        lines_of(tmp_path, device_of(profile=profile.name, runtimes=()))

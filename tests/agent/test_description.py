from __future__ import annotations

import subprocess
import sys

from steelyard_agent.boot_id import read_boot_id
from steelyard_agent.description import RuntimeDescription, describe_device
from steelyard_agent.profiles import Identity, Match, Profile
from tests.support.fake_sysfs import FakeSysfs, load_tree


def describe(tree, **more):
    return describe_device(tree.system, name="bench", device_id="d-1", **more)


def test_a_board_says_who_it_is_by_its_device_tree(tmp_path):
    runtime = RuntimeDescription(name="onnxruntime", version="1.22.0", providers=("CPUExecutionProvider",))
    device = describe(load_tree("raspberry_pi_5", tmp_path), runtimes=[runtime])
    assert device.model == "Raspberry Pi 5 Model B Rev 1.0"
    assert device.profile == "raspberry-pi-5"
    assert (device.architecture, device.kernel) == ("aarch64", "6.12.47+rpt-rpi-2712")
    assert device.operating_system == "Debian GNU/Linux 12 (bookworm)"
    assert (device.processor, device.logical_core_count) == ("4x Cortex-A76", 4)
    assert device.memory_bytes == 8245664 * 1024
    assert device.runtimes == (runtime,)
    assert {reading.name for reading in device.meters} >= {"cpu_temperature", "cpu_frequency", "cpu_max_frequency"}
    assert device.identity.device_tree_compatibles == ("raspberrypi,5-model-b", "brcm,bcm2712")


def test_what_a_board_maker_left_blank_is_no_model(tmp_path):
    device = describe(load_tree("n100", tmp_path))
    assert (device.model, device.profile) == ("AZW MINI S12", "n100")


def test_a_machine_is_known_by_vendor_and_product(tmp_path):
    tree = load_tree("n100", tmp_path)
    tree.write("/sys/class/dmi/id/sys_vendor", "QEMU\n")
    tree.write("/sys/class/dmi/id/product_name", "Standard PC (Q35 + ICH9, 2009)\n")
    device = describe(tree)
    assert device.model == "QEMU Standard PC (Q35 + ICH9, 2009)"
    assert device.profile == "virtual-machine", "the host's processor name does not make a guest a mini-PC"


def test_a_bare_guest_has_no_model_but_a_profile(tmp_path):
    device = describe(load_tree("bare_virtual_machine", tmp_path))
    assert (device.model, device.profile, device.logical_core_count) == ("", "virtual-machine", 2)


def test_a_phone_is_asked_by_getprop(tmp_path):
    answers = {
        "ro.product.model": "Pixel 8",
        "ro.product.manufacturer": "Google",
        "ro.soc.model": "Tensor G3",
        "ro.build.version.release": "15",
    }
    tree = FakeSysfs(tmp_path)
    tree.commands |= {f"getprop {key}": text for key, text in answers.items()}
    device = describe(tree)
    assert (device.model, device.operating_system) == ("Google Pixel 8", "Android 15")
    assert (device.identity.android_soc, device.profile) == ("Tensor G3", "google-tensor-g3")


def test_a_phone_that_nobody_knows_is_an_android_all_the_same(tmp_path):
    tree = FakeSysfs(tmp_path)
    tree.commands |= {"getprop ro.product.model": "EX-1", "getprop ro.build.version.release": "14"}
    assert (describe(tree).model, describe(tree).profile) == ("EX-1", "android-generic")


def test_a_jetson_tells_the_release_of_its_drivers(tmp_path):
    device = describe(load_tree("jetson_orin_nano", tmp_path))
    assert device.operating_system == "Ubuntu 22.04.5 LTS, Jetson Linux R36.4.3"
    assert device.profile == "jetson-orin-nano"


def test_the_profiles_to_choose_from_may_be_the_users(tmp_path):
    mine = Profile(name="mine", title="Mine", match=Match(device_tree_models=("Raspberry Pi",)))
    tree = load_tree("raspberry_pi_5", tmp_path)
    assert describe(tree, profiles=[mine]).profile == "mine"
    assert describe(tree, profiles=[]).profile == ""


def test_a_device_that_says_nothing_is_described_all_the_same(tmp_path):
    device = describe(FakeSysfs(tmp_path))
    assert (device.profile, device.identity) == ("", Identity())
    assert device.architecture
    assert device.memory_bytes > 0


def test_a_mac_is_asked_by_sysctl(tmp_path):
    answers = {
        "machdep.cpu.brand_string": "Apple M2",
        "hw.model": "Mac14,2",
        "hw.optional.arm.FEAT_I8MM": "1",
        "hw.optional.arm.FEAT_FP16": "1",
        "hw.optional.arm.FEAT_DotProd": "0",
    }
    tree = FakeSysfs(tmp_path)
    tree.commands |= {f"sysctl -n {key}": text for key, text in answers.items()}
    device = describe(tree)
    assert (device.model, device.processor) == ("Mac14,2", "Apple M2")
    assert device.processor_features == ("asimdhp", "fphp", "i8mm")
    assert device.memory_bytes > 0
    assert device.logical_core_count > 0


def test_a_kernel_that_prints_the_board_in_cpuinfo_is_believed_last(tmp_path):
    tree = load_tree("raspberry_pi_4b", tmp_path)
    tree.remove("/proc/device-tree/model")
    assert describe(tree).model == load_tree("raspberry_pi_4b", tmp_path / "whole").system.path(
        "/proc/device-tree/model"
    ).read_text("utf-8").strip("\x00\n")


def test_the_boot_id_changes_with_the_boot(tmp_path):
    tree = load_tree("raspberry_pi_5", tmp_path)
    first = read_boot_id(tree.system)
    tree.write("/proc/sys/kernel/random/boot_id", "another\n")
    assert read_boot_id(tree.system) == "another" != first
    assert read_boot_id(FakeSysfs(tmp_path / "none").system).startswith("booted-at-")


def test_describing_a_device_imports_nothing_heavy():
    script = (
        "import sys, time; from pathlib import Path; from steelyard_agent.meters.contract import System;"
        "from steelyard_agent import description, doctor;"
        "d = description.describe_device(System(clock_ns=time.perf_counter_ns), name='x', device_id='y');"
        "doctor.diagnosis_lines(doctor.diagnose(System(clock_ns=time.perf_counter_ns), d));"
        "print(sorted({'numpy', 'grpc', 'onnxruntime', 'google.protobuf', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

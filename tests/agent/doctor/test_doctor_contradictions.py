"""The device is believed: where the profile says otherwise, a note says so and nothing else changes."""

from __future__ import annotations

import pytest

from steelyard_agent.profiles import load_profiles
from steelyard_agent.readings import Scope
from tests.agent.doctor.examined import capability, device_of, diagnose_device, examine, power_reading
from tests.support.fake_sysfs import FakeSysfs, load_tree

PI_5_FEATURES = ("asimd", "asimddp", "fphp", "asimdhp")


def pi_5(**said):
    return device_of(**{"profile": "raspberry-pi-5", "processor_features": PI_5_FEATURES, **said})


def notes(tmp_path, device, **more):
    return diagnose_device(FakeSysfs(tmp_path), device, **more).notes


def test_a_device_that_is_as_its_profile_says_has_no_notes(tmp_path):
    assert notes(tmp_path, pi_5()) == ()


def test_features_that_the_profile_got_wrong_are_noted_and_the_devices_are_kept(tmp_path):
    device = pi_5(processor_features=("asimd", "asimddp", "i8mm"))
    diagnosis = diagnose_device(FakeSysfs(tmp_path), device)
    assert diagnosis.notes == (
        "the profile says the processor has fphp, asimdhp, the device says it has not: the device is believed",
        "the profile says the processor lacks i8mm, the device says it has it: the device is believed",
    )
    assert diagnosis.device.processor_features == ("asimd", "asimddp", "i8mm")


def test_another_number_of_cores_is_noted(tmp_path):
    (note,) = notes(tmp_path, pi_5(logical_core_count=2))
    assert note == "the profile says 4 cores, the device says 2: the device is believed"
    assert notes(tmp_path, pi_5(logical_core_count=0)) == (), "a count that is not known contradicts nothing"


def test_a_sensor_that_the_profile_does_not_know_is_used(tmp_path):
    reading = power_reading(2.5, "/sys/class/hwmon/hwmon1/power1_input")
    device = device_of(profile="raspberry-pi-4b", meters=(reading,))
    diagnosis = diagnose_device(FakeSysfs(tmp_path), device)
    (note,) = diagnosis.notes
    assert note.startswith("the profile says power cannot be read (no current sensor on the board), the device says")
    assert "vdd_in_power 2.5 W" in capability(diagnosis, "power").details[0]


def test_a_sensor_of_another_scope_is_noted(tmp_path):
    wrong = power_reading(2.5, "x", Scope.BOARD_INPUT)
    (note,) = notes(tmp_path, device_of(profile="jetson-nano", meters=(wrong,)))
    assert "power covers the scope module, the device says it covers board_input" in note
    assert notes(tmp_path, device_of(profile="jetson-nano", meters=(power_reading(2.5, "x"),))) == ()


@pytest.mark.parametrize(("bits", "architecture"), [(32, "aarch64"), (32, "armv7l"), (64, "armv7l")])
def test_a_32_bit_system_explains_missing_features_once(tmp_path, bits, architecture):
    device = device_of(profile="raspberry-pi-4b", architecture=architecture, processor_features=("neon",))
    (note,) = notes(tmp_path, device, pointer_bits=bits)
    assert "32-bit" in note
    assert "install a 64-bit system" in note


def test_a_processor_that_is_32_bit_itself_is_not_blamed_on_the_system(tmp_path):
    device = device_of(architecture="armv7l", processor="4x Cortex-A7", processor_features=("neon",))
    assert notes(tmp_path, device) == ()


@pytest.mark.parametrize(
    "tree",
    [
        *("android_generic", "bare_virtual_machine", "beaglebone_ai_64", "coral_dev_board", "jetson_agx_orin"),
        *("jetson_nano_jetpack4", "jetson_orin_nano", "n100", "pixel_8", "raspberry_pi_3b_plus", "raspberry_pi_4b"),
        *("raspberry_pi_5", "rock_5b", "spacemit_k1"),
    ],
)
def test_no_shipped_profile_contradicts_the_board_it_is_for(tmp_path, tree):
    diagnosis = examine(load_tree(tree, tmp_path))
    assert diagnosis.profile in load_profiles()
    assert not [note for note in diagnosis.notes if "the profile says" in note]

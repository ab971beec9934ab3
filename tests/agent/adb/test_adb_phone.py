from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

import pytest

from steelyard_agent.adb.adb import AdbError
from steelyard_agent.adb.phone import CableEnergyWatch, Phone, phone_name, state_folder
from steelyard_agent.cli.arguments import build_parser
from steelyard_agent.cli.phone import connected_phone, phone_parts
from steelyard_agent.cli.served import ServedControllers
from steelyard_agent.errors import UsageError
from steelyard_agent.link.address import parse_controller_address
from steelyard_agent.state.directory import open_state_directory
from tests.support.elf_programs import ARM, ARM64, X86_64, elf_program
from tests.support.fake_phone import SERIAL, program, recording


@pytest.fixture
def plugged(phone, tmp_path):
    return Phone(phone.adb, program(tmp_path, recording("xnnpack_complete")), tmp_path / "mirror")


def described(plugged, tmp_path, name=""):
    return asyncio.run(plugged.describe(name=name, device_id="d", work_folder=tmp_path))


def test_a_phone_says_who_it_is_and_nothing_of_this_machine(plugged, tmp_path):
    device = described(plugged, tmp_path)
    assert (device.name, device.model) == ("google-pixel-8", "Google Pixel 8")
    assert (device.architecture, device.operating_system) == ("aarch64", "Android 14")
    assert device.kernel.startswith("5.15.110-android14")
    assert device.python_version == ""
    assert device.logical_core_count == 9
    assert device.emulated_by == ""
    assert [group.name for group in device.core_groups] == ["big", "middle", "little"]
    assert [(one.name, one.version.startswith("sha256:")) for one in device.runtimes] == [("benchmark_model", True)]
    assert device.runtimes[0].providers == ("XNNPACK", "CPU", "GPU", "NNAPI")
    assert described(plugged, tmp_path, name="mine").name == "mine"


def test_energy_on_the_cable_is_unavailable_with_the_reason(plugged, tmp_path):
    power = [meter for meter in described(plugged, tmp_path).meters if meter.unit in ("W", "J")]
    assert [(one.value, "USB charges the battery" in one.reason) for one in power] == [(None, True)]
    watch = CableEnergyWatch()

    async def watched():
        await watch.start()
        return await watch.stop(None)

    reading = asyncio.run(watched())[0]
    assert (reading.name, reading.value) == ("energy_per_inference", None)


def test_what_surrounds_a_block_is_the_phones(phone, plugged):
    surroundings = plugged.surroundings()
    before = surroundings.look()
    phone.write("/sys/class/thermal/thermal_zone0/temp", "47000")
    around = surroundings.compare(before, surroundings.look(), (1_000_000,))
    readings = {reading.name: reading.value for reading in around.readings if "temperature" in reading.name}
    assert readings["cpu_temperature_before"] == 41.0
    assert readings["cpu_temperature_after"] == 47.0
    circumstances = {one.name: one.value for one in around.circumstances}
    assert circumstances["android_api_level"] == "34"
    assert circumstances["android_screen"] == "awake"
    assert around.not_valid == ""


def test_a_block_in_the_background_of_the_phone_is_not_valid(phone, plugged):
    surroundings = plugged.surroundings()
    phone.write("/proc/self/cpuset", "/background\n")
    around = surroundings.compare(surroundings.look(), surroundings.look(), ())
    assert "background cpuset" in around.not_valid
    assert "wake the phone" in around.not_valid


def test_the_gate_before_a_block_looks_at_the_phone_and_not_at_this_machine(phone, plugged):
    surroundings = plugged.surroundings()
    phone.write("/sys/class/thermal/thermal_zone0/temp", "47000")
    phone.write("/proc/stat", "cpu  100 0 50 900 0 0 0 0 0 0\n")
    before = surroundings.conditions()
    assert before.temperature_c == 47.0
    assert isinstance(before.available_bytes, int)
    assert "USB charges the battery" in before.battery
    phone.write("/proc/stat", "cpu  300 0 50 900 0 0 0 0 0 0\n")
    after = surroundings.conditions()
    assert after.processor.busy_s - before.processor.busy_s == 2.0
    assert after.processor.own_s == 0.0, "the agent's own work is not the phone's"


def test_a_phone_that_was_unplugged_tells_no_condition(phones, plugged):
    surroundings = plugged.surroundings()
    phones.unplug()
    now = surroundings.conditions()
    told = (now.temperature_c, now.processor, now.available_bytes, now.memory_stall, now.governors)
    assert all(isinstance(one, str) and one for one in told)


def test_a_phone_that_was_unplugged_has_has_no_temperature(phones, plugged):
    surroundings = plugged.surroundings()
    phones.unplug()
    assert all(reading.value is None for reading in surroundings.read_temperature())


def test_a_phone_that_was_unplugged_once_is_asked_again(phones, phone, plugged):
    surroundings = plugged.surroundings()
    phones.unplug()
    gone = {one.name: one for one in surroundings.look().circumstances}
    assert "plug it in again" in gone["android_battery_saver"].reason
    phones.plug_in_again()
    back = {one.name: one.value for one in surroundings.look().circumstances}
    assert (back["android_battery_saver"], back["android_screen"], back["android_doze"]) == ("off", "awake", "off")


@pytest.mark.parametrize(
    ("name", "then", "why"),
    [
        ("cannot_link", "exit 1", "needs a library that this phone does not have"),
        ("crash", "kill -KILL $$", "exit status 137"),
    ],
)
def test_an_agent_whose_program_does_not_start_there_says_so_at_once(phone, tmp_path, name, then, why):
    broken = Phone(phone.adb, program(tmp_path, recording(name), then=then), tmp_path / "mirror")
    with pytest.raises(AdbError, match="nothing can be measured on the phone") as caught:
        described(broken, tmp_path)
    assert why in str(caught.value)


def test_a_kill_on_the_phone_is_explained_by_its_memory_only(phone, plugged):
    assert plugged._os_killer() == "", "the phantom-process killer ends children of apps"
    phone.write("/proc/pressure/memory", "some avg10=31.20 avg60=1.00 avg300=0.10 total=1\n")
    assert "avg10=31.20" in plugged._os_killer()
    assert plugged._oom_kill_count() is None
    phone.write("/proc/vmstat", "nr_free_pages 1\noom_kill 3\n")
    assert plugged._oom_kill_count() == 3


@pytest.mark.parametrize("name", ["ro.boot.qemu", "ro.kernel.qemu"])
def test_the_emulator_of_android_is_no_phone_whose_times_count(phone, tmp_path, name):
    phone.answers[f"getprop {name}"] = "1"
    phone.save()
    emulator = Phone(phone.adb, program(tmp_path, recording("xnnpack_complete")), tmp_path / "mirror")
    device = described(emulator, tmp_path)
    assert (device.emulated_by, device.architecture) == ("the Android emulator", "aarch64")
    told = {one.name: one.value for one in emulator.surroundings().look().circumstances}
    assert told["emulated_by"] == "the Android emulator"


def test_a_device_that_is_no_android_is_refused(phone, tmp_path):
    phone.answers["getprop ro.build.version.sdk"] = ""
    phone.save()
    with pytest.raises(UsageError, match="no phone"):
        Phone(phone.adb, program(tmp_path, ""), tmp_path / "mirror")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot be read"),
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>Not Found", "is no program"),
        (b"\x7fELF\x02\x01\x01", "is cut off"),
        (elf_program(machine=ARM64, interpreter="/lib/ld-linux-aarch64.so.1"), "made for desktop Linux"),
        (elf_program(machine=X86_64), "made for x86_64, and this phone runs arm64-v8a"),
        (elf_program(machine=ARM, is_64=False), "made for armeabi-v7a"),
    ],
)
def test_a_missing_program_is_named_before_anything_is_done(phone, tmp_path, content, why):
    phone.answers["getprop ro.product.cpu.abilist"] = "arm64-v8a"
    phone.save()
    binary = tmp_path / "benchmark_model"
    if content is not None:
        binary.write_bytes(content)
    with pytest.raises(UsageError, match=why) as caught:
        Phone(phone.adb, binary, tmp_path / "mirror")
    assert "--benchmark-binary" in str(caught.value)


@pytest.mark.parametrize("abis", ["arm64-v8a", "arm64-v8a,armeabi-v7a,armeabi", ""])
def test_a_program_for_the_phones_processor_is_taken_also_by_a_phone_that_does_not_tell_it(phone, tmp_path, abis):
    phone.answers["getprop ro.product.cpu.abilist"] = abis
    phone.save()
    for interpreter in ("/system/bin/linker64", ""):
        binary = tmp_path / "benchmark_model"
        binary.write_bytes(elf_program(machine=ARM64, interpreter=interpreter))
        assert Phone(phone.adb, binary, tmp_path / "mirror").serial == SERIAL


def test_every_phone_has_a_state_directory_of_its_own():
    root = Path("/state")
    assert state_folder(root, SERIAL) == root / "adb" / SERIAL
    network = [state_folder(root, serial).name for serial in ("192.168.1.5:5555", "192.168.1.5_5555")]
    assert network[0] != network[1]
    assert "/" not in state_folder(root, "../../etc").name
    for serial in ("..", ".", "x" * 1000, "\x1b[2J"):
        folder = state_folder(root, serial)
        assert folder.parent == root / "adb"
        assert folder.name.strip(".")
        assert len(folder.name) < 255
    assert phone_name("SM-G991B", "x") == "sm-g991b"
    assert phone_name("", "SERIAL") == "SERIAL"


def options(*words):
    return build_parser().parse_args(["run", "--controller", "127.0.0.1:1", *words])


def test_the_command_line_names_a_phone_and_its_program(phones, phone):
    environment = {"PATH": str(phones.program.parent)}
    assert connected_phone(options(), environment) is None
    adb = connected_phone(options("--adb", "--benchmark-binary", "b"), environment)
    assert adb is not None
    assert adb.serial == SERIAL
    assert connected_phone(options("--adb", SERIAL, "--benchmark-binary", "b"), environment).serial == SERIAL
    for half in (("--adb",), ("--benchmark-binary", "b")):
        with pytest.raises(UsageError, match="needs both"):
            connected_phone(options(*half), environment)
    assert isinstance(options(), argparse.Namespace)


def test_the_parts_of_its_agent_are_those_of_any_device(plugged, tmp_path):
    state = open_state_directory(tmp_path / "state")
    try:
        served = ServedControllers(address=parse_controller_address("127.0.0.1:7433"))
        parts = asyncio.run(phone_parts(plugged, served, state, "pixel"))
        assert parts.description.name == "pixel"
        assert parts.boot_id == "6f6a1d0e-5f0c-4b8e-9a52-0a7c6a4f3b11"
        assert parts.rounds.run_block is plugged.run_block
        assert parts.free_bytes(tmp_path) > 0
    finally:
        state.close()

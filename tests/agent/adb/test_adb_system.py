from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.adb.adb import AdbError
from steelyard_agent.adb.system import PhoneFiles, parse_listing
from steelyard_agent.meters.sysfs import NumberFile, SourceError, list_names, read_text

ZONE = "/sys/class/thermal/thermal_zone0/temp"


@pytest.fixture
def files(phone, tmp_path):
    made = PhoneFiles(phone.adb, tmp_path / "mirror")
    made.refresh()
    return made


def test_every_file_is_read_by_one_command(phones, files):
    before = len(phones.calls("shell"))
    files.refresh()
    assert len(phones.calls("shell")) == before + 1
    assert read_text(files.system, ZONE) == "41000"
    assert list_names(files.system, "/sys/class/thermal") == (["thermal_zone0"], "")


def test_a_meter_that_keeps_its_file_open_sees_what_the_phone_says_now(phone, files):
    number = NumberFile(files.system, ZONE)
    assert number.read() == 41000
    phone.write(ZONE, "43500\n")
    assert number.read() == 41000
    files.refresh()
    assert number.read() == 43500
    number.close()


def test_a_file_that_is_gone_is_empty_until_it_comes_back(phone, files):
    number = NumberFile(files.system, ZONE)
    number.read()
    (phone.root / ZONE.lstrip("/")).unlink()
    files.refresh()
    with pytest.raises(SourceError, match="is empty"):
        number.read()
    phone.write(ZONE, "40000")
    files.refresh()
    assert number.read() == 40000
    number.close()


def test_a_file_that_the_phone_denies_is_denied_here(files):
    files._take({}, {ZONE: "Permission denied", "/proc/vmstat": "Invalid argument"})
    with pytest.raises(SourceError, match="permission denied"):
        read_text(files.system, ZONE)
    with pytest.raises(SourceError, match="Invalid argument"):
        read_text(files.system, "/proc/vmstat")


def test_nothing_old_is_left_when_the_phone_is_forgotten(files):
    files.forget()
    assert read_text(files.system, ZONE) == ""


def test_this_machine_is_not_taken_for_the_phone(files):
    assert read_text(files.system, "/proc/sys/kernel/arch") == "aarch64"
    assert read_text(files.system, "/proc/sys/kernel/osrelease").startswith("5.15.110-android14")
    with pytest.raises(SourceError):
        read_text(files.system, "/etc/os-release")


def test_a_mirror_of_an_earlier_agent_is_thrown_away(phone, tmp_path):
    (tmp_path / "mirror/sys").mkdir(parents=True)
    (tmp_path / "mirror/sys/old").write_text("old")
    PhoneFiles(phone.adb, tmp_path / "mirror").refresh()
    assert not (tmp_path / "mirror/sys/old").exists()


def test_programs_of_the_phone_answer_and_others_are_not_asked_for(phones, phone, files):
    ask = files.system.run_command
    assert ask(("getprop", "ro.product.model")).text == "Pixel 8"
    calls = len(phones.calls("shell"))
    assert ask(("vcgencmd", "get_throttled")).reason == "the program vcgencmd is not installed there"
    assert len(phones.calls("shell")) == calls
    phone.answers["settings get global low_power"] = "!cmd: Failure calling service settings"
    phone.save()
    assert "Failure calling service" in ask(("settings", "get", "global", "low_power")).reason
    assert "status 127" in ask(("dumpsys", "nothing")).reason


def test_a_phone_that_is_gone_gives_reasons_and_errors(phones, files):
    phones.unplug()
    assert "plug it in again" in files.system.run_command(("getprop", "x")).reason
    with pytest.raises(AdbError):
        files.refresh()


def test_a_listing_is_read_line_by_line():
    text = (
        "/proc/self/cpuset:/foreground\n"
        "/proc/cpuinfo:processor\t: 0\n"
        "/proc/cpuinfo:\n"
        "grep: /sys/class/thermal/thermal_zone9/temp: Invalid argument\n"
        "grep: /sys/nothing: No such file or directory\n"
        "grep: /sys/devices/system/cpu/cpufreq/policy0/stats: Is a directory\n"
        "something else\n"
    )
    contents, refused = parse_listing(text)
    assert contents == {"/proc/self/cpuset": "/foreground\n", "/proc/cpuinfo": "processor\t: 0\n\n"}
    assert refused == {"/sys/class/thermal/thermal_zone9/temp": "Invalid argument"}


@given(st.text())
def test_no_listing_leads_out_of_the_mirror(text):
    contents, refused = parse_listing(f"/proc/../{text}\n/sys/{text}\n{text}")
    for path in (*contents, *refused):
        assert path.startswith(("/proc/", "/sys/"))
        assert ".." not in path.split("/")
        assert os.path.normpath(path) == path

from __future__ import annotations

import pytest

from steelyard_agent.surroundings.android_killers import find_os_killer
from tests.support.fake_sysfs import load_tree

CALM = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
SHORT = "some avg10=42.17 avg60=9.10 avg300=2.00 total=99\n"
PHANTOMS = "settings get global settings_enable_monitor_phantom_procs"


@pytest.fixture
def termux(tmp_path):
    return load_tree("pixel_8", tmp_path)


def test_a_machine_that_is_no_android_gives_no_evidence(tmp_path):
    tree = load_tree("n100", tmp_path)
    tree.write("/proc/pressure/memory", SHORT)
    assert find_os_killer(tree.system) == ""


def test_this_machine_is_asked_when_nothing_else_is_named():
    assert find_os_killer() == ""


def test_memory_pressure_speaks_for_the_low_memory_killer(termux):
    termux.write("/proc/pressure/memory", SHORT)
    assert find_os_killer(termux.system) == "Android's low-memory killer (some avg10=42.17 in /proc/pressure/memory)"


def test_little_memory_left_beside_lmkd_speaks_for_it_as_well(termux):
    termux.write("/proc/meminfo", "MemTotal: 8000000 kB\nMemAvailable: 500000 kB\n")
    assert "phantom" in find_os_killer(termux.system), "without lmkd it says nothing"
    termux.commands["getprop init.svc.lmkd"] = "running"
    assert find_os_killer(termux.system) == "Android's low-memory killer (488 of 7812 MiB left beside a running lmkd)"


def test_a_new_android_that_may_kill_phantoms_is_suspected(termux):
    termux.write("/proc/pressure/memory", CALM)
    assert find_os_killer(termux.system) == (
        "Android's phantom-process killer (API level 34, and it is not known to be switched off)"
    )
    termux.commands[PHANTOMS] = "true"
    assert "it is switched on" in find_os_killer(termux.system)


@pytest.mark.parametrize("setting", ["false", "old"])
def test_an_android_that_kills_no_phantoms_is_not_suspected(termux, setting):
    if setting == "false":
        termux.commands[PHANTOMS] = "false"
    else:
        termux.commands["getprop ro.build.version.sdk"] = "30"
    assert find_os_killer(termux.system) == ""


def test_a_program_that_no_app_started_is_no_phantom(termux):
    assert find_os_killer(termux.system, kills_phantoms=False) == ""

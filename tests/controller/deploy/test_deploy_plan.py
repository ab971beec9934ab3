"""Plans, from facts as devices told them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from steelyard.deploy.dependencies import agent_requirements, download_command, wheel_platforms
from steelyard.deploy.errors import UnfitDeviceError
from steelyard.deploy.installed import Installed, parse_installed
from steelyard.deploy.layout import Layout, ServiceKind, system_layout, user_layout
from steelyard.deploy.plan import Plan, Wishes, make_plan
from steelyard.deploy.probe import DeviceFacts, Interpreter, parse_facts

RASPBERRY_PI_5 = """\
machine=aarch64
host=raspberrypi
home=/home/pi
uid=1000
login=pi
libc=glibc 2.36
root=sudo
system_state=degraded
user_state=running
group=video
group=render
group=i2c
group=gpio
path=/dev/vcio
free_kib=20000000
python=3 11 64 bare /usr/bin/python3.11
python=3 11 64 bare /usr/bin/python3
internet=no
"""
WHEEL = "steelyard-0.1.0-py3-none-any.whl"


def facts() -> DeviceFacts:
    return parse_facts(RASPBERRY_PI_5)


def plan_of(device: DeviceFacts, **wished: str | bool) -> Plan:
    return make_plan(device, Wishes(**wished), label="0.1.0-0123456789", wheel_name=WHEEL)  # type: ignore[arg-type]


def test_a_raspberry_pi_gets_a_service_with_the_groups_that_it_has() -> None:
    plan = plan_of(facts(), name="pi5")
    assert plan.layout == system_layout()
    assert plan.as_root
    assert plan.is_offline
    assert plan.requirement == f"{WHEEL}[onnxruntime]"
    assert "SupplementaryGroups=video render i2c gpio" in plan.unit
    assert "User=steelyard" in plan.unit
    assert plan.privileges.rules == ""
    text = "\n".join(plan.lines(Installed()))
    for said in ("/opt/steelyard/versions", "/etc/systemd/system/steelyard-agent.service", "member of video", "'pi5'"):
        assert said in text


def test_a_second_run_says_what_runs_now_and_that_a_device_of_ours_stays_one() -> None:
    there = parse_installed("label 0.0.9-aa\ndevice 55fb0b5c-fed0\njoined 510c\njoined 77aa\n")
    assert there == Installed(label="0.0.9-aa", device_id="55fb0b5c-fed0", controller_ids=("510c", "77aa"))
    text = "\n".join(plan_of(facts()).lines(there))
    assert "beside 0.0.9-aa, which runs now" in text
    assert "unless it is a device of this controller already" in text
    again = plan_of(facts())
    assert "it is there already" in "\n".join(again.lines(Installed(label=again.label)))
    assert parse_installed("") == Installed()


def test_energy_counters_are_opened_by_a_rule_that_the_plan_names() -> None:
    plan = plan_of(replace(facts(), machine="x86_64", paths=("/sys/class/powercap",)))
    assert 'RUN+="/bin/chgrp steelyard /sys%p/energy_uj"' in plan.privileges.rules
    assert any("CVE-2020-8694" in line for line in plan.lines(Installed()))
    assert any(line.startswith("write /etc/udev/rules.d/") for line in plan.lines(Installed()))


def test_without_sudo_the_agent_is_a_users_own() -> None:
    plan = plan_of(replace(facts(), root="none"))
    assert plan.layout == user_layout("/home/pi", has_systemd=True)
    assert not plan.as_root
    assert plan.user == "pi"
    assert "User=" not in plan.unit
    assert "ProtectSystem" not in plan.unit
    assert "WantedBy=default.target" in plan.unit
    assert any("enable-linger" in line for line in plan.lines(Installed()))


def test_without_any_systemd_it_is_a_process_that_a_reboot_ends_and_the_plan_says_so() -> None:
    plan = plan_of(replace(facts(), root="none", has_user_systemd=False))
    assert plan.layout.kind is ServiceKind.PROCESS
    assert plan.unit == ""
    assert any("reboot" in line for line in plan.lines(Installed()))


def test_a_32_bit_board_takes_numpy_and_tflite_runtime_from_its_system() -> None:
    board = Interpreter(path="/usr/bin/python3.11", version=(3, 11), bits=32, has_pip=True)
    plan = plan_of(replace(facts(), interpreters=(board,)))
    assert plan.uses_system_packages
    assert plan.runtime == "tflite-runtime"
    assert plan.requirement == WHEEL
    assert not any(text.startswith("numpy") for text in agent_requirements(board, has_system_numpy=True))
    assert wheel_platforms(facts(), board)[-1] == "linux_armv7l"


@pytest.mark.parametrize("minor", [10, 11, 12, 13, 14])
def test_every_supported_python_is_taken(minor: int) -> None:
    one = Interpreter(path="/usr/bin/python3", version=(3, minor), bits=64, has_pip=True)
    assert plan_of(replace(facts(), interpreters=(one,))).interpreter is one


@pytest.mark.parametrize("minor", [9, 15])
def test_another_python_is_refused_by_name(minor: int) -> None:
    one = Interpreter(path="/usr/bin/python3", version=(3, minor), bits=64, has_pip=True)
    with pytest.raises(UnfitDeviceError, match=rf"found: 3\.{minor}") as refused:
        plan_of(replace(facts(), interpreters=(one,)))
    assert refused.value.reason == "no_python"


def test_a_full_disk_and_a_missing_systemd_are_refused() -> None:
    with pytest.raises(UnfitDeviceError) as full:
        plan_of(replace(facts(), free_bytes=2**20))
    assert full.value.reason == "disk_too_small"
    with pytest.raises(UnfitDeviceError, match="--user") as bare:
        plan_of(replace(facts(), has_systemd=False))
    assert bare.value.reason == "no_systemd"


@pytest.mark.parametrize(
    ("wished", "reason"),
    [
        ({"service_user": "root; rm"}, "invalid_user"),
        ({"service_user": ""}, "invalid_user"),
        ({"name": "a\nExecStart=x"}, "invalid_name"),
        ({"root": "relative"}, "invalid_root"),
    ],
)
def test_wishes_that_no_device_could_meet_are_refused(wished: dict[str, str], reason: str) -> None:
    with pytest.raises(UnfitDeviceError) as refused:
        Wishes(**wished)
    assert refused.value.reason == reason


@pytest.mark.parametrize("path", ["/", "/opt", "opt/steelyard", "/opt/../etc"])
def test_no_layout_ever_names_a_folder_that_others_have(path: str) -> None:
    with pytest.raises(ValueError, match="no folder"):
        Layout(kind=ServiceKind.PROCESS, prefix=path, state="/var/lib/x", unit="", rules="")


def test_wheels_of_an_older_c_library_fit_and_of_a_newer_one_do_not() -> None:
    interpreter = facts().interpreter
    assert interpreter is not None
    tags = wheel_platforms(facts(), interpreter)
    assert "manylinux_2_28_aarch64" in tags
    assert "manylinux2014_aarch64" in tags
    assert not any("2_39" in tag for tag in tags)


def test_pip_is_asked_for_the_devices_python_and_the_marker_of_an_older_one_is_heeded() -> None:
    from pathlib import Path

    old = Interpreter(path="/usr/bin/python3", version=(3, 10), bits=64, has_pip=True)
    assert any(text.startswith("tomli") for text in agent_requirements(old, has_system_numpy=False))
    command = download_command(["grpcio"], Path("w"), platforms=("linux_aarch64",), interpreter=old)
    assert command[command.index("--python-version") + 1] == "3.10"
    assert command[command.index("--platform") + 1] == "linux_aarch64"
    assert command[-1] == "grpcio"


def test_another_c_library_and_an_unknown_processor_are_sentences() -> None:
    interpreter = facts().interpreter
    assert interpreter is not None
    with pytest.raises(UnfitDeviceError, match="C library"):
        wheel_platforms(replace(facts(), glibc=None), interpreter)
    with pytest.raises(UnfitDeviceError, match="riscv64"):
        wheel_platforms(replace(facts(), machine="riscv64"), interpreter)


def test_strange_answers_of_a_probe_are_refused() -> None:
    with pytest.raises(ValueError, match="interpreter"):
        parse_facts(RASPBERRY_PI_5 + "python=three\n")
    with pytest.raises(KeyError):
        parse_facts("machine=x\n")

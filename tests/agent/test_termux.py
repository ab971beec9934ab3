"""The agent as Termux would run it: sys.platform says "android", /proc/stat is denied, psutil cannot be imported."""

from __future__ import annotations

import ctypes
import os
import re
import shlex
import subprocess
import sys
from importlib import import_module, metadata
from pathlib import Path

import pytest

from steelyard_agent import block_runner, commands, memory_watch
from steelyard_agent.block_runner import run_block
from steelyard_agent.boot_id import read_boot_id
from steelyard_agent.cli import main
from steelyard_agent.description import describe_device
from steelyard_agent.worker import birth
from steelyard_agent.worker.block import KIND_PROBE, Block
from steelyard_agent.worker.ending import Answer, Evidence, explain_end
from steelyard_agent.worker.failure import BlockStatus
from steelyard_agent.worker.platforms import has_linux_kernel
from tests.support.fake_sysfs import FakeSysfs, load_tree
from tests.support.models import linear_model


@pytest.fixture
def android(monkeypatch):
    monkeypatch.setattr(sys, "platform", "android")
    # As with a psutil that does not know the platform: importing it raises.
    monkeypatch.setitem(sys.modules, "psutil", None)


@pytest.mark.parametrize(("platform", "linux"), [("linux", True), ("android", True), ("darwin", False)])
def test_android_has_a_linux_kernel(monkeypatch, platform, linux):
    monkeypatch.setattr(sys, "platform", platform)
    assert has_linux_kernel() is linux


def test_the_kernel_ends_workers_on_android_too(android, monkeypatch):
    asked = []

    class Library:
        def prctl(self, *arguments):
            asked.append(arguments)

    monkeypatch.setattr(ctypes, "CDLL", lambda _name: Library())
    birth.die_with_supervisor({birth.SUPERVISOR_VARIABLE: str(os.getppid())})
    assert asked == [(1, 9, 0, 0, 0)]
    assert birth.watch_stdin() is None


def test_a_phone_is_described_without_psutil(android, tmp_path):
    tree = load_tree("pixel_8", tmp_path)
    tree.deny("/proc/stat")
    device = describe_device(tree.system, name="phone", device_id="d")
    assert device.operating_system == "Android 14"
    assert device.memory_bytes == 7825416 * 1024


def test_a_boot_has_a_name_without_any_file(android, tmp_path):
    tree = FakeSysfs(tmp_path)
    assert read_boot_id(tree.system).startswith("booted-at-")
    assert describe_device(tree.system, name="phone", device_id="d").memory_bytes > 0


def test_memory_that_is_denied_sets_no_limit(android, monkeypatch, tmp_path):
    def deny(_path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(memory_watch.Path, "read_text", deny)
    assert memory_watch.default_limit_bytes(tmp_path) is None
    assert memory_watch.resident_bytes(1, tmp_path) is None


async def test_a_worker_starts_and_answers(android, tmp_path):
    block = Block(kind=KIND_PROBE, runtime_name="nothing-of-this-name")
    outcome = await run_block(block, timeout_s=60.0, memory_limit_bytes=None, work_dir=tmp_path)
    assert outcome.status is BlockStatus.RUNTIME_MISSING


def test_the_supervisor_needs_no_psutil_to_be_imported():
    script = "import sys; sys.modules['psutil'] = None; import steelyard_agent.cli.run, steelyard_agent.doctor"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_androids_own_programs_are_found_and_run_without_termuxs_libraries(monkeypatch, tmp_path):
    folder = tmp_path / "system" / "bin"
    folder.mkdir(parents=True)
    program = folder / "getprop"
    program.write_text('#!/bin/sh\necho "$1 [$LD_PRELOAD]"\n')
    program.chmod(0o755)
    monkeypatch.setattr(commands, "_ANDROID_FOLDER", str(folder))
    monkeypatch.setenv("LD_LIBRARY_PATH", "/data/data/com.termux/files/usr/lib")
    assert commands.run_program(("getprop", "ro.build.version.sdk")).text == "ro.build.version.sdk []"


def killed(**evidence):
    return explain_end(Answer(), Evidence(return_code=-9, **evidence))


def test_a_kill_has_a_status_by_its_evidence():
    killer = "Android's phantom-process killer (API level 34, and it is switched on)"
    outcome = killed(os_killer=killer)
    assert (outcome.status, outcome.reason) == (BlockStatus.KILLED_BY_OS, "killed_by_os")
    assert killer in outcome.message
    assert "docs/phones.md" in outcome.message
    assert killed().status is BlockStatus.KILLED_UNKNOWN
    assert killed(os_killer=killer, oom_kill_count=1).status is BlockStatus.OUT_OF_MEMORY
    assert killed(os_killer=killer, timeout_s=3.0).status is BlockStatus.TIMEOUT
    crash = explain_end(Answer(), Evidence(return_code=-11, os_killer=killer))
    assert crash.status is BlockStatus.CRASHED


async def test_only_a_kill_that_is_not_ours_is_looked_into(monkeypatch, tmp_path):
    asked = []

    def find():
        asked.append(1)
        return "Android's low-memory killer (planted)"

    monkeypatch.setattr(block_runner, "find_os_killer", find)
    block = Block(kind=KIND_PROBE, runtime_name="x")
    killing = tmp_path / "python"
    killing.write_text("#!/bin/sh\nkill -KILL $$\n")
    killing.chmod(0o755)
    outcome = await run_block(block, timeout_s=60.0, memory_limit_bytes=None, python=killing, work_dir=tmp_path)
    assert outcome.status is BlockStatus.KILLED_BY_OS
    assert len(asked) == 1
    hanging = tmp_path / "hanging"
    hanging.write_text("#!/bin/sh\nexec sleep 60\n")
    hanging.chmod(0o755)
    outcome = await run_block(block, timeout_s=0.3, memory_limit_bytes=None, python=hanging, work_dir=tmp_path)
    assert outcome.status is BlockStatus.TIMEOUT
    assert len(asked) == 1


def test_the_documented_command_installs_all_that_the_base_install_and_grpcio_ask_for():
    repository = Path(__file__).parents[2]
    listed = (repository / "pyproject.toml").read_text().partition("\ndependencies = [\n")[2].partition("\n]")[0]
    # Termux ships a Python newer than 3.10, which is all that tomli is for.
    lines = [line.strip(' "') for line in listed.splitlines() if "python_version" not in line]
    needed = [re.match(r'([a-z-]+)(\S*)"', line) for line in lines]
    text = (repository / "docs/phones.md").read_text()
    packages = set(re.search(r"pkg install -y ([^&]+) &&", text)[1].split())
    wheels = set(shlex.split(re.search(r"\n  pip install (?!--)([^&]+) &&", text)[1]))
    assert len(needed) == 4
    for name, version in (match.groups() for match in needed):
        assert f"python-{name}" in packages or f"{name}{version}" in wheels, name
    # --no-deps leaves out what those of Termux need as well.
    assert any(one.startswith("typing-extensions") for one in metadata.requires("grpcio"))
    assert "typing-extensions" in wheels
    assert {"python", "python-pip", "python-onnxruntime"} <= packages


@pytest.mark.parametrize("moved_after_launches", [0, 1])
def test_figures_of_the_background_are_not_shown(monkeypatch, tmp_path, capsys, moved_after_launches):
    tree = load_tree("pixel_8", tmp_path / "tree")
    looks = []

    def system():
        looks.append(len(looks))
        if len(looks) > moved_after_launches:
            tree.write("/proc/self/cpuset", "/background\n")
        return tree.system

    monkeypatch.setattr(import_module("steelyard_agent.cli.measure"), "this_system", system)
    assert main(["measure", str(linear_model(tmp_path / "model.onnx")), "--rounds", "1"]) == 4
    said = capsys.readouterr()
    assert said.out == ""
    assert "background cpuset: bring Termux to the foreground" in said.err

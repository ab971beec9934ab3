"""A phone for tests: a folder that ``fake_adb`` takes for one, and programs for it that print recordings."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

from steelyard_agent.adb.adb import Adb
from tests.support.fake_sysfs import FIXTURES, load_manifest

RECORDINGS = FIXTURES / "benchmark_model"
SERIAL = "1A2B3C4D"


class FakePhones:
    """A folder of phones and the adb that sees them; ``environment`` is what the agent has to run under."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.states: dict[str, str] = {}
        self.program = home / "bin" / "adb"
        self.program.parent.mkdir(parents=True)
        source = Path(__file__).with_name("fake_adb.py")
        self.program.write_text(f'#!/bin/sh\nFAKE_ADB="{home}" exec "{sys.executable}" -I -S "{source}" "$@"\n')
        self.program.chmod(0o755)

    def add(self, serial: str = SERIAL, state: str = "device") -> FakePhone:
        """Plug a phone in."""
        self.states[serial] = state
        (self.home / "phones.json").write_text(json.dumps(self.states))
        return FakePhone(self, serial)

    def unplug(self, serial: str = SERIAL) -> None:
        del self.states[serial]
        (self.home / "phones.json").write_text(json.dumps(self.states))

    def plug_in_again(self, serial: str = SERIAL) -> None:
        """Plug in a phone that was there before, with all that is on it."""
        self.states[serial] = "device"
        (self.home / "phones.json").write_text(json.dumps(self.states))

    def calls(self, verb: str) -> list[list[str]]:
        """Return the arguments of every call of a verb so far."""
        lines = (self.home / "calls.log").read_text("utf-8").splitlines()
        return [call for call in map(json.loads, lines) if verb in call]


class FakePhone:
    """One phone; ``root`` is its file system."""

    def __init__(self, phones: FakePhones, serial: str, family: str = "pixel_8") -> None:
        self.phones = phones
        self.serial = serial
        self.root = phones.home / serial
        manifest = load_manifest(family)
        self.answers: dict[str, str] = dict(manifest["commands"])
        (self.root / "data" / "local" / "tmp").mkdir(parents=True)
        for absolute, text in manifest["files"].items():
            self.write(absolute, text)
        for absolute, target in manifest.get("links", {}).items():
            link = self.root / absolute.lstrip("/")
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(self.root / target.lstrip("/"))
        # The adb shell may ask what an app may not.
        self.answers |= {
            "uname -m": "aarch64",
            "uname -r": "5.15.110-android14-11-ga6d7915820a0-ab10726252",
            "settings get global low_power": "0",
            "settings get global settings_enable_monitor_phantom_procs": "null",
            "device_config get activity_manager max_phantom_processes": "null",
            "dumpsys power": "POWER MANAGER (dumpsys power)\n  mWakefulness=Awake\n  mWakefulnessChanging=false",
            "dumpsys deviceidle get deep": "ACTIVE",
        }
        self.save()

    @property
    def adb(self) -> Adb:
        return Adb(str(self.phones.program), self.serial)

    @property
    def stored(self) -> set[str]:
        """The names of the files that we keep on the phone."""
        folder = self.root / "data/local/tmp/steelyard"
        return {path.name for path in folder.iterdir()} if folder.is_dir() else set()

    def write(self, absolute: str, text: str) -> None:
        path = self.root / absolute.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def save(self) -> None:
        (self.root / "answers.json").write_text(json.dumps(self.answers))


def recording(name: str) -> str:
    """Return a recorded output without the comment that says where it is from."""
    text = (RECORDINGS / f"{name}.txt").read_text("utf-8")
    head, _, output = text.partition("----\n")
    assert head.startswith("# Source: "), f"{name} does not say where it is from"
    return output


def program(folder: Path, output: str, *, then: str = "", name: str = "benchmark_model") -> Path:
    """Write a benchmark program that prints ``output``; ``then`` is what its shell does next ("exit 1")."""
    path = folder / name
    said = folder / f"{name}.output"
    said.write_text(output)
    path.write_text(f"#!/bin/sh\ncat {shlex.quote(str(said))}\n{then}\n")
    return path

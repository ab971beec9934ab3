"""A phone on a cable as a device: who it is, what it is surrounded by, and why it has no energy."""

from __future__ import annotations

import hashlib
import logging
import re
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from steelyard_agent.adb.adb import Adb, AdbError
from steelyard_agent.adb.binary import RUNTIME_NAME
from steelyard_agent.adb.elf import ElfProgram, read_elf
from steelyard_agent.adb.runner import PhoneRunner
from steelyard_agent.adb.system import PhoneFiles
from steelyard_agent.boot_id import read_boot_id
from steelyard_agent.description import DeviceDescription, describe_device
from steelyard_agent.emulation import find_android_emulator
from steelyard_agent.errors import UsageError
from steelyard_agent.jobs.probing import probe_runtimes
from steelyard_agent.meters.contract import System
from steelyard_agent.readings import Kind, Reading, Scope, unavailable
from steelyard_agent.sampler.reading import ENERGY_NAME
from steelyard_agent.surroundings.android import AndroidCircumstances
from steelyard_agent.surroundings.android_facts import api_level
from steelyard_agent.surroundings.android_killers import find_os_killer
from steelyard_agent.surroundings.contract import BlockSurroundings
from steelyard_agent.surroundings.device import DeviceSurroundings
from steelyard_agent.surroundings.emulated import EmulatedProcessor
from steelyard_agent.validity.conditions import Conditions, DeviceConditions
from steelyard_agent.worker.block import WorkerResult
from steelyard_agent.worker.ending import oom_kill_count

_log = logging.getLogger(__name__)

NO_ENERGY = (
    "on the cable USB charges the battery, so that its current says nothing about a model; unplug the phone and run "
    "the agent in Termux"
)
_NO_CHARGE = "on the cable USB charges the battery; run the agent in Termux to hold a phone to its charge"
# A file name has 255 bytes at most, and a digest follows.
_LONGEST_FOLDER = 100
_WAKE_PHONE = "wake the phone, unlock it and run again"


class Phone:
    """One phone, its files mirrored in ``folder``; its adb commands block for tens of milliseconds each."""

    def __init__(self, adb: Adb, binary: Path, folder: Path) -> None:
        """Read the phone's files once.

        Raises:
            AdbError: The phone is gone.
            UsageError: The device is no Android, or ``binary`` is no program for it.
        """
        program = _android_program(binary)
        self.serial = adb.serial
        self._files = PhoneFiles(adb, folder)
        self._files.refresh()
        self.system = self._files.system
        if api_level(self.system) is None:
            raise UsageError("no_android", f"device {adb.serial} does not tell an Android API level; it is no phone")
        if program is not None:
            _refuse_other_processors(binary, program, self.system)
        self._emulated_by = find_android_emulator(self.system)
        self.run_block = PhoneRunner(adb, binary, os_killer=self._os_killer, oom_kill_count=self._oom_kill_count)

    async def describe(self, *, name: str, device_id: str, work_folder: Path) -> DeviceDescription:
        """Return who the phone is; sends the benchmark program and sees that it starts.

        Raises:
            AdbError: It does not start there: an agent without it is good for nothing.
        """
        runtimes = await probe_runtimes((RUNTIME_NAME,), run_block=self.run_block, work_folder=work_folder)
        if reason := runtimes[0].reason:
            raise AdbError("no_benchmark_program", f"nothing can be measured on the phone {self.serial}: {reason}")
        device = describe_device(self.system, name=name, device_id=device_id, runtimes=runtimes)
        meters = tuple(meter for meter in device.meters if meter.unit not in ("W", "J"))
        return replace(
            device,
            name=name or phone_name(device.model, self.serial),
            # No Python runs there.
            python_version="",
            emulated_by=self._emulated_by,
            meters=(*meters, _no_energy("power", "W")),
            least_energy_window_ms=None,
        )

    def boot_id(self) -> str:
        """Return a text that changes with every boot of the phone, as far as it tells."""
        return read_boot_id(self.system)

    def surroundings(self) -> PhoneSurroundings:
        """Return what is looked at around blocks."""
        return PhoneSurroundings(self._files, self._emulated_by)

    def _oom_kill_count(self) -> int | None:
        self._files.refresh()
        return oom_kill_count(self.system.path("/proc/vmstat"))

    def _os_killer(self) -> str:
        """Look for memory pressure only: the phantom-process killer ends children of apps, not of the adb shell."""
        self._files.refresh()
        return find_os_killer(self.system, kills_phantoms=False)


class PhoneSurroundings:
    """The surroundings of a phone's blocks: its files are read again, by one command, before each look.

    Looks and heartbeats come from threads of their own and share the mirror: one at a time.
    """

    def __init__(self, files: PhoneFiles, emulated_by: str = "") -> None:
        self._files = files
        self._turn = threading.Lock()
        self._conditions = DeviceConditions(files.system, is_ours=False)
        android = AndroidCircumstances(files.system, next_step=_WAKE_PHONE)
        self._inner = DeviceSurroundings(files.system, sources=(android, EmulatedProcessor(emulated_by)))

    def read_temperature(self) -> list[Reading]:
        """Return the temperatures alone, for heartbeats."""
        with self._turn:
            self._refresh()
            return self._inner.read_temperature()

    def look(self) -> object:
        """Look now."""
        with self._turn:
            self._refresh()
            return self._inner.look()

    def conditions(self) -> Conditions:
        """Look at what the gate before a block wants to know."""
        with self._turn:
            self._refresh()
            return replace(self._conditions.look(), battery=_NO_CHARGE)

    def compare(self, before: object, after: object, latency_ns: Sequence[int]) -> BlockSurroundings:
        """Return what two looks say about the block between them; one summed-up value says nothing about a trend."""
        return self._inner.compare(before, after, latency_ns)

    def _refresh(self) -> None:
        try:
            self._files.refresh()
        except AdbError as error:
            # The block beside this look says that the phone is gone; here, nothing old may pass for new.
            _log.warning("the phone's files cannot be read: %s", error)
            self._files.forget()


class CableEnergyWatch:
    """Stands where a phone on a cable has no energy to watch."""

    async def start(self) -> None:
        """Begin nothing."""

    async def stop(self, result: WorkerResult | None) -> list[Reading]:
        """Return why there is no energy."""
        del result
        return [_no_energy(ENERGY_NAME, "J")]


def state_folder(root: Path, serial: str) -> Path:
    """Return the state directory of one phone under the agent's: identity and leases are the phone's, not ours."""
    name = re.sub(r"[^A-Za-z0-9.-]|^[.]+", "_", serial)[:_LONGEST_FOLDER]
    if name != serial:
        # Serials of phones in the network hold colons; two of them must not meet in one name. ".." would be our own.
        name = f"{name}-{hashlib.sha256(serial.encode()).hexdigest()[:8]}"
    return root / "adb" / name


def phone_name(model: str, serial: str) -> str:
    """Return what a phone is called on the command line when nobody named it: "pixel-8"."""
    return re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-") or serial


def _no_energy(name: str, unit: str) -> Reading:
    return unavailable(name, reason=NO_ENERGY, source="adb", scope=Scope.BATTERY, unit=unit, kind=Kind.SAMPLED)


def _android_program(binary: Path) -> ElfProgram | None:
    """Return what the benchmark program is made for, None for a script.

    Raises:
        UsageError: It cannot be read, or no Android can run it.
    """
    try:
        program = read_elf(binary)
        with binary.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise _no_program(binary, f"cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise _no_program(binary, "is cut off") from error
    if not head:
        raise _no_program(binary, "is empty")
    if program is None and not head.startswith(b"#!"):
        raise _no_program(binary, f"is no program (it begins with {head!r})")
    if program is not None and not program.is_for_android:
        # The phone would say "not found" of the program and mean its linker.
        raise _no_program(binary, f"is made for desktop Linux ({program.interpreter[:80]}), not for Android")
    return program


def _refuse_other_processors(binary: Path, program: ElfProgram, system: System) -> None:
    told = system.run_command(("getprop", "ro.product.cpu.abilist")).text
    # What the phone does not tell it is not held to; its own shell refuses the program then.
    if told and program.abi not in told.split(","):
        raise _no_program(binary, f"is made for {program.abi}, and this phone runs {told[:100]}")


def _no_program(binary: Path, what: str) -> UsageError:
    return UsageError(
        "no_benchmark_binary",
        f"the benchmark program {str(binary)!r} {what}; --benchmark-binary names the benchmark_model for this phone, "
        "such as android_aarch64_benchmark_model",
    )

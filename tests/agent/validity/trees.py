"""A device whose heat, load, memory, battery and governor a test turns by hand, under a clock that it moves."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from steelyard_agent.validity.admission import Admission, ConditionGate
from steelyard_agent.validity.conditions import DeviceConditions
from steelyard_agent.validity.rules import GateRules
from tests.support.fake_sysfs import FakeClock, FakeSysfs

ZONE = "/sys/class/thermal/thermal_zone0"
BATTERY = "/sys/class/power_supply/BAT0"
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Tree:
    """A Pi with a battery; ``after(seconds)`` is what happens while the gate sleeps, by default nothing."""

    def __init__(self, root: Path) -> None:
        self.clock = FakeClock()
        self.sysfs = FakeSysfs(root, self.clock)
        self.others_s = self.own_s = 0.0
        self.sysfs.write(f"{ZONE}/type", "cpu-thermal\n")
        self.heat(45.0)
        self.work()
        self.memory(2048)
        self.stall(0.0)
        self.battery(80)
        self.governor("performance")
        self.told: list[str] = []
        self.slept_s = 0.0
        self.after: Callable[[float], object] = lambda _seconds: None

    def heat(self, celsius: float) -> None:
        self.sysfs.write(f"{ZONE}/temp", f"{round(1000 * celsius)}\n")

    def work(self, others_s: float = 0.0, own_s: float = 0.0) -> None:
        """Let others and the agent use so many more seconds of CPU time."""
        self.others_s += others_s
        self.own_s += own_s
        busy = round(_TICKS_PER_S * (self.others_s + self.own_s))
        self.sysfs.write("/proc/stat", f"cpu  {busy} 0 0 900000 50 0 0 7 0 0\ncpu0 {busy} 0 0 900000 50 0 0 7 0 0\n")
        own = round(_TICKS_PER_S * self.own_s)
        self.sysfs.write("/proc/self/stat", f"9 (a (b) c) S 1 1 1 0 -1 0 0 0 0 0 {own} 0 0 0 20 0 1 0 55\n")

    def memory(self, mebibytes: int) -> None:
        self.sysfs.write("/proc/meminfo", f"MemTotal: 4000000 kB\nMemAvailable:    {mebibytes * 1024} kB\n")

    def stall(self, percent: float) -> None:
        self.sysfs.write("/proc/pressure/memory", f"some avg10={percent:.2f} avg60=0.00 avg300=0.00 total=5\n")

    def battery(self, percent: int, status: str = "Discharging") -> None:
        for name, text in {"type": "Battery", "capacity": str(percent), "status": status}.items():
            self.sysfs.write(f"{BATTERY}/{name}", f"{text}\n")

    def governor(self, name: str, policy: str = "policy0", cores: str = "0 1") -> None:
        folder = f"/sys/devices/system/cpu/cpufreq/{policy}"
        self.sysfs.write(f"{folder}/scaling_governor", f"{name}\n")
        self.sysfs.write(f"{folder}/related_cpus", f"{cores}\n")

    def make_gate(self, *, counts_on: bool = True) -> ConditionGate:
        async def sleep(seconds: float) -> None:
            self.slept_s += seconds
            self.clock.now_ns += round(1e9 * seconds)
            self.after(seconds)

        return ConditionGate(DeviceConditions(self.sysfs.system).look, counts_on=counts_on, sleep=sleep)

    def pass_time(self, seconds: float) -> None:
        self.clock.now_ns += round(1e9 * seconds)

    async def admit(self, gate: ConditionGate, *, core_ids: tuple[int, ...] = (), **rules: object) -> Admission:
        async def tell(sentence: str) -> None:
            self.told.append(sentence)

        wanted = {"longest_wait_s": 600.0, **rules}
        return await gate.admit(GateRules(**wanted), core_ids=core_ids, tell=tell)  # type: ignore[arg-type]

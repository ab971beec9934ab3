"""What each family's device does during its replayed measurement, and what must come out of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from steelyard_agent.readings import Scope
from tests.agent.families.replay import LEAD_S, Trace, add_ticks
from tests.support.fake_sysfs import FakeSysfs

HWMON1 = "/sys/class/hwmon/hwmon1"
IIO = "/sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0"
RAPL = "/sys/class/powercap/intel-rapl:0"
RAPL_RANGE_UJ = 262_143_328_850
ZONE = "/sys/class/thermal/thermal_zone{}/temp"
CPUFREQ = "/sys/devices/system/cpu/cpufreq"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A trace with its answer.

    ``scope`` is that of the energy whose mean power over the window is ``mean_w``; None where there is none, and then
    ``why_no_energy`` is a part of the reason. ``throttle`` is the verdict's name, ``because`` a part of its evidence or
    of what could not be looked at. ``circumstances`` are names with their values; ``not_valid`` is a part of why the
    block is spoiled.
    """

    trace: Trace
    scope: Scope | None = None
    mean_w: float = 0.0
    why_no_energy: str = ""
    throttle: str
    because: str = ""
    circumstances: dict[str, str] = field(default_factory=dict)
    not_valid: str = ""


def ramp(low: float, high: float, window_s: float = 40.0) -> Callable[[float], float]:
    """Return a quantity that rises evenly from the start to the window's end, and its mean in the window is known."""
    end_s = LEAD_S + window_s
    return lambda seconds: low + (high - low) * min(seconds, end_s) / end_s


def mean_of(low: float, high: float, window_s: float = 40.0) -> float:
    """Return the mean of ``ramp`` over the window."""
    at = ramp(low, high, window_s)
    return (at(LEAD_S) + at(LEAD_S + window_s)) / 2


def heat(zone: int, low_c: float, high_c: float, more: Callable[[FakeSysfs, float], None] | None = None) -> Trace:
    """Return the trace of a zone that warms up, and of ``more``."""
    temperature_c = ramp(low_c, high_c)

    def drive(tree: FakeSysfs, seconds: float) -> None:
        tree.write(ZONE.format(zone), f"{round(temperature_c(seconds) * 1000)}\n")
        if more is not None:
            more(tree, seconds)

    return Trace(drive=drive)


def midway(then: Callable[[FakeSysfs], None]) -> Callable[[FakeSysfs, float], None]:
    """Return a drive that does something once in each replay, in the middle of the window."""
    done: list[bool] = []

    def drive(tree: FakeSysfs, seconds: float) -> None:
        if seconds <= LEAD_S + 20:
            done.clear()
        elif not done:
            done.append(True)
            then(tree)

    return drive


def both(*drives: Callable[[FakeSysfs, float], None]) -> Callable[[FakeSysfs, float], None]:
    """Return a drive that does all of these."""

    def drive(tree: FakeSysfs, seconds: float) -> None:
        for one in drives:
            one(tree, seconds)

    return drive


def rail(folder: str, channel: int, volts_mv: int, power_w: Callable[[float], float], step_ma: int):  # type: ignore[no-untyped-def]
    """Return a drive of an INA3221 channel: whole steps of the current."""

    def drive(tree: FakeSysfs, seconds: float) -> None:
        milliamperes = power_w(seconds) / volts_mv * 1e6
        tree.write(f"{folder}/in{channel}_input", f"{volts_mv}\n")
        tree.write(f"{folder}/curr{channel}_input", f"{round(milliamperes / step_ma) * step_ma}\n")

    return drive


def says(line: str, answer: Callable[[float], str]) -> Callable[[FakeSysfs, float], None]:
    """Return a drive of a program's answer."""

    def drive(tree: FakeSysfs, seconds: float) -> None:
        tree.commands[line] = answer(seconds)

    return drive


def flags_midway(text: str) -> Callable[[FakeSysfs, float], None]:
    return midway(lambda tree: tree.commands.update({"vcgencmd get_throttled": f"throttled={text}"}))


def write_midway(path: str, text: str) -> Callable[[FakeSysfs, float], None]:
    return midway(lambda tree: tree.write(path, text))


def pmic_answer(core_w: Callable[[float], float]) -> Callable[[float], str]:
    """Return pmic_read_adc with one rail that works, one that rests, and the input that has volts only."""

    def answer(seconds: float) -> str:
        return (
            f" VDD_CORE_A current(7)={core_w(seconds) / 0.8:.8f}A\n"
            "   3V3_SYS_A current(1)=0.30000000A\n"
            "  VDD_CORE_V volt(15)=0.80000000V\n"
            "   3V3_SYS_V volt(9)=3.30000000V\n"
            "     EXT5V_V volt(24)=5.06788000V\n"
            "      BATT_V volt(25)=3.01110800V\n"
        )

    return answer


def rapl_drive(start_uj: int, power_w: Callable[[float], float], window_s: float = 40.0):  # type: ignore[no-untyped-def]
    """Return a drive of the package's counter, which starts again at 0 on its way."""
    end_s = LEAD_S + window_s

    def drive(tree: FakeSysfs, seconds: float) -> None:
        rising = min(seconds, end_s)
        joules = (power_w(0.0) + power_w(rising)) / 2 * rising + power_w(end_s) * (seconds - rising)
        tree.write(f"{RAPL}/energy_uj", f"{(start_uj + round(joules * 1e6)) % (RAPL_RANGE_UJ + 1)}\n")

    return drive


def battery_answer(power_w: Callable[[float], float]) -> Callable[[float], str]:
    """Return what Termux:API says of a battery that discharges."""

    def answer(seconds: float) -> str:
        told = {"plugged": "UNPLUGGED", "status": "DISCHARGING", "voltage": 4000}
        return json.dumps(told | {"current": -round(power_w(seconds) / 4.0 * 1e6)})

    return answer


def _warm_pi(low_c: float, high_c: float, *more: Callable[[FakeSysfs, float], None]) -> Trace:
    return heat(0, low_c, high_c, both(*more))


BATTERY_S = 700.0
NO_SENSOR = "no sensor; looked at"

CASES = {
    "raspberry_pi_3b_plus": Case(
        trace=_warm_pi(48, 63, flags_midway("0x80008")),
        why_no_energy=NO_SENSOR,
        throttle="YES",
        because="soft temperature limit",
        circumstances={"governor": "ondemand"},
    ),
    "raspberry_pi_4b": Case(
        trace=_warm_pi(51, 68),
        why_no_energy=NO_SENSOR,
        # The flags since boot were set before: they prove nothing, and hide whether it happened again.
        throttle="UNKNOWN",
        because="since boot already",
        circumstances={"governor": "ondemand"},
    ),
    "raspberry_pi_5": Case(
        trace=_warm_pi(
            46,
            68,
            says("vcgencmd pmic_read_adc", pmic_answer(ramp(2.0, 6.0))),
            # A fan that turns faster slows nothing down.
            write_midway("/sys/class/thermal/cooling_device0/cur_state", "3"),
        ),
        scope=Scope.BOARD_RAILS,
        mean_w=mean_of(2.0, 6.0) + 0.3 * 3.3,
        throttle="NO",
        circumstances={"governor": "ondemand"},
    ),
    "raspberry_pi_zero_2w": Case(
        trace=_warm_pi(44, 60, flags_midway("0x50005")),
        why_no_energy=NO_SENSOR,
        throttle="YES",
        because="under-voltage",
    ),
    "jetson_nano_jetpack4": Case(
        trace=heat(
            1,
            41,
            96,
            lambda tree, s: tree.write(f"{IIO}/in_power0_input", f"{round(ramp(2.0, 9.0)(s) * 1000)}\n"),
        ),
        scope=Scope.MODULE,
        mean_w=mean_of(2.0, 9.0),
        throttle="YES",
        because="CPU-therm was at 96.0 C; it slows the device down from 97 C on",
        circumstances={"power_mode": "MAXN"},
    ),
    "jetson_nano_newer": Case(
        # No passive trip point, and the governor moves the clock: the kernel's cooling device tells, which rests.
        trace=heat(
            0,
            40,
            60,
            both(
                rail(HWMON1, 1, 5064, ramp(2.0, 8.0), 8),
                midway(lambda tree: add_ticks(tree, "policy0", {1_479_000: 30.0, 1_428_000: 12.0})),
            ),
        ),
        scope=Scope.MODULE,
        mean_w=mean_of(2.0, 8.0),
        throttle="NO",
    ),
    "jetson_orin_nano": Case(
        # Only the warning of a hot surface hangs on the trip point at 70 C: it slows nothing down.
        trace=heat(
            0,
            50,
            74,
            both(
                rail(HWMON1, 1, 5072, ramp(4.0, 14.0), 8),
                write_midway("/sys/class/thermal/cooling_device8/cur_state", "1"),
            ),
        ),
        scope=Scope.MODULE,
        mean_w=mean_of(4.0, 14.0),
        throttle="NO",
        circumstances={"power_mode": "15W", "governor": "schedutil"},
    ),
    "jetson_agx_orin": Case(
        trace=heat(
            0,
            50,
            60,
            both(
                rail(HWMON1, 1, 19768, ramp(5.0, 25.0), 20),
                rail(HWMON1, 2, 19768, ramp(3.0, 15.0), 20),
                rail(HWMON1, 3, 5040, ramp(5.0, 8.0), 20),
                write_midway(f"{HWMON1}/curr1_crit_alarm", "1"),
            ),
        ),
        scope=Scope.MODULE,
        mean_w=mean_of(5.0, 25.0) + mean_of(3.0, 15.0) + mean_of(5.0, 8.0),
        throttle="YES",
        because="over-current alarm of VDD_GPU_SOC",
        circumstances={"power_mode": "MAXN"},
    ),
    "pixel_8": Case(
        trace=Trace(drive=says("termux-battery-status", battery_answer(ramp(2.0, 4.0, BATTERY_S))), window_s=BATTERY_S),
        scope=Scope.BATTERY,
        mean_w=mean_of(2.0, 4.0, BATTERY_S),
        throttle="UNKNOWN",
        because="dumpsys thermalservice: permission denied",
        circumstances={"android_api_level": "34", "android_cpuset": "foreground", "android_foreground": "yes"},
    ),
    "android_generic": Case(
        trace=Trace(
            drive=midway(
                lambda tree: tree.commands.update(
                    {"dumpsys thermalservice": "IsStatusOverride: false\nThermal Status: 2\nHAL Ready: true\n"}
                )
            )
        ),
        why_no_energy="permission denied on /sys/class/power_supply/battery",
        throttle="YES",
        because="thermal status rose from NONE to MODERATE",
        circumstances={"android_cpuset": "background", "android_allowed_cores": "0-3", "android_foreground": "no"},
        not_valid="Android's background cpuset",
    ),
    "rock_5b": Case(
        trace=heat(1, 40, 84, write_midway("/sys/class/thermal/cooling_device1/cur_state", "4")),
        why_no_energy=NO_SENSOR,
        throttle="YES",
        because="cooling device cpufreq-cpu4 rose from state 0 to 4",
    ),
    "n100": Case(
        # The counter starts again at 0 in the window.
        trace=heat(1, 43, 70, rapl_drive(RAPL_RANGE_UJ - 100_000_000, ramp(3.0, 12.0))),
        scope=Scope.SOC,
        mean_w=mean_of(3.0, 12.0),
        # Counters of heat stand still; nothing counts how often the power limit was reached.
        throttle="UNKNOWN",
        because="reaching the power limit is not counted here",
        circumstances={"governor": "powersave"},
    ),
    "coral_dev_board": Case(
        # The fan starts at 65 C; the clock is lowered from 75 C on.
        trace=heat(0, 52, 66, write_midway("/sys/class/thermal/cooling_device0/cur_state", "1")),
        why_no_energy=NO_SENSOR,
        throttle="NO",
    ),
    "beaglebone_ai_64": Case(
        trace=heat(1, 49, 80),
        why_no_energy=NO_SENSOR,
        throttle="UNKNOWN",
        because="nothing on this device tells enough",
    ),
    "spacemit_k1": Case(
        trace=heat(
            0,
            58,
            70,
            midway(lambda tree: add_ticks(tree, "policy0", {1_600_000: 30.0, 1_228_800: 15.0})),
        ),
        why_no_energy=NO_SENSOR,
        throttle="YES",
        because="policy0 ran below its steady 1600 MHz for 33 % of the time",
        circumstances={"governor": "performance"},
    ),
    "bare_virtual_machine": Case(
        trace=Trace(drive=lambda _tree, _seconds: None),
        why_no_energy=NO_SENSOR,
        throttle="UNKNOWN",
        because="nothing on this device tells enough",
    ),
    "unknown_board": Case(
        trace=heat(
            0,
            45,
            70,
            both(
                lambda tree, s: tree.write(f"{HWMON1}/power1_input", f"{round(ramp(2.0, 5.0)(s) / 0.025) * 25000}\n"),
                midway(lambda tree: add_ticks(tree, "policy4", {2_000_000: 40.0})),
                midway(lambda tree: add_ticks(tree, "policy0", {600_000: 40.0})),
            ),
        ),
        scope=Scope.BOARD_RAILS,
        mean_w=mean_of(2.0, 5.0),
        throttle="UNKNOWN",
        because="moves several clocks by itself",
    ),
}

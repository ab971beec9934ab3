"""The sustained curve on a clock that we own, and the files that it reads between points."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import count, repeat
from pathlib import Path

from steelyard_agent.worker.block import Timing
from steelyard_agent.worker.curve_readings import find_curve_reader
from steelyard_agent.worker.sustained import Curve, draw_curve
from tests.agent.worker.test_worker_stopwatch import FakeClock
from tests.support.fake_sysfs import FakeSysfs

MS = 1_000_000
POINT = Timing(sample_window_ms=100, min_sample_count=1)


def _draw(curve: Curve, durations_ns: Iterator[int], duration_ms: int) -> list[str]:
    clock = FakeClock(durations_ns)
    said: list[str] = []
    heat = zip(count(40.0), count(2_000_000_000, -1000), strict=False)
    draw_curve(
        clock.work,
        curve,
        array("q", bytes(8 * 4096)),
        POINT,
        duration_ns=duration_ms * MS,
        clock=clock,
        read_heat=lambda: next(heat),
        say=said.append,
    )
    return said


def test_a_curve_shows_where_it_became_slower() -> None:
    curve = Curve(inner_count=1, stride=1)
    said = _draw(curve, iter([1 * MS] * 300 + [2 * MS] * 200), 500)
    assert [point.inference_count for point in curve.points] == [100, 100, 100, 50, 50]
    assert [point.p50_ns for point in curve.points] == [MS, MS, MS, 2 * MS, 2 * MS]
    assert [point.offset_ms for point in curve.points] == [50, 150, 250, 350, 450]
    # 50 samples say nothing of a 90th percentile.
    assert [point.p90_ns for point in curve.points] == [MS, MS, MS, None, None]
    assert [point.temperature_c for point in curve.points] == [40.0, 41.0, 42.0, 43.0, 44.0]
    assert curve.points[1].frequency_hz == 1_999_999_000
    assert said == ["point"] * 5
    assert (curve.inference_count, len(curve.kept_ns)) == (400, 400)


def test_a_model_slower_than_a_point_gives_a_point_an_inference() -> None:
    curve = Curve(inner_count=1, stride=1)
    _draw(curve, repeat(250 * MS), 500)
    assert [point.inference_count for point in curve.points] == [1, 1]


def test_a_long_curve_is_thinned_evenly_across_its_points() -> None:
    curve = Curve(inner_count=2, stride=7)
    for first in (0, 10, 20):
        samples = array("q", range(first, first + 10))
        curve.add(samples, offset_ms=first, temperature_c=None, frequency_hz=None)
    assert curve.kept_ns == [0, 7, 14, 21, 28]
    assert curve.inference_count == 60


def test_temperature_and_frequency_come_from_the_files_that_the_meters_read(tmp_path: Path) -> None:
    tree = FakeSysfs(tmp_path)
    tree.write("/sys/class/thermal/thermal_zone0/type", "gpu-thermal\n")
    tree.write("/sys/class/thermal/thermal_zone0/temp", "70000\n")
    tree.write("/sys/class/thermal/thermal_zone1/type", "cpu-thermal\n")
    tree.write("/sys/class/thermal/thermal_zone1/temp", "45500\n")
    for policy, cores, khz in (("policy0", "0 1", 1_000_000), ("policy2", "2 3", 2_000_000)):
        tree.write(f"/sys/devices/system/cpu/cpufreq/{policy}/related_cpus", cores)
        tree.write(f"/sys/devices/system/cpu/cpufreq/{policy}/scaling_cur_freq", f"{khz}\n")
    every, big = find_curve_reader((), tree.system), find_curve_reader((3,), tree.system)
    assert (every.temperature_c(), every.frequency_hz(), every.notes) == (45.5, 1_500_000_000, ())
    assert big.frequency_hz() == 2_000_000_000
    tree.write("/sys/class/thermal/thermal_zone1/temp", "-256000\n")
    assert every.temperature_c() is None


def test_a_device_without_sensors_says_what_was_looked_at(tmp_path: Path) -> None:
    reader = find_curve_reader((), FakeSysfs(tmp_path).system)
    assert (reader.temperature_c(), reader.frequency_hz()) == (None, None)
    assert any("no temperature in the curve" in note for note in reader.notes)
    assert any("no frequency in the curve" in note for note in reader.notes)

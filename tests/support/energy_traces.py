"""Traces of tests/fixtures/energy: raw samples of one sensor with a known energy. ``python -m`` this writes them anew.

A file is CSV with a header of ``# key: value`` lines. All are synthetic: the true power is a formula whose integral is
exact, and the sensor is modelled as its documentation describes it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat
from math import floor
from pathlib import Path

from steelyard_agent.meters.power_source import PowerSource
from steelyard_agent.readings import Kind, Reading, Scope
from steelyard_agent.sampler.intervals import intervals
from steelyard_agent.sampler.process import Recording, parse_recording
from steelyard_agent.sampler.protocol import RawSample, SamplerOrder, encode_sample
from steelyard_agent.sampler.reading import energy_reading
from tests.support.fake_sysfs import FIXTURES

FOLDER = FIXTURES / "energy"
S = 1_000_000_000
INFERENCES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Power that rests at ``idle_w`` and between start and end is pulsed: ``high_w`` for ``duty`` of each period."""

    idle_w: float
    low_w: float
    high_w: float
    period_s: float
    duty: float
    start_s: float
    end_s: float

    def power_w(self, t_s: float) -> float:
        if not self.start_s <= t_s < self.end_s:
            return self.idle_w
        return self.high_w if ((t_s - self.start_s) / self.period_s) % 1 < self.duty else self.low_w

    def energy_j(self, t_s: float) -> float:
        """Return the exact energy since time 0."""
        on_s = min(max(t_s - self.start_s, 0.0), self.end_s - self.start_s)
        whole, rest_s = divmod(on_s, self.period_s)
        high_s = whole * self.period_s * self.duty + min(rest_s, self.period_s * self.duty)
        return self.idle_w * (t_s - on_s) + self.high_w * high_s + self.low_w * (on_s - high_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One file: what the sampler would have recorded, and the answer, or why there must be none."""

    name: str
    made: str
    source: PowerSource
    period_ms: int
    window_start_ns: int
    window_end_ns: int
    answer_j: float
    refused: str = ""
    samples: tuple[tuple[int, int], ...]

    def recording(self) -> Recording:
        """Return the recording of the lines that the sampler would have written."""
        lines = [encode_sample(RawSample(source_index=0, time_ns=time_ns, raw=raw)) for time_ns, raw in self.samples]
        order = SamplerOrder(system_root="/", sources=(self.source,), period_ms=self.period_ms)
        return parse_recording("".join(f"{line}\n" for line in lines), order=order)


_SOURCE_KEYS = ("scale", "range_max_counts", "resolution", "averaging_s", "update_period_s", "least_period_s")


def load_trace(name: str) -> Trace:
    """Return the trace of ``tests/fixtures/energy/NAME.csv``."""
    head: dict[str, str] = {}
    samples = []
    for line in (FOLDER / f"{name}.csv").read_text("utf-8").splitlines():
        if line.startswith("#"):
            key, _, value = line[1:].partition(":")
            head[key.strip()] = value.strip()
        elif line != "time_ns,raw":
            time_ns, raw = line.split(",")
            samples.append((int(time_ns), int(raw)))
    numbers = {key: float(head[key]) for key in _SOURCE_KEYS if key in head and key != "range_max_counts"}
    source = PowerSource(
        name=f"{head['kind'].lower()}_of_a_trace",
        kind=Kind(head["kind"]),
        scope=Scope.SYSTEM,
        addresses=(f"/{name}",),
        detail="trace",
        range_max_counts=int(head["range_max_counts"]) if "range_max_counts" in head else None,
        **numbers,
    )
    return Trace(
        name=name,
        made=head["made"],
        source=source,
        period_ms=int(head["period_ms"]),
        window_start_ns=int(head["window_start_ns"]),
        window_end_ns=int(head["window_end_ns"]),
        answer_j=float(head["answer_j"]),
        refused=head.get("refused", ""),
        samples=tuple(samples),
    )


def trace_text(trace: Trace) -> str:
    """Return the file of a trace."""
    source = trace.source
    told = {"made": trace.made, "kind": source.kind.value}
    told |= {key: str(value) for key in _SOURCE_KEYS if (value := getattr(source, key)) not in (None, 0.0)}
    told |= {"period_ms": str(trace.period_ms)}
    told |= {"window_start_ns": str(trace.window_start_ns), "window_end_ns": str(trace.window_end_ns)}
    told |= {"answer_j": f"{trace.answer_j:.6f}"}
    told |= {"refused": trace.refused} if trace.refused else {}
    rows = "".join(f"{time_ns},{raw}\n" for time_ns, raw in trace.samples)
    return "".join(f"# {key}: {value}\n" for key, value in told.items()) + "time_ns,raw\n" + rows


def sample_times(first_s: float, last_s: float, period_s: float, seed: int, *, jitter: bool = True) -> Iterator[float]:
    """Yield when the sampler would read: its own intervals, each read late by about a tenth of a millisecond."""
    rng = random.Random(seed)
    steps = intervals(rng.random()) if jitter else repeat(1.0)
    at_s = first_s
    while at_s <= last_s:
        yield at_s
        at_s += period_s * next(steps) + (abs(rng.gauss(0, 1e-4)) if jitter else 0.0)


def make_trace(
    name: str,
    made: str,
    load: Load,
    *,
    window_s: tuple[float, float],
    sense: Callable[[float], int],
    period_ms: int = 20,
    seed: int = 1,
    seen_s: tuple[float, float] | None = None,
    hole_s: tuple[float, float] = (0.0, 0.0),
    jitter: bool = True,
    refused: str = "",
    **sensor: object,
) -> Trace:
    """Return the trace of a load seen by ``sense(time)`` from ``seen_s`` on, without what falls into ``hole_s``."""
    low_s, high_s = seen_s or (window_s[0] - 2.0, window_s[1] + 2.0)
    source = PowerSource(name="trace", scope=Scope.SYSTEM, addresses=(f"/{name}",), detail="trace", **sensor)
    period_s = source.sampling_period_ns(period_ms * 1_000_000) / 1e9
    times = [t for t in sample_times(low_s, high_s, period_s, seed, jitter=jitter) if not hole_s[0] < t < hole_s[1]]
    return Trace(
        name=name,
        made=f"synthetic; {made}",
        source=source,
        period_ms=period_ms,
        window_start_ns=round(window_s[0] * S),
        window_end_ns=round(window_s[1] * S),
        answer_j=load.energy_j(window_s[1]) - load.energy_j(window_s[0]),
        refused=refused,
        samples=tuple((round(t * S), sense(t)) for t in times),
    )


def aliasing_trace(seed: int = 1, *, jitter: bool = True) -> Trace:
    """Return a load with the sampler's own period, as on a board of 2 W at rest and 20 W at work, paced at 50 Hz."""
    paced = Load(idle_w=2.0, low_w=2.0, high_w=20.0, period_s=0.02, duty=0.3, start_s=4.0, end_s=60.0)
    return make_trace(
        "aliasing",
        "instants of a load with the sampler's own period of 20 ms, on for 30 % of it, at the sampler's intervals",
        paced,
        window_s=(5.0, 55.0),
        sense=lambda t: round(paced.power_w(t) * 1000),
        seed=seed,
        jitter=jitter,
        kind=Kind.SAMPLED,
        scale=1e-3,
    )


def all_traces() -> tuple[Trace, ...]:
    """Return every trace as it is made; the files hold the same."""
    # 80 inferences a second of 5 ms each on a small x86: 4 W at rest, 15 W at work.
    pc = Load(idle_w=3.2, low_w=4.0, high_w=15.0, period_s=0.0125, duty=0.4, start_s=4.0, end_s=30.0)
    pc_window = (5.0003, 29.4007)
    rapl = {"kind": Kind.COUNTER, "scale": 1e-6, "range_max_counts": 65_532_610_987}
    board = Load(idle_w=2.1, low_w=2.6, high_w=7.9, period_s=0.143, duty=0.35, start_s=4.0, end_s=60.0)
    busy = Load(idle_w=2.1, low_w=6.1, high_w=7.0, period_s=0.143, duty=0.35, start_s=4.0, end_s=60.0)
    orin = Load(idle_w=9.1, low_w=14.3, high_w=27.7, period_s=0.031, duty=0.55, start_s=4.0, end_s=40.0)
    gpu = Load(idle_w=70.0, low_w=130.0, high_w=480.0, period_s=0.037, duty=0.6, start_s=4.0, end_s=64.5)
    gpu_window = (4.2, 64.2)
    pmic = {"kind": Kind.SAMPLED, "scale": 1e-6, "least_period_s": 0.1}
    watts = {"kind": Kind.SAMPLED, "scale": 1e-3}
    milliwatts = lambda load: lambda t: round(load.power_w(t) * 1000)  # noqa: E731
    wrapping = 65_532_610_987 - 120_000_000
    return (
        make_trace(
            "counter_wrap",
            "RAPL as of AMD, in microjoules, that wraps at 65532610987 some 10 s into the window",
            pc,
            window_s=pc_window,
            sense=lambda t: (wrapping + floor(pc.energy_j(t) * 1e6)) % 65_532_610_988,
            **rapl,
        ),
        make_trace(
            "counter_reset",
            "the same counter, set back to 0 by a reload of its driver at 17 s: no wrap, so no energy",
            pc,
            window_s=pc_window,
            sense=lambda t: floor(pc.energy_j(t) * 1e6) + (40_000_000_000 if t < 17 else 0),
            refused="it was reset or misread",
            **rapl,
        ),
        make_trace(
            "counter_steps",
            "NVML energy counter in millijoules, renewed every 100 ms; the load of nvml_average_1s",
            gpu,
            window_s=gpu_window,
            sense=lambda t: 9_000_000 + floor(gpu.energy_j(floor(t * 10) / 10) * 1000),
            period_ms=50,
            kind=Kind.COUNTER,
            scale=1e-3,
            range_max_counts=2**64 - 1,
            update_period_s=0.1,
        ),
        make_trace(
            "nvml_average_1s",
            "NVML power in milliwatts, the average of the last second, renewed every 100 ms; idle 70 W around the load",
            gpu,
            window_s=gpu_window,
            sense=lambda t: round((gpu.energy_j(floor(t * 10) / 10) - gpu.energy_j(floor(t * 10) / 10 - 1)) * 1000),
            period_ms=50,
            averaging_s=1.0,
            update_period_s=0.1,
            **watts,
        ),
        make_trace(
            "gap",
            "power every 20 ms, of which 150 ms are missing: what happened there cannot be known",
            board,
            window_s=(5.0, 25.0),
            sense=milliwatts(board),
            hole_s=(12.0, 12.15),
            refused="longer than the 0.1 s allowed",
            **watts,
        ),
        make_trace(
            "gap_short",
            "power every 20 ms, of which 60 ms are missing: less than five periods, and bridged",
            board,
            window_s=(5.0, 35.0),
            sense=milliwatts(board),
            hole_s=(12.0, 12.06),
            **watts,
        ),
        make_trace(
            "missing_edge",
            "power every 20 ms that begins 60 ms after the window's start and ends 55 ms before its end",
            board,
            window_s=(5.0, 35.0),
            sense=milliwatts(board),
            seen_s=(5.06, 34.945),
            **watts,
        ),
        make_trace(
            "missing_edge_long",
            "power every 20 ms that ends 400 ms before the window's end",
            board,
            window_s=(5.0, 35.0),
            sense=milliwatts(board),
            seen_s=(3.0, 34.6),
            refused="before the window's end",
            **watts,
        ),
        aliasing_trace(),
        make_trace(
            "slow_sensor",
            "the sum of a Raspberry Pi 5's rails in microwatts, ten times a second, inferences back to back",
            busy,
            window_s=(5.0, 55.0),
            sense=lambda t: round(busy.power_w(t) * 1e6),
            **pmic,
        ),
        make_trace(
            "slow_sensor_pulsed",
            "the same under pulses of 50 ms every 143 ms: 500 instants of such a load do not tell its mean to 1 %",
            board,
            window_s=(5.0, 55.0),
            sense=lambda t: round(board.power_w(t) * 1e6),
            **pmic,
        ),
        make_trace(
            "coarse_steps",
            "a Jetson AGX Orin's module in steps of 400 mW, rounded down as its converter does",
            orin,
            window_s=(5.0, 35.0),
            sense=lambda t: floor(orin.power_w(t) / 0.4) * 400 + 200,
            resolution=0.4,
            **watts,
        ),
    )


def read_trace(trace: Trace) -> list[Reading]:
    """Return the energy readings of a trace, by the whole path from the sampler's lines on."""
    return energy_reading(
        window_start_ns=trace.window_start_ns,
        window_end_ns=trace.window_end_ns,
        inference_count=INFERENCES,
        recording=trace.recording(),
    )


def energy_error(trace: Trace) -> float:
    """Return the relative error of a trace's energy."""
    value = read_trace(trace)[0].value
    assert value is not None
    return value * INFERENCES / trace.answer_j - 1


def write_all(folder: Path) -> None:
    """Write every trace."""
    for trace in all_traces():
        (folder / f"{trace.name}.csv").write_text(trace_text(trace), "utf-8")


if __name__ == "__main__":
    write_all(FOLDER)

"""Recordings of whole energy rounds, tests/fixtures/energy/rounds: idle, a model's window, idle again, known power.

The files are as those of tests/support/energy_traces.py, over more time; ``python -m`` this writes them anew.
"""

from __future__ import annotations

from math import floor

from steelyard_agent.readings import Kind
from tests.support.energy_traces import FOLDER, Load, Trace, make_trace, trace_text

S = 1_000_000_000
INFERENCES = 1000
# When each part of a round lasts, in seconds of the recording.
IDLE_BEFORE_S, MODEL_S, IDLE_AFTER_S = (2.0, 32.0), (38.0, 58.0), (62.0, 92.0)
_SEEN_S = (0.5, 94.0)
_LOADED_S = {"start_s": 36.5, "end_s": 58.0003}
LOADS = {
    # A small PC: 80 inferences a second of 5 ms each.
    "rapl_counter": Load(idle_w=3.2, low_w=4.0, high_w=15.0, period_s=0.0125, duty=0.4, **_LOADED_S),
    "pi5_pmic": Load(idle_w=2.1, low_w=6.1, high_w=7.0, period_s=0.143, duty=0.35, **_LOADED_S),
    "nvml_average_1s": Load(idle_w=70.0, low_w=130.0, high_w=480.0, period_s=0.037, duty=0.6, **_LOADED_S),
    "agx_steps": Load(idle_w=9.1, low_w=14.3, high_w=27.7, period_s=0.031, duty=0.55, **_LOADED_S),
    # A microcontroller's worth of work on a board: 4 mW above 2.1 W for a third of the time.
    "nothing_above_idle": Load(idle_w=2.1, low_w=2.1, high_w=2.104, period_s=0.143, duty=0.35, **_LOADED_S),
}


def round_trace(name: str) -> Trace:
    """Return a recording as it is made; its answer is the energy of the model's window."""
    load = LOADS[name]
    watts = {"kind": Kind.SAMPLED, "scale": 1e-3}
    pmic = {"kind": Kind.SAMPLED, "scale": 1e-6, "least_period_s": 0.1}
    wrapping = 65_532_610_987 - 150_000_000
    said = {
        "rapl_counter": (
            "RAPL as of AMD that wraps within the model's window",
            lambda t: (wrapping + floor(load.energy_j(t) * 1e6)) % 65_532_610_988,
            {"kind": Kind.COUNTER, "scale": 1e-6, "range_max_counts": 65_532_610_987},
        ),
        "pi5_pmic": ("the sum of a Raspberry Pi 5's rails", lambda t: round(load.power_w(t) * 1e6), pmic),
        "nvml_average_1s": (
            "NVML power, the average of the last second, renewed every 100 ms",
            lambda t: round((load.energy_j(floor(t * 10) / 10) - load.energy_j(floor(t * 10) / 10 - 1)) * 1000),
            {**watts, "averaging_s": 1.0, "update_period_s": 0.1},
        ),
        "agx_steps": (
            "a Jetson AGX Orin's module in steps of 400 mW, rounded down as its converter does",
            lambda t: floor(load.power_w(t) / 0.4) * 400 + 200,
            {**watts, "resolution": 0.4},
        ),
        "nothing_above_idle": (
            "a Raspberry Pi 5 whose model draws 1.4 mW in the mean",
            lambda t: round(load.power_w(t) * 1e6),
            pmic,
        ),
    }
    made, sense, sensor = said[name]
    return make_trace(
        f"rounds/{name}",
        f"{made}; idle, a model from 36.5 s on, idle",
        load,
        window_s=MODEL_S,
        sense=sense,
        period_ms=50,
        seen_s=_SEEN_S,
        **sensor,
    )


if __name__ == "__main__":
    (FOLDER / "rounds").mkdir(exist_ok=True)
    for trace_name in LOADS:
        (FOLDER / "rounds" / f"{trace_name}.csv").write_text(trace_text(round_trace(trace_name)), "utf-8")

"""How long an energy window must be for the sources of a device. Pure.

The rules are those of ``meters/energy.py``, below which an energy is of low confidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from steelyard_agent.meters.energy import LEAST_SAMPLES, LEAST_UPDATES, LEAST_WINDOW_S, LONGEST_LEAST_WINDOW_S
from steelyard_agent.meters.power_source import PowerSource

# A source that is read once in two seconds wants ten minutes a model and round. That is for its user to choose; what is
# shorter says itself that it is of low confidence.
LONGEST_BY_ITSELF_S = 120.0
# Reads come late, mostly those through programs: a window of just as many samples would hold a few too few.
_SPARE = 1.05
_SAMPLER_PERIOD_NS = 20_000_000


def least_energy_window_ms(sources: Sequence[PowerSource]) -> int | None:
    """Return how long a window lasts in which every source tells enough, 2 minutes at most; None without a source.

    A Raspberry Pi 5, whose power chip bears ten reads a second, has 31.5 s, a GPU's counter 60 s, RAPL 10 s.
    """
    return max((ceil(_least_s(source) * 1000) for source in sources), default=None)


def _least_s(source: PowerSource) -> float:
    by_samples_s = _SPARE * LEAST_SAMPLES * source.sampling_period_ns(_SAMPLER_PERIOD_NS) / 1e9
    by_updates_s = min(LONGEST_LEAST_WINDOW_S, LEAST_UPDATES * (source.update_period_s or 0.0))
    return min(LONGEST_BY_ITSELF_S, max(LEAST_WINDOW_S, by_samples_s, by_updates_s))

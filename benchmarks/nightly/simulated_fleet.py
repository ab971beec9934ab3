"""60 nights of a simulated fleet of 2,000 series through the analysis of nights, beside other detectors of changes."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import steelyard.series
from benchmarks.nightly import fleet_plan, night_tables
from benchmarks.nightly.alarms import count_found, over_sentinel, weigh_alarms
from benchmarks.nightly.fleet_plan import DEVICE_COUNT, SimulatedDevice
from benchmarks.nightly.judged_nights import BUDGET_S, ROUND_S, DeviceNights
from benchmarks.nightly.measured_nights import MeasuredNights, measure_nights
from benchmarks.nightly.series_peers import ASV, LARGE_OTAVA, OTAVA, alarms_of, threshold_alarms, window_t_alarms
from benchmarks.peer_environments import pinned_versions
from benchmarks.progress import counted
from benchmarks.results_file import ResultsFile, this_key
from benchmarks.table import Table

NAME, PEER_NAME = "nightly", "nightly_peers"
FILES = (NAME, PEER_NAME)
# A round is one device of the fleet: its series, its nights, and what every detector says of them.
ROUND_COUNT = DEVICE_COUNT
# The method was tried on other fleets (900,001 and on), and its thresholds were calibrated on others again.
FLEET_SEED = 7
_PEERS = ("apache-otava", "asv")


async def measure(round_count: int) -> None:
    """Judge device after device until ``round_count`` of them are in each results file, ours and the others'."""
    for file, key, judge in ((NAME, _our_key(), judge_ours), (PEER_NAME, _peer_key(), judge_peers)):
        results = ResultsFile(file)
        for index in counted(file, len(results.rounds(key)), round_count):
            results.append(key, await asyncio.to_thread(judge, index))


def judge_ours(index: int, fleet_seed: int = FLEET_SEED) -> dict[str, Any]:
    """Return what the analysis says of the device at ``index``; the same arguments give the same answer."""
    random, device, measured = _device(index, fleet_seed)
    nights = DeviceNights(random=random, device=device, measured=measured)
    nights.judge_all()
    return {
        "kind": device.kind.value,
        "planted": sum(one.planted_night is not None for one in device.series),
        "nights_to_line": nights.nights_to_line,
        "counts": dict(nights.counts),
        "found": _found(nights.nights_to_find()),
        "confirmation_s": [round(one, 1) for one in nights.confirmation_s],
    }


def judge_peers(index: int, fleet_seed: int = FLEET_SEED) -> dict[str, Any]:
    """Return what the other detectors say of the same nights, by their names."""
    _, device, measured = _device(index, fleet_seed)
    plain, freed = measured.values_ns, over_sentinel(measured)
    alarms = {
        "more than 5 % above four weeks' median": [threshold_alarms(one) for one in plain],
        "window t, p < 0.01": [window_t_alarms(one) for one in plain],
        "window t, over the sentinel": [window_t_alarms(one) for one in freed],
        ASV.name: alarms_of(ASV, plain),
        f"{ASV.name}, over the sentinel": alarms_of(ASV, freed),
        OTAVA.name: alarms_of(OTAVA, plain),
        f"{LARGE_OTAVA.name}, over the sentinel": alarms_of(LARGE_OTAVA, freed),
    }
    return {
        "planted": sum(one.planted_night is not None for one in device.series),
        "peers": {name: weigh_alarms(device, plain, each) for name, each in alarms.items()},
    }


def _device(index: int, fleet_seed: int) -> tuple[np.random.Generator, SimulatedDevice, MeasuredNights]:
    random = np.random.default_rng([fleet_seed, index])
    device = fleet_plan.device(random, index)
    return random, device, measure_nights(random, device)


def _found(nights: Sequence[int | None]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for one in nights:
        if one is not None:
            count_found(counts, one)
    return dict(counts)


def _our_key() -> dict[str, Any]:
    """Return what rounds must share: the fleet, the budget, and the analysis by its source."""
    sources = sorted(Path(steelyard.series.__path__[0]).rglob("*.py"))
    source = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    settings = {"budget_s": BUDGET_S, "round_s": ROUND_S, "source": source}
    return this_key({"fleet_seed": FLEET_SEED, "fleet": fleet_digest(), **settings})


def _peer_key() -> dict[str, Any]:
    peers = {**pinned_versions("asv"), **pinned_versions("otava")}
    return this_key({"fleet_seed": FLEET_SEED, "fleet": fleet_digest(), **{name: peers[name] for name in _PEERS}})


def fleet_digest() -> str:
    """Return what tells the fleet from others: a digest of what its first device measures."""
    values = np.nan_to_num(_device(0, FLEET_SEED)[2].values_ns)
    # Whole nanoseconds: the last digits may differ between processors.
    return hashlib.sha256(np.round(values).astype("<i8").tobytes()).hexdigest()[:12]


def table() -> Table | None:
    """Return the figures of the latest rounds."""
    ours, peers = ResultsFile(NAME).latest(), ResultsFile(PEER_NAME).latest()
    if ours is None:
        return None
    is_same = peers is not None and peers.settings["fleet"] == ours.settings["fleet"]
    return night_tables.table_of(ours, peers if is_same else None, f"python -m benchmarks.run {NAME}")

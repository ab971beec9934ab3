"""Other detectors over the same series, night by night; those of other projects run in environments of their own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from benchmarks.peer_environments import PeerEnvironmentError, environment_python

PROGRAMS = Path(__file__).with_name("peer_programs")
_LIMIT_S = 1800.0
# What the plain ways look back to, and the nights that they need.
_PAST, _LEAST = 28, 5
_THRESHOLD = 0.05
_MOST_P = 0.01
_RECENT = 3


class SeriesPeerError(Exception):
    """A detector that did not answer; the message says why, in its own last line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPeer:
    """A detector of another project: a program of ``peer_programs`` with settings, and its environment."""

    name: str
    program: str
    environment: str
    settings: Mapping[str, Any] = field(default_factory=dict)


ASV = SeriesPeer(name="asv step detection", program="steps_of_asv.py", environment="asv", settings={"threshold": 0.05})
OTAVA = SeriesPeer(
    name="Apache Otava", program="changes_of_otava.py", environment="otava", settings={"least_magnitude": 0.0}
)
LARGE_OTAVA = SeriesPeer(
    name="Apache Otava, 3 % and more",
    program="changes_of_otava.py",
    environment="otava",
    settings={"least_magnitude": 0.03},
)


def alarms_of(peer: SeriesPeer, values: NDArray[np.float64]) -> list[list[int]]:
    """Return, for each series [S, nights], the nights on which a peer reports a new regression; NaN is a gap.

    Raises:
        SeriesPeerError: the peer does not install, or did not answer.
    """
    listed = [[None if np.isnan(one) else float(one) for one in series] for series in values]
    alarms: list[list[int]] = ask(peer.environment, peer.program, {"series": listed, **peer.settings})["alarms"]
    return alarms


def ask(environment: str, program: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Run a program of ``peer_programs`` on a request and return its answer.

    Raises:
        SeriesPeerError: its environment does not install, or it did not answer.
    """
    try:
        python = environment_python(environment)
        done = subprocess.run(
            [str(python), str(PROGRAMS / program)],
            input=json.dumps(dict(request)),
            capture_output=True,
            text=True,
            check=False,
            timeout=_LIMIT_S,
        )
    except (PeerEnvironmentError, subprocess.TimeoutExpired) as error:
        raise SeriesPeerError(f"{program}: {error}") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise SeriesPeerError(f"{program}: {lines[-1][:200]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def threshold_alarms(series: NDArray[np.float64]) -> list[int]:
    """Return the nights on which a series [nights] first is more than 5 % above the median of four weeks before."""
    return _first_of_runs(series, lambda past, recent: recent[-1] > np.median(past) * (1.0 + _THRESHOLD))


def window_t_alarms(series: NDArray[np.float64]) -> list[int]:
    """Return the nights on which Student's t of the last three nights against four weeks before first is below 1 %."""
    return _first_of_runs(series, _is_above)


def _is_above(past: NDArray[np.float64], recent: NDArray[np.float64]) -> bool:
    one, other = np.log(past), np.log(recent)
    count = one.size + other.size - 2
    squares = float(np.sum((one - one.mean()) ** 2) + np.sum((other - other.mean()) ** 2))
    error = np.sqrt(squares / count * (1.0 / one.size + 1.0 / other.size))
    return bool(error > 0.0 and stdtr(count, -(other.mean() - one.mean()) / error) < _MOST_P)


def _first_of_runs(series: NDArray[np.float64], is_alarm: Any) -> list[int]:
    """Return the nights that alarm where the night before did not: an alarm that stays is one."""
    nights, was = [], False
    known: Sequence[int] = np.flatnonzero(np.isfinite(series)).tolist()
    for place in range(_LEAST + _RECENT, len(known)):
        past = series[known[max(0, place - _RECENT + 1 - _PAST) : place - _RECENT + 1]]
        now = is_alarm(past, series[known[place - _RECENT + 1 : place + 1]])
        if now and not was:
            nights.append(known[place])
        was = now
    return nights

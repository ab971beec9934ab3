"""How one inference follows another in a timed block, and what that asks of a plan. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil, isfinite

SINGLE_STREAM = "single-stream"
OFFLINE = "offline"
PACED = "paced"
MULTI_STREAM = "multi-stream"
SUSTAINED = "sustained"
STEPWISE = "stepwise"
# The fields of ``Mode`` that each takes, beside its name.
_FIELDS: dict[str, tuple[str, ...]] = {
    SINGLE_STREAM: (),
    OFFLINE: (),
    PACED: ("rate_hz", "random_arrivals"),
    MULTI_STREAM: ("stream_count",),
    SUSTAINED: ("duration_ms", "point_ms"),
    STEPWISE: ("step_counts", "state_outputs"),
}
MODES = tuple(_FIELDS)

# A block's samples travel as one line and stand in memory: see stopwatch.py.
MOST_ARRIVALS = 1 << 20
MOST_BATCH = 65_536
LONGEST_WINDOW_MS = 3_600_000
_LONGEST_CURVE_MS = 24 * 3_600_000
# More points than a report draws or a round may hold.
_MOST_POINTS = 720
_SHORTEST_POINT_MS = 100
_MOST_STREAMS = 64
_MOST_STEPS = 65_536
_MOST_STEP_COUNTS = 16
# Keys and values of each layer of a large decoder.
_MOST_STATES = 512
_LONGEST_NAME = 1000
_MOST_RATE_HZ = 100_000.0
# Points that are not asked for: a sixtieth of the curve, but no shorter than what a percentile wants and no longer than
# what a rise of temperature needs to be seen.
_POINTS_BY_DEFAULT = 60
_POINT_LIMITS_MS = (1_000, 10_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """One of ``MODES`` with what it needs; a field of another mode must be left as it is.

    ``rate_hz``: arrivals a second. ``random_arrivals``: exponential gaps, seeded. ``point_ms``: 0 for a length by that
    of the curve. ``step_counts``: the numbers of steps at which times are stated, rising; the last one is the length of
    a sequence. ``state_outputs``: by the name of an input, the output of the last step that it is fed with.
    """

    name: str = SINGLE_STREAM
    rate_hz: float = 0.0
    random_arrivals: bool = False
    stream_count: int = 0
    duration_ms: int = 0
    point_ms: int = 0
    step_counts: tuple[int, ...] = ()
    state_outputs: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a mode that is unknown, lacks something, or is told something of another."""
        if self.name not in MODES:
            raise ValueError(f"mode {self.name!r} is none of {', '.join(MODES)}")
        for other, names in _FIELDS.items():
            for name in names:
                if other != self.name and getattr(self, name):
                    raise ValueError(
                        f"{name} is given and the mode is {self.name}: it belongs to {other}; leave it out, or choose "
                        "that mode"
                    )
        _CHECKS[self.name](self)

    def window_ms(self, sample_window_ms: int, min_sample_count: int) -> int:
        """Return how long the timed window is planned to be.

        Raises:
            ValueError: so many arrivals, or so few that the least number of samples takes longer than an hour.
        """
        if self.name == SUSTAINED:
            return self.duration_ms
        if self.name != PACED:
            return sample_window_ms
        window_ms = max(sample_window_ms, ceil(1000 * min_sample_count / self.rate_hz))
        if window_ms > LONGEST_WINDOW_MS:
            raise ValueError(
                f"{min_sample_count} arrivals at rate_hz {self.rate_hz:g} take {window_ms / 1000:.0f} s, longer than "
                f"{LONGEST_WINDOW_MS // 1000} s; raise the rate or lower the least number of samples"
            )
        if window_ms * self.rate_hz / 1000 > MOST_ARRIVALS:
            raise ValueError(
                f"rate_hz {self.rate_hz:g} for {window_ms / 1000:g} s is more than {MOST_ARRIVALS} arrivals; "
                "shorten the sample window"
            )
        return window_ms

    def silence_ms(self, sample_window_ms: int, min_sample_count: int) -> int:
        """Return how long a worker that fares well gives no sign in this mode."""
        if self.name == STEPWISE:
            return 0
        return self.curve_point_ms if self.name == SUSTAINED else self.window_ms(sample_window_ms, min_sample_count)

    @property
    def curve_point_ms(self) -> int:
        """How long a point of the curve is."""
        low_ms, high_ms = _POINT_LIMITS_MS
        chosen_ms = max(low_ms, min(high_ms, self.duration_ms // _POINTS_BY_DEFAULT), self.duration_ms // _MOST_POINTS)
        return self.point_ms or min(chosen_ms, self.duration_ms // 2)


def _check_nothing(mode: Mode) -> None:
    del mode


def _check_paced(mode: Mode) -> None:
    if not (isfinite(mode.rate_hz) and 0 < mode.rate_hz <= _MOST_RATE_HZ):
        raise ValueError(f"rate_hz is {mode.rate_hz:g}; it is above 0 and at most {_MOST_RATE_HZ:g} arrivals a second")


def _check_streams(mode: Mode) -> None:
    if not 1 <= mode.stream_count <= _MOST_STREAMS:
        raise ValueError(f"stream_count is {mode.stream_count}; it is between 1 and {_MOST_STREAMS}")


def _check_sustained(mode: Mode) -> None:
    least_ms = 2 * _SHORTEST_POINT_MS
    if not least_ms <= mode.duration_ms <= _LONGEST_CURVE_MS:
        raise ValueError(f"duration_ms is {mode.duration_ms}; it is between {least_ms} and {_LONGEST_CURVE_MS}")
    if not mode.point_ms:
        return
    if not _SHORTEST_POINT_MS <= mode.point_ms <= mode.duration_ms // 2:
        raise ValueError(
            f"point_ms is {mode.point_ms}; it is between {_SHORTEST_POINT_MS} and half of duration_ms "
            f"{mode.duration_ms}, for a curve has two points at least"
        )
    if mode.duration_ms / mode.point_ms > _MOST_POINTS:
        raise ValueError(
            f"point_ms {mode.point_ms} in duration_ms {mode.duration_ms} makes more than {_MOST_POINTS} points; "
            "lengthen the points"
        )


def _check_steps(mode: Mode) -> None:
    counts = mode.step_counts
    if not 1 <= len(counts) <= _MOST_STEP_COUNTS:
        raise ValueError(f"{len(counts)} step_counts are given; give 1 to {_MOST_STEP_COUNTS}, such as 1, 16, 64")
    for count in counts:
        if not 1 <= count <= _MOST_STEPS:
            raise ValueError(f"a step count is {count}; it is between 1 and {_MOST_STEPS}")
    if any(later <= earlier for earlier, later in pairwise(counts)):
        raise ValueError(f"step_counts {', '.join(map(str, counts))} do not rise; write each once, the smallest first")
    if not mode.state_outputs:
        raise ValueError(
            "stepwise needs state_outputs: by the name of each state input, the output that it is fed with"
        )
    if len(mode.state_outputs) > _MOST_STATES:
        raise ValueError(f"{len(mode.state_outputs)} state_outputs are given, more than {_MOST_STATES}")
    for name, output in mode.state_outputs.items():
        if not (0 < len(name) <= _LONGEST_NAME and 0 < len(output) <= _LONGEST_NAME):
            raise ValueError(f"state_outputs has {name[:80]!r} fed with {output[:80]!r}; both are names of the model")


_CHECKS = {
    SINGLE_STREAM: _check_nothing,
    OFFLINE: _check_nothing,
    PACED: _check_paced,
    MULTI_STREAM: _check_streams,
    SUSTAINED: _check_sustained,
    STEPWISE: _check_steps,
}

"""What the parts of a running night share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from steelyard.nightly.clock import Clock, SystemClock

if TYPE_CHECKING:
    from steelyard.control.client import Client
    from steelyard.nightly.preparing import PreparedModel
    from steelyard.series.judgements import ConfirmationOutcome
    from steelyard.series.metric_rules import MetricRule
    from steelyard.suites.suite import Suite
    from steelyard_protocol.v1 import control_pb2, nightly_pb2


JudgePair = Callable[["Client", str, "Sequence[MetricRule]"], "Mapping[str, ConfirmationOutcome | str]"]


def _silent(_text: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NightOptions:
    """What a run of a suite is asked for beside the suite.

    ``only`` are devices, tags or pools; empty: all of the suite. ``budget_s`` and ``window_s`` stand for the suite's
    where they are not None. ``hold_s``: for so long the night is this runner's after each sign of it. ``look_s``:
    between looks for a device or a turn. ``gone_s``: a controller that does not answer is waited for so long.
    """

    only: tuple[str, ...] = ()
    budget_s: float | None = None
    window_s: float | None = None
    runner: str = ""
    hold_s: float = 120.0
    look_s: float = 15.0
    gone_s: float = 900.0
    most_devices_at_once: int = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningNight:
    """A night that is being run.

    ``connect`` returns a client of the night's controller, one for each thread; ``say`` is told what happens.
    ``ends_at_s`` is the end of the window by ``clock.elapsed_s``: no measurement begins later.
    """

    suite: Suite
    night: nightly_pb2.Night
    previous: nightly_pb2.Night | None
    options: NightOptions
    connect: Callable[[], Client]
    stop: threading.Event
    # By ``clock.elapsed_s``, as ``ends_at_s``.
    began_s: float
    ends_at_s: float
    models: Mapping[str, PreparedModel] = field(default_factory=dict)
    sentinel: control_pb2.Artifact | None = None
    clock: Clock = field(default_factory=SystemClock)
    say: Callable[[str], None] = _silent
    # Of each device the agent's version.
    agents: Mapping[str, str] = field(default_factory=dict)
    # Says what a finished job of two variants shows of each metric: ``side_by_side.judge_job``.
    judge_pair: JudgePair | None = None

    @property
    def window_s(self) -> float:
        """How long after its begin the night's last measurement may begin."""
        return self.ends_at_s - self.began_s

    @property
    def window_is_open(self) -> bool:
        """Whether a measurement may still begin."""
        return self.clock.elapsed_s() < self.ends_at_s

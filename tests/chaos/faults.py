"""What can go wrong, and a seeded order in which it does."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum


class Fault(Enum):
    """One thing that goes wrong; those of a device strike one agent, or the network between it and the controller."""

    KILL_AGENT = "kill the agent"
    KILL_WORKER = "kill a worker"
    KILL_CONTROLLER = "kill the controller"
    CUT = "cut the connections"
    STALL = "let nothing through"
    DELAY = "delay what goes through"
    SILENCE = "swallow what is sent on open connections"
    FILL_AGENT = "fill the agent's disk"
    FILL_CONTROLLER = "fill the controller's disk"
    REBOOT = "reboot the device"
    MOVE_AGENT_CLOCK = "move the agent's clock"
    MOVE_CONTROLLER_CLOCK = "move the controller's clock"
    CANCEL = "cancel a job"
    DRAIN = "drain the device"


# The other side is believed alive until a keepalive runs out: half a minute, too long for the tests of every run.
SLOW = frozenset({Fault.SILENCE})

_MOST_PAUSE_S = 1.6
_LASTING_S = {
    Fault.KILL_AGENT: (0.0, 1.5),
    Fault.KILL_CONTROLLER: (0.0, 2.0),
    Fault.REBOOT: (0.2, 2.0),
    Fault.STALL: (0.3, 3.0),
    Fault.DELAY: (1.0, 4.0),
    Fault.FILL_AGENT: (0.5, 4.0),
    Fault.FILL_CONTROLLER: (0.5, 4.0),
    Fault.DRAIN: (0.5, 4.0),
}
# A card without a clock starts in 1970, a wrong one in another year; most are off by less than a day.
_CLOCK_STEPS_S = (1.0, 60.0, 3600.0, 86_400.0, 400 * 86_400.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One fault: after a pause of ``after_s``, on one device, for ``lasting_s``; clocks move by ``moved_s``.

    Where there are two controllers, the device's number says which one is meant.
    """

    fault: Fault
    device_index: int
    after_s: float
    lasting_s: float = 0.0
    moved_s: float = 0.0

    def __str__(self) -> str:
        lasting = f" for {self.lasting_s:.1f} s" if self.lasting_s else ""
        moved = f" by {self.moved_s:+.0f} s" if self.moved_s else ""
        return f"{self.fault.value}{moved}{lasting} (device {self.device_index})"


def schedule(
    seed: int,
    count: int,
    *,
    device_count: int,
    left_out: frozenset[Fault] = frozenset(),
    most_controller_step_s: float | None = None,
) -> tuple[Step, ...]:
    """Return the faults of one campaign: all kinds come once before any comes again.

    The clock of a controller moves by ``most_controller_step_s`` at most.
    """
    draw = random.Random(seed)
    kinds = [fault for fault in Fault if fault not in left_out]
    steps: list[Step] = []
    while len(steps) < count:
        draw.shuffle(kinds)
        steps += [_step(fault, draw, device_count, most_controller_step_s) for fault in kinds]
    return tuple(steps[:count])


def _step(fault: Fault, draw: random.Random, device_count: int, most_controller_step_s: float | None) -> Step:
    return Step(
        fault=fault,
        device_index=draw.randrange(device_count),
        after_s=draw.uniform(0.1, _MOST_PAUSE_S),
        lasting_s=draw.uniform(*_LASTING_S[fault]) if fault in _LASTING_S else 0.0,
        moved_s=_clock_step_s(fault, draw, most_controller_step_s),
    )


def _clock_step_s(fault: Fault, draw: random.Random, most_controller_step_s: float | None) -> float:
    if fault not in {Fault.MOVE_AGENT_CLOCK, Fault.MOVE_CONTROLLER_CLOCK}:
        return 0.0
    steps_s = _CLOCK_STEPS_S
    if fault is Fault.MOVE_CONTROLLER_CLOCK and most_controller_step_s is not None:
        steps_s = tuple(step_s for step_s in steps_s if step_s <= most_controller_step_s)
    return draw.choice(steps_s) * draw.choice((-1.0, 1.0))

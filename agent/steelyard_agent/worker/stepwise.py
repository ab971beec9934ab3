"""The step-wise mode: a sequence model one step at a time, its state carried from each step to the next.

A step's time is that of its inference alone. Fetching the state and binding it again lies between the steps: an
application may keep its state where the runtime left it. A note says what that took.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from statistics import median
from typing import TYPE_CHECKING

from steelyard_agent.worker.block import WorkerResult
from steelyard_agent.worker.contract import LoadedModel
from steelyard_agent.worker.opening import Bench, explained, make_feeds
from steelyard_agent.worker.phases import first_inference, read_memory, timed_window, warm
from steelyard_agent.worker.rough import rough_ms
from steelyard_agent.worker.shapes import shape_text
from steelyard_agent.worker.state import carried, check_state_names
from steelyard_agent.worker.stopwatch import Clock, quiet_collector

if TYPE_CHECKING:
    from steelyard_agent.worker.contract import Array

_clock = time.perf_counter_ns
# Steps of all sequences of a block: see stopwatch.py, and each stands twice in a result.
_MOST_STEPS = 1 << 17
_SIGN_EVERY_NS = 1_000_000_000


@dataclass(slots=True, kw_only=True)
class Sequences:
    """Runs sequences of one model; ``say`` gives a sign of life once a second, between steps."""

    model: LoadedModel
    fresh: Mapping[str, Array]
    state_outputs: Mapping[str, str]
    step_count: int
    clock: Clock
    say: Callable[[str], None]
    step_ns: list[tuple[int, ...]] = field(default_factory=list)
    carry_ns: list[int] = field(default_factory=list)
    # Of each state input in the last step of a sequence.
    last_shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    _said_ns: int = 0

    def run_for(self, window_ns: int) -> None:
        """Run whole sequences until the window is over, one at least.

        Raises:
            BlockFailure: an output does not fit the input that it is carried to.
        """
        start_ns = self._said_ns = self.clock()
        while True:
            self.step_ns.append(self._sequence())
            is_full = (len(self.step_ns) + 1) * self.step_count > _MOST_STEPS
            if is_full or self.clock() - start_ns >= window_ns:
                return

    def _sequence(self) -> tuple[int, ...]:
        clock, model = self.clock, self.model
        specs = {spec.name: spec for spec in model.inputs}
        times: list[int] = []
        feeds = dict(self.fresh)
        call = model.bind(feeds)
        for step in range(1, self.step_count + 1):
            before = clock()
            call()
            after = clock()
            times.append(after - before)
            if step == self.step_count:
                break
            feeds |= carried(specs, model.fetch(), self.state_outputs, step)
            call = model.bind(feeds)
            now_ns = clock()
            self.carry_ns.append(now_ns - after)
            if now_ns - self._said_ns >= _SIGN_EVERY_NS:
                self._said_ns = now_ns
                self.say("steps")
        self.last_shapes = {name: feeds[name].shape for name in self.state_outputs}
        return tuple(times)

    def notes(self) -> list[str]:
        """Return what a reader must know about the steps."""
        notes = [f"sequences of {self.step_count} steps, each from a state of zeros; other inputs are the same in each"]
        if self.carry_ns:
            notes.append(
                f"carrying the state takes about {rough_ms(median(self.carry_ns))} between two steps, which is not in "
                "their times"
            )
        notes += [
            f"state {name!r} grew from {shape_text(self.fresh[name].shape)} to {shape_text(shape)} in the last step"
            for name, shape in self.last_shapes.items()
            if shape != self.fresh[name].shape
        ]
        return notes


def run_stepwise(bench: Bench, model: LoadedModel) -> WorkerResult:
    """Measure sequences.

    Raises:
        BlockFailure: the state's names do not fit the model, a state cannot be carried, or the model cannot be run.
    """
    mode = bench.block.mode
    check_state_names(model.inputs, model.outputs, mode.state_outputs)
    feeds = make_feeds(bench, model)
    sequences = Sequences(
        model=model,
        fresh=feeds,
        state_outputs=mode.state_outputs,
        step_count=mode.step_counts[-1],
        clock=_clock,
        say=bench.say,
    )
    call = model.bind(feeds)
    with explained(model):
        first_inference(bench, call)
        with quiet_collector():
            warm(bench, call, batches=False)
            read_memory(bench)
            with timed_window(bench):
                sequences.run_for(bench.block.timing.sample_window_ms * 1_000_000)
    latency_ns = tuple(step for sequence in sequences.step_ns for step in sequence)
    return replace(
        bench.result,
        sequences=tuple(sequences.step_ns),
        latency_ns=latency_ns,
        sample_count=len(latency_ns),
        notes=(*bench.result.notes, *sequences.notes()),
    )

"""One campaign: a fleet and its jobs; faults by a seed; then calm, and what must hold."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from steelyard_protocol.v1 import control_pb2
from tests.chaos.evidence import (
    bugs_in,
    fallen_epochs,
    half_written,
    lost_or_doubled,
    orphans,
    strangers,
    unknown_boots,
    waiting_rounds,
)
from tests.chaos.faults import Fault, Step, schedule
from tests.chaos.flaws import Flaw
from tests.chaos.fleet import DEVICE_COUNT, Fleet, Kind, Side, kind_of
from tests.support.models import conv_model, linear_model

_LEASE_TTL_S = 45.0
_START_S = 60.0
# A half-open connection, then a lease that runs out, then the jobs that waited behind it.
_CALM_S = 240.0
_LOOK_S = 0.05
_WORKER_WAIT_S = 2.0
_RETRY_S = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a campaign went. ``violations`` are sentences; none when all held."""

    seed: int
    fault_counts: dict[str, int]
    # Faults that found nothing to strike: no worker ran.
    missed_count: int
    job_states: dict[str, int]
    # Of the jobs that were not recorded.
    end_reasons: dict[str, int]
    calm_s: float
    wall_s: float
    # Of ``Kind``.
    kind: str = Kind.PLAIN.name
    # What was said of the jobs that ended otherwise and that nobody cancelled.
    sentences: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """Return it for a line of JSON."""
        return asdict(self)


class Campaign:
    """Runs once, in one thread; files lie below ``root``."""

    def __init__(
        self,
        root: Path,
        *,
        seed: int,
        fault_count: int,
        kind: Kind | None = None,
        left_out: frozenset[Fault] = frozenset(),
        flaw: Flaw | None = None,
    ) -> None:
        """Draw the faults; ``kind`` None is that of the seed, ``flaw`` what the programs do wrong on purpose."""
        self._root = root
        self._seed = seed
        self._kind = kind or kind_of(seed)
        self._flaw = flaw
        self._steps = schedule(
            seed,
            fault_count,
            device_count=DEVICE_COUNT,
            left_out=left_out | self._kind.left_out,
            most_controller_step_s=self._kind.most_clock_step_s,
        )
        self._violations: list[str] = []
        self._struck: Counter[str] = Counter()
        self._missed_count = 0
        self._rebooted: set[str] = set()
        # What ends a lasting fault, and when.
        self._endings: list[tuple[float, Callable[[], None]]] = []
        self._step_number = 0
        self._log = root / "steps.log"

    def run(self) -> Outcome:
        """Let everything go wrong and return what did not hold."""
        began_s = time.monotonic()
        with ExitStack() as stack:
            self._fleet = Fleet(self._root, stack, kind=self._kind, seed=self._seed, flaw=self._flaw)
            self._wait_until(self._fleet.is_online, _START_S, "the devices did not connect")
            self._add_models()
            for step in self._steps:
                self._step_number += 1
                self._pass(step.after_s)
                self._strike(step)
            calm_s = self._calm_down()
            self._stop()
        self._violations += bugs_in(node.log for node in self._fleet.nodes)
        self._violations += fallen_epochs(agent.log for agent in self._fleet.agents)
        ended = list(self._ended().values())
        return Outcome(
            seed=self._seed,
            fault_counts=dict(self._struck),
            missed_count=self._missed_count,
            job_states=dict(Counter(control_pb2.JobState.Name(job.state) for job in ended)),
            end_reasons=dict(Counter(job.error.reason for job in ended if job.error.reason)),
            calm_s=round(calm_s, 1),
            wall_s=round(time.monotonic() - began_s, 1),
            kind=self._kind.name,
            sentences=[str(job.error.message) for job in ended if job.error.reason not in {"", "cancelled"}],
            violations=self._violations,
        )

    def _add_models(self) -> None:
        models = self._root / "models"
        models.mkdir()
        linear_model(models / "linear.onnx")
        conv_model(models / "conv.onnx")
        for side in self._fleet.sides:
            side.book.add_models(sorted(models.iterdir()))

    # -- the faults -----------------------------------------------------------------------------------------------

    def _strike(self, step: Step) -> None:
        agent = self._fleet.agents[step.device_index]
        side = self._fleet.sides[step.device_index % len(self._fleet.sides)]
        match step.fault:
            case Fault.KILL_AGENT:
                agent.kill(again_in_s=step.lasting_s)
            case Fault.KILL_CONTROLLER:
                side.node.kill(again_in_s=step.lasting_s)
            case Fault.REBOOT:
                agent.reboot(again_in_s=step.lasting_s)
                self._rebooted.add(agent.name)
            case Fault.CUT | Fault.SILENCE | Fault.STALL | Fault.DELAY:
                self._disturb(step)
            case Fault.FILL_AGENT | Fault.FILL_CONTROLLER:
                disk = (agent if step.fault is Fault.FILL_AGENT else side.node).disk
                disk.fill()
                self._later(step.lasting_s, disk.free)
            case Fault.MOVE_AGENT_CLOCK | Fault.MOVE_CONTROLLER_CLOCK:
                (agent if step.fault is Fault.MOVE_AGENT_CLOCK else side.node).move_clock(step.moved_s)
            case Fault.KILL_WORKER | Fault.CANCEL | Fault.DRAIN:
                if not self._found_and_struck(step, side):
                    self._missed_count += 1
                    return
        self._struck[step.fault.name] += 1
        self._note(f"step {self._step_number}: {step}")

    def _disturb(self, step: Step) -> None:
        """Let something happen to a device's network: to its ways to every controller."""
        index = step.device_index
        for side in self._fleet.sides:
            networks = side.networks
            match step.fault:
                case Fault.CUT:
                    networks.cut(index)
                case Fault.SILENCE:
                    networks.go_silent(index)
                case Fault.STALL:
                    networks.stall(index)
                    self._later(step.lasting_s, partial(networks.go_on, index))
                case Fault.DELAY:
                    networks.delay(index, 0.15)
                    self._later(step.lasting_s, partial(networks.delay, index, 0.0))

    def _found_and_struck(self, step: Step, side: Side) -> bool:
        """Do what may find nothing to strike; return whether it did."""
        name = self._fleet.names[step.device_index]
        if step.fault is Fault.KILL_WORKER:
            return self._kill_worker()
        if step.fault is Fault.CANCEL:
            return side.book.cancel_one(name)
        drained = side.book.drain(name)
        # Also where nothing was heard: it may be drained.
        self._later(step.lasting_s, partial(self._resume, side, name))
        return drained

    def _resume(self, side: Side, name: str) -> None:
        if not side.book.resume(name):
            self._later(_RETRY_S, partial(self._resume, side, name))

    def _kill_worker(self) -> bool:
        deadline_s = time.monotonic() + _WORKER_WAIT_S
        while time.monotonic() < deadline_s:
            for agent in self._fleet.agents:
                for process in agent.workers():
                    process.kill()
                    return True
            self._look()
        return False

    def _later(self, after_s: float, what: Callable[[], None]) -> None:
        self._endings.append((time.monotonic() + after_s, what))

    # -- time passes ----------------------------------------------------------------------------------------------

    def _pass(self, duration_s: float) -> None:
        deadline_s = time.monotonic() + duration_s
        for side in self._fleet.sides:
            side.book.look()
            side.book.top_up()
        while time.monotonic() < deadline_s:
            self._look()
            time.sleep(_LOOK_S)

    def _look(self) -> None:
        """End what has lasted, start what should run, and note what died by itself."""
        now_s = time.monotonic()
        for ending in [one for one in self._endings if one[0] <= now_s]:
            self._endings.remove(ending)
            ending[1]()
        for node in self._fleet.nodes:
            if wrong := node.look():
                self._violate(wrong)

    def _calm_down(self) -> float:
        """Let all faults end, and wait for what must come then; return how long the jobs took."""
        began_s = time.monotonic()
        self._endings = [(0.0, what) for _, what in self._endings]
        self._wait_until(lambda: not self._endings, _CALM_S, "what was drained is not taken back")
        self._wait_until(self._are_taken, _CALM_S, "requests are not taken")
        self._wait_until(self._are_over, _CALM_S, lambda: f"jobs did not end: {self._open_jobs()}")
        calm_s = time.monotonic() - began_s
        outboxes = self._fleet.outboxes
        left = [f"{key.folder_name}" for key in waiting_rounds(outboxes)]
        self._wait_until(
            lambda: not list(waiting_rounds(outboxes)), _LEASE_TTL_S, f"rounds stay in outboxes, among {left}"
        )
        self._wait_until(lambda: not self._orphans(), 15, lambda: f"workers are left: {self._orphans()}")
        self._probe()
        return calm_s

    def _are_taken(self) -> bool:
        return not sum(side.book.submit_waiting() for side in self._fleet.sides)

    def _are_over(self) -> bool:
        return not sum(side.book.look() for side in self._fleet.sides)

    def _open_jobs(self) -> list[str]:
        return [f"{job_id} on {device}" for side in self._fleet.sides for job_id, device in side.book.open.items()]

    def _probe(self) -> None:
        """A device whose lease is stuck takes no job of another name within its time to live."""
        before = set(self._ended())
        for side in self._fleet.sides:
            for name in self._fleet.names:
                side.book.ask(name)
        self._wait_until(
            lambda: self._are_taken() and self._are_over(),
            _LEASE_TTL_S + 30,
            lambda: f"devices take no job although nothing runs: {self._open_jobs()}",
        )
        ended = self._ended()
        for job_id in set(ended) - before:
            job = ended[job_id]
            if job.state != control_pb2.JOB_STATE_RECORDED:
                self._violate(
                    f"job {job_id} ended with {job.error.reason!r} ({job.error.message}) although all is well"
                )

    def _ended(self) -> dict[str, control_pb2.Job]:
        return {job_id: job for side in self._fleet.sides for job_id, job in side.book.ended.items()}

    def _stop(self) -> None:
        fleet = self._fleet
        for node in (*fleet.agents, *(side.node for side in fleet.sides)):
            if wrong := node.stop():
                self._violate(wrong)
        for process in orphans(self._root, set()):
            self._violate(f"worker {process.pid} outlives its agent")
        agents = [agent.state for agent in fleet.agents]
        self._violations += half_written([side.node.state for side in fleet.sides], agents)
        for side in fleet.sides:
            book = side.book
            self._violations += lost_or_doubled(side.node.state, book.ended, book.request_count, fleet.watch.seen)
            self._violations += unknown_boots(side.node.state, self._rebooted)
        self._violations += strangers(fleet.watch.seen, set(self._ended()))

    def _orphans(self) -> list[int]:
        wanted = {pid for agent in self._fleet.agents for pid in agent.pids()}
        return [process.pid for process in orphans(self._root, wanted)]

    def _wait_until(self, condition: Callable[[], bool], timeout_s: float, otherwise: str | Callable[[], str]) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            self._look()
            if time.monotonic() > deadline_s:
                self._violate(otherwise if isinstance(otherwise, str) else otherwise())
                return
            time.sleep(_LOOK_S)

    def _violate(self, what: str) -> None:
        sentence = f"seed {self._seed}, step {self._step_number}: {what}"
        self._violations.append(sentence)
        self._note(sentence)

    def _note(self, line: str) -> None:
        with self._log.open("a") as log:
            log.write(f"{time.strftime('%H:%M:%S')} {line}\n")

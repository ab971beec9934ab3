"""One campaign: a controller, three agents and their jobs; faults by a seed; then calm, and what must hold."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from steelyard_protocol.v1 import control_pb2
from tests.chaos.evidence import (
    OutboxWatch,
    bugs_in,
    fallen_epochs,
    half_written,
    lost_or_doubled,
    orphans,
    waiting_rounds,
)
from tests.chaos.faults import Fault, Step, schedule
from tests.chaos.job_book import JobBook
from tests.chaos.network import Networks
from tests.chaos.node import Node
from tests.support.models import conv_model, linear_model

DEVICE_COUNT = 3
_LEASE_TTL_S = 45.0
_START_S = 60.0
# A half-open connection, then a lease that runs out, then the jobs that waited behind it.
_CALM_S = 240.0
_LOOK_S = 0.05
_WORKER_WAIT_S = 2.0


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
    violations: list[str] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """Return it for a line of JSON."""
        return asdict(self)


class Campaign:
    """Runs once, in one thread; files lie below ``root``."""

    def __init__(self, root: Path, *, seed: int, fault_count: int, left_out: frozenset[Fault] = frozenset()) -> None:
        self._root = root
        self._seed = seed
        self._steps = schedule(seed, fault_count, device_count=DEVICE_COUNT, left_out=left_out)
        self._violations: list[str] = []
        self._struck: Counter[str] = Counter()
        self._missed_count = 0
        # What ends a lasting fault, and when.
        self._endings: list[tuple[float, Callable[[], None]]] = []
        self._step_number = 0
        self._log = root / "steps.log"

    def run(self) -> Outcome:
        """Let everything go wrong and return what did not hold."""
        began_s = time.monotonic()
        with ExitStack() as stack:
            self._build(stack)
            self._wait_until(lambda: self._book.online() == set(self._names), _START_S, "the devices did not connect")
            self._book.add_models(self._models())
            for step in self._steps:
                self._step_number += 1
                self._pass(step.after_s)
                self._strike(step)
            calm_s = self._calm_down()
            self._stop()
        self._violations += bugs_in(node.log for node in self._nodes)
        self._violations += fallen_epochs(agent.log for agent in self._agents)
        return Outcome(
            seed=self._seed,
            fault_counts=dict(self._struck),
            missed_count=self._missed_count,
            job_states=dict(Counter(control_pb2.JobState.Name(job.state) for job in self._book.ended.values())),
            end_reasons=dict(Counter(job.error.reason for job in self._book.ended.values() if job.error.reason)),
            calm_s=round(calm_s, 1),
            wall_s=round(time.monotonic() - began_s, 1),
            violations=self._violations,
        )

    # -- the fleet ------------------------------------------------------------------------------------------------

    def _build(self, stack: ExitStack) -> None:
        self._root.mkdir(parents=True)
        port = _free_port()
        self._networks = stack.enter_context(Networks(port, DEVICE_COUNT))
        arguments = ["--state-directory", "{state}", "--listen", f"127.0.0.1:{port}", "serve"]
        self._controller = Node("controller", self._root, "steelyard", arguments)
        self._names = tuple(f"board-{index}" for index in range(DEVICE_COUNT))
        self._agents = []
        for name, proxy in zip(self._names, self._networks.proxies, strict=True):
            dial = ["run", "--controller", f"127.0.0.1:{proxy.port}", "--name", name, "--state-directory", "{state}"]
            self._agents.append(Node(name, self._root, "steelyard_agent", dial))
        self._nodes = [self._controller, *self._agents]
        for node in self._nodes:
            stack.callback(node.close)
            node.start()
        self._outboxes = [agent.state / "outbox" for agent in self._agents]
        self._watch = stack.enter_context(OutboxWatch(self._outboxes))
        self._book = JobBook(self._controller.state, self._names, self._seed)

    def _models(self) -> list[Path]:
        models = self._root / "models"
        models.mkdir()
        linear_model(models / "linear.onnx")
        conv_model(models / "conv.onnx")
        return sorted(models.iterdir())

    # -- the faults -----------------------------------------------------------------------------------------------

    def _strike(self, step: Step) -> None:
        agent, index = self._agents[step.device_index], step.device_index
        networks, controller = self._networks, self._controller
        match step.fault:
            case Fault.KILL_AGENT:
                agent.kill(again_in_s=step.lasting_s)
            case Fault.KILL_WORKER:
                if not self._kill_worker():
                    self._missed_count += 1
                    return
            case Fault.KILL_CONTROLLER:
                controller.kill(again_in_s=step.lasting_s)
            case Fault.REBOOT:
                agent.reboot(again_in_s=step.lasting_s)
            case Fault.CUT:
                networks.cut(index)
            case Fault.SILENCE:
                networks.go_silent(index)
            case Fault.STALL:
                networks.stall(index)
                self._later(step.lasting_s, lambda: networks.go_on(index))
            case Fault.DELAY:
                networks.delay(index, 0.15)
                self._later(step.lasting_s, lambda: networks.delay(index, 0.0))
            case Fault.FILL_AGENT | Fault.FILL_CONTROLLER:
                disk = (agent if step.fault is Fault.FILL_AGENT else controller).disk
                disk.fill()
                self._later(step.lasting_s, disk.free)
            case Fault.MOVE_AGENT_CLOCK | Fault.MOVE_CONTROLLER_CLOCK:
                (agent if step.fault is Fault.MOVE_AGENT_CLOCK else controller).move_clock(step.moved_s)
        self._struck[step.fault.name] += 1
        self._note(f"step {self._step_number}: {step}")

    def _kill_worker(self) -> bool:
        deadline_s = time.monotonic() + _WORKER_WAIT_S
        while time.monotonic() < deadline_s:
            for agent in self._agents:
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
        self._book.look()
        self._book.top_up()
        while time.monotonic() < deadline_s:
            self._look()
            time.sleep(_LOOK_S)

    def _look(self) -> None:
        """End what has lasted, start what should run, and note what died by itself."""
        now_s = time.monotonic()
        for ending in [one for one in self._endings if one[0] <= now_s]:
            self._endings.remove(ending)
            ending[1]()
        for node in self._nodes:
            if wrong := node.look():
                self._violate(wrong)

    def _calm_down(self) -> float:
        """Let all faults end, and wait for what must come then; return how long the jobs took."""
        began_s = time.monotonic()
        self._endings = [(0.0, what) for _, what in self._endings]
        self._wait_until(lambda: not self._book.submit_waiting(), _CALM_S, "requests are not taken")
        self._wait_until(lambda: not self._book.look(), _CALM_S, lambda: f"jobs did not end: {self._book.open}")
        calm_s = time.monotonic() - began_s
        left = [f"{key.folder_name}" for key in waiting_rounds(self._outboxes)]
        self._wait_until(
            lambda: not list(waiting_rounds(self._outboxes)), _LEASE_TTL_S, f"rounds stay in outboxes, among {left}"
        )
        self._wait_until(lambda: not self._orphans(), 15, lambda: f"workers are left: {self._orphans()}")
        self._probe()
        return calm_s

    def _probe(self) -> None:
        """A device whose lease is stuck takes no job of another name within its time to live."""
        before = set(self._book.ended)
        for name in self._names:
            self._book.ask(name)
        self._wait_until(
            lambda: not self._book.submit_waiting() and not self._book.look(),
            _LEASE_TTL_S + 30,
            lambda: f"devices take no job although nothing runs: {self._book.open}",
        )
        for job_id in set(self._book.ended) - before:
            job = self._book.ended[job_id]
            if job.state != control_pb2.JOB_STATE_RECORDED:
                self._violate(
                    f"job {job_id} ended with {job.error.reason!r} ({job.error.message}) although all is well"
                )

    def _stop(self) -> None:
        for node in (*self._agents, self._controller):
            if wrong := node.stop():
                self._violate(wrong)
        for process in orphans(self._root, set()):
            self._violate(f"worker {process.pid} outlives its agent")
        states = [agent.state for agent in self._agents]
        self._violations += half_written(self._controller.state, states)
        self._violations += lost_or_doubled(
            self._controller.state, self._book.ended, self._book.request_count, self._watch.seen
        )

    def _orphans(self) -> list[int]:
        wanted = {pid for agent in self._agents for pid in agent.pids()}
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


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])

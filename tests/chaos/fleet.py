"""The fleet of a campaign: its controllers, its devices, and the networks between them."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tests.chaos.evidence import OutboxWatch
from tests.chaos.faults import Fault
from tests.chaos.flaws import Flaw
from tests.chaos.job_book import JobBook
from tests.chaos.moved_world import World
from tests.chaos.network import Networks
from tests.chaos.node import Node
from tests.support.addresses import free_ports

DEVICE_COUNT = 3
_START_S = 60.0
_LOOK_S = 0.05
# Renewed after half a minute: every device does it within a campaign, and one that was away comes by its old key.
_SHORT_LIFE_S = 45.0
_HOUR_S = 3600.0


class Kind(Enum):
    """How the devices of a campaign are known to whom."""

    PLAIN = "one controller on loopback, without certificates"
    RENEWED = "one controller, certificates that end after 45 s"
    SHARED = "two controllers that want the same devices, with certificates"

    @property
    def left_out(self) -> frozenset[Fault]:
        """Faults that a test cannot make: TLS looks at the real clock, by which short certificates would have ended."""
        return frozenset({Fault.MOVE_CONTROLLER_CLOCK}) if self is Kind.RENEWED else frozenset()

    @property
    def most_clock_step_s(self) -> float | None:
        """By how much a controller's clock moves at most at once; None: by as much as any clock."""
        return _HOUR_S if self is Kind.SHARED else None


def kind_of(seed: int) -> Kind:
    """Return the kind of a seed's campaign: each comes every third time."""
    return tuple(Kind)[seed % len(Kind)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One controller, its jobs, and the network between it and each device."""

    node: Node
    networks: Networks
    book: JobBook
    # "HOST:PORT" that devices are told to dial; the way there leads through the network.
    address: str


class Fleet:
    """Starts everything; ``sides`` has one controller or two. Used from one thread."""

    def __init__(self, root: Path, stack: ExitStack, *, kind: Kind, seed: int, flaw: Flaw | None = None) -> None:
        """Build it below ``root`` and let ``stack`` end it; ``flaw`` is what the programs do wrong on purpose."""
        root.mkdir(parents=True)
        self._root, self._stack, self._kind = root, stack, kind
        self._flaw_name = flaw.name if flaw else ""
        self.names = tuple(f"board-{index}" for index in range(DEVICE_COUNT))
        self.sides = [self._side(number, seed) for number in range(2 if kind is Kind.SHARED else 1)]
        self.agents = [self._agent(index) for index in range(DEVICE_COUNT)]
        self.nodes = [*(side.node for side in self.sides), *self.agents]
        for side in self.sides:
            side.node.start()
        if kind is not Kind.PLAIN:
            self._enroll()
        for agent in self.agents:
            agent.start()
        self.outboxes = [agent.state / "outbox" for agent in self.agents]
        self.watch = stack.enter_context(OutboxWatch(self.outboxes))

    def is_online(self) -> bool:
        """Tell whether every device is connected to every controller, each through its network."""
        proxies = [proxy for side in self.sides for proxy in side.networks.proxies]
        connected = all(side.book.online() == set(self.names) for side in self.sides)
        return connected and all(proxy.traffic.connection_count for proxy in proxies)

    def _side(self, number: int, seed: int) -> Side:
        name = f"controller-{number}"
        plain, secure, enrolling = (f"127.0.0.1:{port}" for port in free_ports(3))
        arguments = ["--state-directory", "{state}", "--listen", plain, "serve"]
        if self._kind is not Kind.PLAIN:
            arguments += ["--secure-listen", secure, "--enroll-listen", enrolling, "--advertise", "127.0.0.1"]
        world = World(
            certificate_life_s=_SHORT_LIFE_S if self._kind is Kind.RENEWED else 0.0,
            flaw=self._flaw_name,
        )
        node = Node(name, self._root, "steelyard", arguments, world=world)
        self._stack.callback(node.close)
        address = plain if self._kind is Kind.PLAIN else secure
        networks = self._stack.enter_context(Networks(int(address.rpartition(":")[2]), DEVICE_COUNT))
        # The second one is content with less: the device is also the first one's.
        book = JobBook(node.state, self.names, f"{seed}/{number}", depth=2 - number)
        return Side(node=node, networks=networks, book=book, address=address)

    def _agent(self, index: int) -> Node:
        arguments = ["run", "--name", self.names[index], "--state-directory", "{state}"]
        ways = {side.address: f"127.0.0.1:{side.networks.proxies[index].port}" for side in self.sides}
        if self._kind is Kind.PLAIN:
            arguments += ["--controller", *ways.values()]
        world = World(detours=ways, flaw=self._flaw_name)
        node = Node(self.names[index], self._root, "steelyard_agent", arguments, world=world)
        self._stack.callback(node.close)
        return node

    def _enroll(self) -> None:
        deadline_s = time.monotonic() + _START_S
        for side in self.sides:
            while (code := side.book.invitation(DEVICE_COUNT)) is None:
                if time.monotonic() > deadline_s:
                    raise AssertionError(f"{side.node.name} did not start; see {side.node.log}")
                time.sleep(_LOOK_S)
            # One after the other for each device, and the devices at once.
            joining = [subprocess.Popen(_enrolling(agent, code), stdout=subprocess.DEVNULL) for agent in self.agents]
            if any(process.wait(_START_S) for process in joining):
                raise AssertionError(f"a device did not join {side.node.name}; see {side.node.log}")


def _enrolling(agent: Node, code: str) -> list[str]:
    words = ["enroll", code, "--name", agent.name, "--state-directory", str(agent.state)]
    return [sys.executable, "-m", "steelyard_agent", *words]

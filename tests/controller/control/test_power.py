"""Switching supplies by hand, and of devices that hang, with a fake clock and relays that remember."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from steelyard.control import power as power_module
from steelyard.control.power import CYCLED, Power
from steelyard.control.power_watch import BOOT_S, SILENCE_S, PowerWatch
from steelyard.control.shelf import Shelf
from steelyard.errors import UsageError
from steelyard.fleet.registry import DeviceLink, Fleet
from steelyard.power_switches.contract import PowerError, PowerSwitch
from steelyard.store.store import Store
from steelyard.store.worker import AsyncStore
from steelyard_protocol.v1 import control_pb2, fleet_pb2, health_pb2, session_pb2
from tests.controller.fleet.scripted_agent import hello_of

DEVICE = "dev-0001"
HOUR_NS = 3600 * 10**9


class Sleeper:
    """Sleeps that end when the test says so."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._changed = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._changed.set()
        await future

    async def pass_one(self) -> float:
        """Let the oldest sleep end, once somebody sleeps; return how long it was to be."""
        while not any(not one.done() for one in self._waiting):
            self._changed.clear()
            await asyncio.wait_for(self._changed.wait(), 60)
        index = next(number for number, one in enumerate(self._waiting) if not one.done())
        self._waiting[index].set_result(None)
        return self.asked[index]


class Contact:
    """A switch that notes what it was told; ``failures`` of its next turns fail."""

    def __init__(self) -> None:
        self.turns: list[bool] = []
        self.failures = 0

    def turn(self, on: bool) -> None:
        self.turns.append(on)
        if self.failures:
            self.failures -= 1
            raise PowerError("power_switch_silent", "the switch at http://plug did not answer within 3 s")


class Bench:
    """A store, a fleet with one device that has a switch, and what watches it."""

    def __init__(self, store: AsyncStore) -> None:
        self.store = store
        self.now_ns = 1_790_000_000 * 10**9
        self.sleeper = Sleeper()
        self.fleet = Fleet()
        self.power = Power(store, sleep=self.sleeper)
        self.watch = PowerWatch(
            store=store, fleet=self.fleet, power=self.power, clock_ns=lambda: self.now_ns, sleep=self.sleeper
        )
        self.fleet.watchers.append(self.watch)
        self.link = DeviceLink(DEVICE, "pi5")

    async def allow(self, most: int) -> None:
        switch = health_pb2.PowerSwitch(address="tasmota://plug", most_cycles_an_hour=most)
        await self.store.call(lambda store: store.fleet.rules.set_switch(DEVICE, switch))

    async def connect(self, *, job_id: str = "job-0001") -> None:
        self.link = DeviceLink(DEVICE, "pi5")
        lease = session_pb2.Lease(job_id=job_id) if job_id else None
        await self.fleet.attach(self.link, hello_of(DEVICE, "pi5", lease=lease))

    async def lose(self, reason: str = "it went silent") -> None:
        await self.fleet.detach(self.link, reason)

    async def lines(self, kind: str) -> list[str]:
        events, _ = await self.store.call(lambda store: store.fleet.log.page(DEVICE))
        return [one.message for one in reversed(events) if one.kind == kind]

    async def cycled(self) -> None:
        """Let one cycle of a hung device go through: its pause, and the wait for it to boot begins."""
        assert await self.sleeper.pass_one() == power_module.PAUSE_S


@pytest.fixture
def contact(monkeypatch: pytest.MonkeyPatch) -> Contact:
    made = Contact()
    monkeypatch.setattr(
        power_module, "make_switch", lambda address: PowerSwitch(description=f"plug {address}", turn=made.turn)
    )
    return made


@pytest.fixture
async def bench(tmp_path: Path, contact: Contact) -> AsyncIterator[Bench]:
    clock_ns = 1_790_000_000 * 10**9
    store = AsyncStore(tmp_path / "store.db", clock_ns=lambda: clock_ns)
    await store.open()
    await store.call(Store.put_device, hello_of(DEVICE, "pi5").device, "0.1.0")
    made = Bench(store)
    yield made
    await made.watch.close()
    await made.power.close()
    await store.close()


async def test_a_cycle_is_off_a_pause_and_on_and_stands_in_the_history(bench: Bench, contact: Contact) -> None:
    await bench.allow(0)
    device = await bench.store.call(Store.find_device, "pi5")
    cycling = asyncio.ensure_future(bench.power.cycle(device, "somebody asked for it"))
    await bench.cycled()
    await cycling
    assert contact.turns == [False, True]
    (line,) = await bench.lines(CYCLED)
    assert line == "its supply is switched off and on by plug tasmota://plug: somebody asked for it"


async def test_a_switch_that_fails_once_is_told_again_to_go_on(bench: Bench, contact: Contact) -> None:
    await bench.allow(0)
    device = await bench.store.call(Store.find_device, "pi5")
    cycling = asyncio.ensure_future(bench.power.cycle(device, "why not"))
    while contact.turns != [False]:
        await asyncio.sleep(0.001)
    contact.failures = 1
    await bench.cycled()
    await bench.cycled()
    await cycling
    assert contact.turns == [False, True, True]


async def test_a_device_that_may_be_off_is_told(bench: Bench, contact: Contact) -> None:
    await bench.allow(0)
    device = await bench.store.call(Store.find_device, "pi5")
    contact.failures = 100
    cycling = asyncio.ensure_future(bench.power.cycle(device, "why not"))
    for _ in range(2):
        await bench.cycled()
    with pytest.raises(PowerError, match="did not answer"):
        await cycling
    assert contact.turns == [False, True, True, True]
    assert "its supply may be off" in (await bench.lines("power"))[-1]


async def test_a_controller_that_ends_meanwhile_switches_on_first(bench: Bench, contact: Contact) -> None:
    await bench.allow(0)
    device = await bench.store.call(Store.find_device, "pi5")
    cycling = asyncio.ensure_future(bench.power.cycle(device, "why not"))
    while not bench.sleeper.asked:
        await asyncio.sleep(0.001)
    cycling.cancel()
    await bench.power.close()
    with pytest.raises(asyncio.CancelledError):
        await cycling
    assert contact.turns == [False, True]


async def test_a_device_that_falls_silent_while_a_job_holds_it_is_cycled(bench: Bench, contact: Contact) -> None:
    await bench.allow(3)
    await bench.connect()
    await bench.lose()
    assert await bench.sleeper.pass_one() == SILENCE_S
    await bench.cycled()
    while contact.turns != [False, True]:
        await asyncio.sleep(0.001)
    (line,) = await bench.lines(CYCLED)
    assert "fell silent while a job held it (it went silent)" in line
    await bench.connect()
    await bench.watch.close()
    assert contact.turns == [False, True]


async def test_a_device_that_stays_away_is_cycled_again_up_to_its_bound_and_then_left_alone(
    bench: Bench, contact: Contact
) -> None:
    await bench.allow(2)
    await bench.connect()
    await bench.lose()
    assert await bench.sleeper.pass_one() == SILENCE_S
    for _ in range(2):
        await bench.cycled()
        assert await bench.sleeper.pass_one() == BOOT_S
    while not await bench.lines("power"):
        await asyncio.sleep(0.001)
    assert "2 times within an hour" in (await bench.lines("power"))[0]
    assert contact.turns == [False, True] * 2


async def test_an_hour_later_it_may_be_cycled_again(bench: Bench, contact: Contact) -> None:
    await bench.allow(1)
    await bench.store.call(lambda store: store.fleet.log.append(DEVICE, CYCLED, "an hour ago"))
    bench.now_ns += HOUR_NS + 1
    await bench.connect()
    await bench.lose()
    assert await bench.sleeper.pass_one() == SILENCE_S
    await bench.cycled()
    await bench.power.close()
    assert contact.turns == [False, True]


@pytest.mark.parametrize(
    ("most", "job_id", "reason"),
    [
        (0, "job-0001", "it went silent"),
        (3, "", "it went silent"),
        (3, "job-0001", "goodbye: the agent was stopped"),
    ],
    ids=["not allowed", "no job", "said goodbye"],
)
async def test_a_device_that_does_not_hang_is_left_alone(
    bench: Bench, contact: Contact, most: int, job_id: str, reason: str
) -> None:
    await bench.allow(most)
    await bench.connect(job_id=job_id)
    await bench.lose(reason)
    if most == 0:
        assert await bench.sleeper.pass_one() == SILENCE_S
    while bench.watch._waiting:
        await asyncio.sleep(0.001)
    assert contact.turns == []
    assert await bench.lines(CYCLED) == []


async def test_a_device_that_comes_back_in_time_is_left_alone(bench: Bench, contact: Contact) -> None:
    await bench.allow(3)
    await bench.connect()
    await bench.lose()
    while not bench.sleeper.asked:
        await asyncio.sleep(0.001)
    await bench.connect()
    assert bench.watch._waiting == {}
    assert contact.turns == []


async def test_a_job_that_took_its_lease_a_moment_ago_counts_as_well(bench: Bench, contact: Contact) -> None:
    await bench.allow(3)
    await bench.connect(job_id="")
    presence = bench.fleet.presence(DEVICE)
    assert presence is not None
    presence.quiet_s = 30.0
    await bench.lose()
    assert await bench.sleeper.pass_one() == SILENCE_S
    await bench.cycled()
    await bench.power.close()
    assert contact.turns == [False, True]


async def leave_behind(bench: Bench, *, epoch: int, last_line: str) -> None:
    """Leave what a controller leaves that was killed while a job was for the device."""

    job = control_pb2.Job(job_id="job-0001", kind=control_pb2.JOB_KIND_MEASUREMENT, device="pi5", device_id=DEVICE)

    def write(store: Store) -> None:
        store.create_job(job, b"", "request")
        if epoch:
            store.fleet.leases.raise_to(DEVICE, "job-0001", epoch)
        store.fleet.log.append(DEVICE, "left" if last_line.startswith("left") else "connected", last_line)

    await bench.store.call(write)


@pytest.mark.parametrize("last_line", ["connected, agent 0.1.0", "left: it went silent"])
async def test_a_device_that_hung_before_the_controller_was_started_again_is_cycled(
    bench: Bench, contact: Contact, last_line: str
) -> None:
    await bench.allow(1)
    await leave_behind(bench, epoch=3, last_line=last_line)
    await bench.watch.expect_held()
    assert await bench.sleeper.pass_one() == SILENCE_S
    await bench.cycled()
    await bench.power.close()
    assert contact.turns == [False, True]
    assert "did not come back to a controller that was started again" in (await bench.lines(CYCLED))[0]


@pytest.mark.parametrize(
    ("epoch", "last_line", "is_back"),
    [(0, "connected", False), (3, "left: goodbye: the agent was stopped", False), (3, "connected", True)],
    ids=["no lease", "said goodbye", "is back"],
)
async def test_a_device_that_does_not_hang_is_left_alone_by_a_controller_that_starts(
    bench: Bench, epoch: int, last_line: str, is_back: bool
) -> None:
    await bench.allow(1)
    await leave_behind(bench, epoch=epoch, last_line=last_line)
    if is_back:
        await bench.connect()
    await bench.watch.expect_held()
    assert bench.watch._waiting == {}


@pytest.fixture
def shelf(bench: Bench) -> Shelf:
    class Found:
        """Devices as the store has them."""

        async def find(self, text: str):
            return await bench.store.call(Store.find_device, text)

    return Shelf(store=bench.store, fleet=bench.fleet, devices=Found(), power=bench.power)  # type: ignore[arg-type]


async def test_somebody_switches_a_device_off_and_on(bench: Bench, contact: Contact, shelf: Shelf) -> None:
    await bench.allow(0)
    await shelf.switch_power("pi5", fleet_pb2.POWER_ACTION_OFF)
    await shelf.switch_power("pi5", fleet_pb2.POWER_ACTION_ON)
    assert contact.turns == [False, True]
    assert [line.partition(" by ")[0] for line in await bench.lines("power")] == [
        "its supply was switched off",
        "its supply was switched on",
    ]


@pytest.mark.parametrize(
    ("action", "reason"),
    [(fleet_pb2.POWER_ACTION_ON, "no_power_switch"), (fleet_pb2.POWER_ACTION_UNSPECIFIED, "no_power_action")],
)
async def test_what_cannot_be_switched_is_refused(
    bench: Bench, contact: Contact, shelf: Shelf, action: fleet_pb2.PowerAction.ValueType, reason: str
) -> None:
    with pytest.raises(UsageError) as refused:
        await shelf.switch_power("pi5", action)
    assert refused.value.reason == reason
    assert contact.turns == []


@pytest.mark.parametrize(
    ("address", "most", "reason"),
    [("relay://x", 0, "bad_switch"), ("tasmota://plug", 61, "bad_cycle_count")],
)
async def test_a_switch_that_makes_no_sense_is_refused(
    bench: Bench, shelf: Shelf, address: str, most: int, reason: str
) -> None:
    with pytest.raises(UsageError) as refused:
        await shelf.set_switch("pi5", health_pb2.PowerSwitch(address=address, most_cycles_an_hour=most))
    assert refused.value.reason == reason

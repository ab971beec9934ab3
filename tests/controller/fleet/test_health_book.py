"""The book of health over sessions that follow each other, with a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from steelyard.fleet.health_book import HealthBook
from steelyard.fleet.registry import DeviceLink, Fleet
from steelyard.store.store import Store
from steelyard.store.worker import AsyncStore
from steelyard_protocol.v1 import common_pb2, session_pb2
from tests.controller.fleet.scripted_agent import hello_of

DEVICE = "dev-0001"


class Book:
    """A fleet with its book, and sessions of one device."""

    def __init__(self, store: AsyncStore) -> None:
        self.store = store
        self.fleet = Fleet()
        self.book = HealthBook(store)
        self.fleet.watchers.append(self.book)

    async def hello(self, run: str = "run-1") -> tuple[DeviceLink, session_pb2.Hello]:
        """Say hello; the session is not attached yet."""
        hello = hello_of(DEVICE, "pi5", run_id=run)
        await self.book.hello(hello)
        await self.store.call(Store.put_device, hello.device, hello.agent_version)
        return DeviceLink(DEVICE, "pi5"), hello

    async def connect(self, run: str = "run-1") -> DeviceLink:
        link, hello = await self.hello(run)
        await self.fleet.attach(link, hello)
        return link

    async def kinds(self) -> list[str]:
        await self.book.close()
        events, _ = await self.store.call(lambda store: store.fleet.log.page(DEVICE))
        return [one.kind for one in reversed(events)]


@pytest.fixture
async def book(tmp_path: Path) -> AsyncIterator[Book]:
    store = AsyncStore(tmp_path / "store.db")
    await store.open()
    made = Book(store)
    yield made
    await made.book.close()
    await store.close()


async def test_a_device_that_comes_and_goes_leaves_lines_and_its_health(book: Book) -> None:
    link = await book.connect()
    weak = common_pb2.Reading(name="under_voltage", value=1.0, unit="1", status=common_pb2.READING_STATUS_MEASURED)
    book.fleet.seen(DEVICE, session_pb2.Heartbeat(readings=[weak]))
    health = book.book.of(DEVICE)
    assert health is not None
    assert health.under_voltage
    await book.fleet.detach(link, "it went silent")
    assert await book.kinds() == ["connected", "under_voltage", "left"]
    assert book.book.of(DEVICE) is None
    assert (await book.store.call(Store.find_device, DEVICE)).health.under_voltage_since_boot


async def test_when_a_device_last_spoke_is_kept_when_it_goes_and_not_only_when_it_comes(book: Book) -> None:
    link = await book.connect()
    came_ns = (await book.store.call(Store.find_device, DEVICE)).last_seen.ToNanoseconds()
    presence = book.fleet.presence(DEVICE)
    assert presence is not None
    presence.last_seen_ns = spoke_ns = came_ns + 3_600_000_000_000
    await book.fleet.detach(link, "it went silent")
    await book.book.close()
    assert (await book.store.call(Store.find_device, DEVICE)).last_seen.ToNanoseconds() == spoke_ns

    await book.store.call(lambda store: store.fleet.rules.note_seen(DEVICE, came_ns))
    assert (await book.store.call(Store.find_device, DEVICE)).last_seen.ToNanoseconds() == spoke_ns


async def test_a_session_that_ends_after_the_next_one_said_hello_takes_nothing_from_it(book: Book) -> None:
    old = await book.connect("run-1")
    link, hello = await book.hello("run-2")
    await book.fleet.detach(old, "the connection broke")
    await book.fleet.attach(link, hello)
    health = book.book.of(DEVICE)
    assert health is not None
    assert (health.run_id, health.restart_count, health.session_count) == ("run-2", 1, 2)
    await book.book.close()
    stored = (await book.store.call(Store.find_device, DEVICE)).health
    assert (stored.run_id, stored.restart_count, stored.session_count) == ("run-2", 1, 2)
    assert await book.kinds() == ["connected", "restart", "connected", "left"]


async def test_the_same_run_that_comes_back_is_no_restart(book: Book) -> None:
    for _ in range(3):
        link = await book.connect("run-1")
        await book.fleet.detach(link, "the connection broke")
        await book.book.close()
    stored = (await book.store.call(Store.find_device, DEVICE)).health
    assert (stored.session_count, stored.restart_count) == (3, 0)


async def test_a_hello_that_never_became_a_session_is_forgotten_by_the_next(book: Book) -> None:
    await book.hello("run-1")
    assert book.book.of(DEVICE) is None
    await book.connect("run-2")
    health = book.book.of(DEVICE)
    assert health is not None
    assert health.run_id == "run-2"

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from steelyard.errors import NotFoundError
from steelyard.store.errors import StoreError
from steelyard.store.store import Store
from steelyard.store.worker import AsyncStore
from tests.controller.store import messages
from tests.controller.store.messages import RUNNING


class Gate:
    """Keeps the store's thread busy until the test has queued what it wants."""

    def __init__(self) -> None:
        self._entered = threading.Event()
        self._open = threading.Event()

    def wait_inside(self, _store: Store) -> None:
        self._entered.set()
        self._open.wait(60)

    async def hold(self, store: AsyncStore) -> asyncio.Task[None]:
        """Return once the store's thread waits in here."""
        call = asyncio.create_task(store.call(self.wait_inside))
        await asyncio.to_thread(self._entered.wait, 60)
        return call

    def open(self) -> None:
        self._open.set()


async def opened(path: Path) -> AsyncStore:
    store = AsyncStore(path)
    await store.open()
    return store


async def queued(*calls: asyncio.Task[Any]) -> None:
    """Return once the calls wait behind the gate: each has run up to its future."""
    await asyncio.sleep(0)
    assert not any(call.done() for call in calls)


async def test_what_a_call_wrote_is_there_for_another_connection_when_it_returns(tmp_path: Path) -> None:
    store = await opened(tmp_path / "store.db")
    await store.call(Store.create_job, messages.job(), b"", "r1")
    await store.call(Store.transition, "job-0001", RUNNING, message="go")
    other = Store(tmp_path / "store.db")
    assert other.get_job("job-0001").state == RUNNING
    other.close()
    await store.close()


async def test_calls_that_waited_together_each_get_their_own_answer(tmp_path: Path) -> None:
    store = await opened(tmp_path / "store.db")
    gate = Gate()
    blocked = await gate.hold(store)
    calls = [
        asyncio.create_task(store.call(Store.put_artifact, messages.artifact(f"artifact {number}")))
        for number in range(100)
    ]
    wrong = asyncio.create_task(store.call(Store.find_artifact, "nobody"))
    await queued(*calls, wrong)
    gate.open()
    names = [artifact.name for artifact in await asyncio.gather(*calls)]
    assert names == [f"artifact {number}" for number in range(100)]
    with pytest.raises(NotFoundError):
        await wrong
    await blocked
    page, _ = await store.call(Store.list_artifacts, 500)
    assert len(page) == 100
    await store.close()


async def test_calls_that_waited_together_share_a_commit(tmp_path: Path) -> None:
    store = await opened(tmp_path / "store.db")
    gate = Gate()
    seen: list[int] = []

    def count_for_others(_store: Store) -> None:
        other = Store(tmp_path / "store.db")
        seen.append(len(other.list_artifacts()[0]))
        other.close()

    blocked = await gate.hold(store)
    calls = [
        asyncio.create_task(store.call(Store.put_artifact, messages.artifact("first"))),
        asyncio.create_task(store.call(count_for_others)),
    ]
    await queued(*calls)
    gate.open()
    await asyncio.gather(blocked, *calls)
    assert seen == [0]
    await store.close()


async def test_a_batch_that_meets_a_full_disk_runs_again_call_by_call(tmp_path: Path) -> None:
    store = await opened(tmp_path / "store.db")
    gate = Gate()
    failures = [1]

    def fail_once(inner: Store) -> str:
        inner.put_artifact(messages.artifact("of the one that fails"))
        if failures:
            failures.pop()
            raise StoreError("disk_full", "no space")
        return "second time"

    def fail_always(inner: Store) -> None:
        inner.put_artifact(messages.artifact("never"))
        raise StoreError("disk_full", "no space")

    blocked = await gate.hold(store)
    first = asyncio.create_task(store.call(Store.put_artifact, messages.artifact("first")))
    once = asyncio.create_task(store.call(fail_once))
    always = asyncio.create_task(store.call(fail_always))
    await queued(first, once, always)
    gate.open()
    assert (await first).name == "first"
    assert await once == "second time"
    with pytest.raises(StoreError, match="no space"):
        await always
    await blocked
    names = {artifact.name for artifact in (await store.call(Store.list_artifacts))[0]}
    assert {"first", "of the one that fails"} <= names
    await store.close()


async def test_a_call_that_is_cancelled_while_it_waits_is_not_run(tmp_path: Path) -> None:
    store = await opened(tmp_path / "store.db")
    gate = Gate()
    blocked = await gate.hold(store)
    waiting = asyncio.create_task(store.call(Store.put_artifact, messages.artifact("cancelled")))
    await queued(waiting)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.open()
    await blocked
    assert await store.call(Store.list_artifacts) == ([], "")
    await store.close()


async def test_close_finishes_what_waits_and_refuses_what_comes_later(tmp_path: Path) -> None:
    store = await opened(tmp_path / "store.db")
    gate = Gate()
    blocked = await gate.hold(store)
    waiting = [
        asyncio.create_task(store.call(Store.put_artifact, messages.artifact(f"{number}"))) for number in range(3)
    ]
    await queued(*waiting)
    closing = asyncio.create_task(store.close())
    await asyncio.sleep(0)
    with pytest.raises(StoreError, match="is not open"):
        await store.call(Store.list_artifacts)
    gate.open()
    await asyncio.gather(blocked, closing, *waiting)
    assert all(task.result().digest for task in waiting)
    await store.close()


async def test_a_database_that_does_not_open_is_the_openers_error(tmp_path: Path) -> None:
    store = AsyncStore(tmp_path / "nowhere" / "store.db")
    with pytest.raises(StoreError, match="check that its folder exists"):
        await store.open()
    with pytest.raises(StoreError, match="is not open"):
        await store.call(Store.list_artifacts)
    await store.close()


async def test_a_store_that_was_never_opened_closes(tmp_path: Path) -> None:
    await AsyncStore(tmp_path / "store.db").close()
    assert not await asyncio.to_thread((tmp_path / "store.db").exists)


class Disk:
    """Is full for the first calls."""

    def __init__(self, reason: str, full_count: int) -> None:
        self.reason = reason
        self.full_count = full_count

    def write(self, store: Store) -> str:
        if self.full_count:
            self.full_count -= 1
            raise StoreError(self.reason, "no space")
        return store.put_artifact(messages.artifact("kept")).name


async def test_what_a_job_cannot_do_without_waits_for_room(tmp_path: Path) -> None:
    store = AsyncStore(tmp_path / "store.db", room_look_s=0.001)
    await store.open()
    assert await store.call_when_room(Disk("disk_full", 3).write) == "kept"
    await store.close()


@pytest.mark.parametrize(("reason", "wait_s"), [("store_damaged", 60.0), ("disk_full", 0.0)])
async def test_nothing_waits_for_ever_or_for_what_no_room_mends(tmp_path: Path, reason: str, wait_s: float) -> None:
    store = AsyncStore(tmp_path / "store.db", room_wait_s=wait_s, room_look_s=0.001)
    await store.open()
    with pytest.raises(StoreError, match="no space"):
        await store.call_when_room(Disk(reason, 10**9).write)
    await store.close()

"""Rounds are brought to the controller until it acknowledges them, in a session that never ends as well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from steelyard_agent.jobs.delivery import Delivery
from steelyard_agent.jobs.errors import TransferRefusedError
from steelyard_agent.jobs.gate import QuietGate
from steelyard_agent.jobs.port import TransferGrant
from steelyard_agent.state.outbox import Outbox, OutboxEntry, RoundKey
from steelyard_protocol.v1 import result_pb2
from tests.agent.jobs.fakes import FakePort

KEY = RoundKey(job_id="job", attempt=1, pass_kind=result_pb2.PASS_LATENCY, round_index=0)


class Delivering:
    """A delivery that runs, of an outbox with one round."""

    def __init__(
        self,
        folder: Path,
        port: FakePort,
        *,
        full_wait_s: float = 60.0,
        newest_epoch: Callable[[], int] = lambda: 1,
    ) -> None:
        self.port = port
        self.outbox = Outbox(folder)
        self.outbox.put(KEY, epoch=1, result=b"round", outputs={})
        self.refused: list[OutboxEntry] = []
        self.delivery = Delivery(
            outbox=self.outbox,
            port=port,
            gate=QuietGate(),
            on_refused=self.refuse,
            newest_epoch=newest_epoch,
            again_s=0.01,
            retry_pause_s=0.01,
            full_wait_s=full_wait_s,
        )

    def refuse(self, entry: OutboxEntry, _error: TransferRefusedError) -> None:
        self.refused.append(entry)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.002)


@pytest.fixture
async def delivering(tmp_path: Path) -> AsyncIterator[Delivering]:
    one = Delivering(tmp_path, FakePort())
    running = asyncio.ensure_future(one.delivery.run())
    yield one
    running.cancel()
    await asyncio.wait({running})


async def test_a_round_that_is_not_acknowledged_is_announced_again_in_the_same_session(delivering: Delivering) -> None:
    delivering.delivery.session_opened(job_waits=False)
    await delivering.until(lambda: len(delivering.port.all("round_ready")) >= 3)
    delivering.delivery.recorded([KEY])
    await delivering.until(lambda: KEY not in delivering.outbox)
    said = len(delivering.port.told)
    await delivering.delivery.deliver()
    assert len(delivering.port.told) == said


async def test_a_round_that_was_refused_is_brought_again_until_it_is_taken(delivering: Delivering) -> None:
    delivering.port.refuse_uploads = True
    delivering.delivery.session_opened(job_waits=False)
    await delivering.until(lambda: len(delivering.refused) >= 2)
    assert not delivering.port.told
    delivering.port.refuse_uploads = False
    await delivering.until(lambda: delivering.port.all("round_ready"))


async def test_a_controller_without_room_is_asked_again_and_refuses_nothing_until_it_has_some(
    delivering: Delivering,
) -> None:
    delivering.port.is_full = True
    delivering.delivery.session_opened(job_waits=False)
    await delivering.until(lambda: delivering.port.full_count >= 3)
    assert not delivering.refused
    assert not delivering.port.told
    delivering.port.is_full = False
    await delivering.until(lambda: delivering.port.all("round_ready"))


async def test_a_controller_that_has_no_room_for_too_long_does_not_take_the_round(tmp_path: Path) -> None:
    one = Delivering(tmp_path, FakePort(), full_wait_s=0.0)
    one.port.is_full = True
    await one.delivery.deliver()
    assert [entry.key for entry in one.refused] == [KEY]
    assert KEY in one.outbox


class FencedPort(FakePort):
    """Refuses what is sent under an older lease than the newest, granted while the first upload runs."""

    def __init__(self) -> None:
        super().__init__()
        self.epoch = 1

    async def upload(self, digest: str, path: Path, *, grant: TransferGrant) -> None:
        self.epoch = 2
        if grant.epoch < self.epoch:
            raise TransferRefusedError("transfer_refused", f"epoch {grant.epoch} is over")
        await super().upload(digest, path, grant=grant)


async def test_an_upload_that_a_new_lease_overtook_is_made_under_the_new_one(tmp_path: Path) -> None:
    port = FencedPort()
    one = Delivering(tmp_path, port, newest_epoch=lambda: port.epoch)
    await one.delivery.deliver()
    assert not one.refused
    assert [ready.epoch for ready in port.all("round_ready")] == [2]  # type: ignore[attr-defined]

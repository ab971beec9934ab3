"""Garbage of a controller: old samples, blobs that nothing names, and what must never go."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from steelyard.control.controller import Controller
from steelyard.control.results import Results
from steelyard.control.upkeep import Upkeep
from steelyard.errors import IncompleteError, UsageError
from steelyard.settings import Settings
from steelyard.store.blobs import BlobStore
from steelyard.store.store import Store
from steelyard.store.worker import AsyncStore
from steelyard_protocol.v1 import control_pb2, result_pb2, upkeep_pb2
from tests.controller.control.planned import ended, round_for, submit
from tests.controller.fleet.scripted_agent import ScriptedAgent
from tests.controller.store.messages import RECORDED, artifact, job, round_key

DAY_NS = 24 * 3600 * 1_000_000_000
DAY_MS = 24 * 3600 * 1000


class MovedClock:
    """The machine's clock, moved forward as the test wants."""

    def __init__(self) -> None:
        self.moved_ns = 0

    def __call__(self) -> int:
        return time.time_ns() + self.moved_ns


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
async def controller(settings: Settings, clock: MovedClock) -> AsyncIterator[Controller]:
    made = Controller(settings, clock_ns=clock)
    await made.start()
    yield made
    await made.stop()


def asked(**fields: object) -> upkeep_pb2.CollectGarbageRequest:
    return upkeep_pb2.CollectGarbageRequest(**fields)


async def measured(controller: Controller, agent: ScriptedAgent) -> control_pb2.Job:
    job_id = await submit(controller, 2)
    offer = await agent.accept_job()
    await agent.wait_for("round_grant")
    await agent.run_rounds([round_for(job_id, offer.plan, index) for index in range(3)])
    return await ended(controller, job_id)


async def test_figures_stay_when_the_samples_of_an_old_measurement_go(
    controller: Controller, agent: ScriptedAgent, clock: MovedClock
) -> None:
    job_ = await measured(controller, agent)
    before = await controller.results.measurement(job_)
    rounds = [one.result_digest for one in await controller.results.references(job_.job_id)]
    loose = controller.blobs.put_bytes(b"never registered")
    clock.moved_ns = 100 * DAY_NS

    told = await controller.upkeep.collect(asked(dry_run=True, keep_samples_ms=90 * DAY_MS))
    assert list(told.sampleless_job_ids) == [job_.job_id]
    assert told.removed_blob_count == len(set(rounds)) + 1
    assert controller.blobs.age(loose) is not None
    assert await controller.store.call(Store.removed_samples, job_.job_id) is None

    done = await controller.upkeep.collect(asked(keep_samples_ms=90 * DAY_MS))
    assert list(done.sampleless_job_ids) == [job_.job_id]
    assert (done.removed_blob_count, done.removed_bytes) == (told.removed_blob_count, told.removed_bytes)
    assert [one for one in [*rounds, loose] if controller.blobs.age(one) is not None] == []

    after = await controller.results.measurement(job_)
    assert "samples were removed on" in after.warnings[-1]
    del after.warnings[-1]
    assert after == before
    with pytest.raises(IncompleteError, match="the raw samples of job") as refused:
        await controller.results.references(job_.job_id)
    assert refused.value.reason == "samples_removed"
    # A second time there is nothing left to do.
    again = await controller.upkeep.collect(asked(keep_samples_ms=90 * DAY_MS))
    assert (again.removed_blob_count, len(again.sampleless_job_ids)) == (0, 0)


async def test_samples_stay_without_a_retention_and_while_they_are_young(
    controller: Controller, agent: ScriptedAgent, clock: MovedClock
) -> None:
    job_ = await measured(controller, agent)
    clock.moved_ns = 100 * DAY_NS
    assert not (await controller.upkeep.collect(asked())).sampleless_job_ids
    assert not (await controller.upkeep.collect(asked(keep_samples_ms=101 * DAY_MS))).sampleless_job_ids
    assert len(await controller.results.rounds(job_.job_id)) == 3


async def test_nothing_that_came_since_the_oldest_unfinished_job_began_goes(
    controller: Controller, agent: ScriptedAgent, clock: MovedClock
) -> None:
    job_id = await submit(controller, 1)
    await agent.accept_job()
    outputs = controller.blobs.put_bytes(b"outputs of a round that is still on its way")
    clock.moved_ns = 30 * DAY_NS
    told = await controller.upkeep.collect(asked())
    assert (told.removed_blob_count, told.young_blob_count) == (0, 1)
    await controller.jobs.cancel(job_id)
    await ended(controller, job_id)
    assert (await controller.upkeep.collect(asked())).removed_blob_count == 1
    assert controller.blobs.age(outputs) is None


async def test_a_grace_period_that_could_harm_an_upload_is_refused(controller: Controller) -> None:
    with pytest.raises(UsageError, match="a grace period of 10 s could take a blob") as refused:
        await controller.upkeep.collect(asked(grace_ms=10_000))
    assert refused.value.reason == "bad_grace"
    with pytest.raises(UsageError, match="samples cannot be kept for -1 ms"):
        await controller.upkeep.collect(asked(keep_samples_ms=-1))


async def test_two_collections_do_not_run_beside_each_other(controller: Controller) -> None:
    first, second = await asyncio.gather(
        controller.upkeep.collect(asked()), controller.upkeep.collect(asked()), return_exceptions=True
    )
    assert isinstance(first, upkeep_pb2.CollectGarbageResponse)
    assert isinstance(second, UsageError)
    assert second.reason == "gc_running"


class History:
    """A store and its blobs, through which something random happens; remembers what is named."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.clock = MovedClock()
        self.path = folder / "steelyard.sqlite3"
        self.store = AsyncStore(self.path, clock_ns=self.clock)
        self.blobs = BlobStore(folder / "blobs", clock_s=lambda: self.clock() / 1e9)
        results = Results(store=self.store, blobs=self.blobs, controller_id="c")
        self.upkeep = Upkeep(
            store=self.store, blobs=self.blobs, results=results, database_path=self.path, clock_ns=self.clock
        )
        self.named: set[str] = set()
        self.unnamed: dict[str, int] = {}
        self.count = 0

    def fresh(self) -> str:
        self.count += 1
        return self.blobs.put_bytes(f"{self.count} {self.random.random()}".encode())

    async def bring(self) -> None:
        self.unnamed[self.fresh()] = self.clock()

    async def name_what_is_old(self) -> None:
        """Register what was uploaded long ago, as a client does that finds its upload complete."""
        if not self.unnamed:
            return
        digest = self.random.choice(sorted(self.unnamed))
        if self.blobs.has(digest):
            await self.store.call(Store.put_artifact, artifact(f"old-{digest[:8]}", digest=digest))
            self.named.add(digest)
        del self.unnamed[digest]

    async def register(self) -> None:
        digest, parent = self.fresh(), self.fresh()
        made = artifact(f"model-{self.count}", digest=digest)
        made.lineage.parent_digest = parent
        await self.store.call(Store.put_artifact, made)
        self.named |= {digest, parent}

    async def run_job(self) -> None:
        job_id = f"job-{self.count:04}"
        request = control_pb2.SubmitMeasurementRequest()
        request.plan.inputs.data_digest = self.fresh()
        created = job(job_id)
        await self.store.call(Store.create_job, created, request.SerializeToString(), f"request-{job_id}")
        outputs = self.fresh()
        # The round arrives long after its outputs.
        self.clock.moved_ns += self.random.randrange(20) * DAY_NS
        await self.upkeep.collect(asked())
        result = result_pb2.RoundResult(job_id=job_id)
        result.blocks.add(label="a", outputs_digest=outputs)
        digest = self.blobs.put_bytes(result.SerializeToString())
        assert self.blobs.has(outputs)
        await self.store.call(
            Store.record_round, round_key(0, job_id), segment=0, result_digest=digest, recorded_at_ns=self.clock()
        )
        await self.store.call(Store.record_trace, job_id, "plug", trace := self.fresh())
        await self.store.call(Store.transition, job_id, RECORDED, message="done")
        self.named |= {request.plan.inputs.data_digest, outputs, digest, trace}

    async def wait(self) -> None:
        self.clock.moved_ns += self.random.randrange(12) * DAY_NS

    async def collect(self) -> None:
        now_ns = self.clock()
        await self.upkeep.collect(asked())
        for digest, brought_at_ns in list(self.unnamed.items()):
            assert (self.blobs.age(digest) is None) == (brought_at_ns < now_ns - 7 * DAY_NS)
            if self.blobs.age(digest) is None:
                del self.unnamed[digest]
        self.check()

    def check(self) -> None:
        assert [digest for digest in sorted(self.named) if self.blobs.age(digest) is None] == []


@pytest.mark.parametrize("seed", range(4))
async def test_through_random_histories_all_that_is_named_stays_and_all_that_is_old_goes(
    seed: int, tmp_path: Path
) -> None:
    history = History(tmp_path, seed)
    await history.store.open()
    steps = [
        *(history.bring, history.name_what_is_old, history.register, history.run_job, history.wait),
        *(history.wait, history.collect),
    ]
    for _ in range(60):
        await history.random.choice(steps)()
    await history.collect()
    assert history.named
    await history.store.close()


async def test_uploads_and_registrations_beside_a_collection_lose_nothing(tmp_path: Path) -> None:
    history = History(tmp_path, 0)
    await history.store.open()
    contents = [f"model {index}".encode() for index in range(300)]
    for content in contents:
        history.blobs.put_bytes(content)
    history.clock.moved_ns = 30 * DAY_NS
    collecting = [asyncio.create_task(history.upkeep.collect(asked()))]
    with ThreadPoolExecutor(2) as pool:
        loop = asyncio.get_running_loop()

        async def bring(content: bytes) -> str:
            # Found complete or sent again, then registered.
            digest = await loop.run_in_executor(pool, history.blobs.put_bytes, content)
            await history.store.call(Store.put_artifact, artifact(f"m-{digest[:8]}", digest=digest))
            return digest

        digests = [await bring(content) for content in contents[::2]]
    (first,) = await asyncio.gather(*collecting)
    await history.upkeep.collect(asked())
    assert [digest for digest in digests if history.blobs.age(digest) is None] == []
    left = [hashlib.sha256(content).hexdigest() for content in contents[1::2]]
    assert [digest for digest in left if history.blobs.age(digest) is not None] == []
    assert first.removed_blob_count >= len(left)
    await history.store.close()

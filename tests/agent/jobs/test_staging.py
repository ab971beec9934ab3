import asyncio
import errno
from pathlib import Path

import pytest

from steelyard_agent.jobs.errors import LinkDownError, TransferRefusedError
from steelyard_agent.jobs.port import TransferGrant
from steelyard_agent.jobs.staging import Stager, wanted_blobs
from steelyard_agent.state.blob_cache import BlobCache, DigestMismatchError
from steelyard_agent.state.errors import DiskFullError
from tests.agent.jobs.fakes import FakePort, names_in, plan_of
from tests.support.fake_controller import digest_of

PLAN = plan_of(b"model one", b"model two", evaluation=b"data")


class Staging:
    def __init__(self, folder: Path, free_bytes: int = 10**12) -> None:
        self.port = FakePort()
        self.port.blobs = {digest_of(content): content for content in (b"model one", b"model two", b"data")}
        self.cache = BlobCache(folder, free_bytes=lambda _folder: free_bytes)
        self.reports: list[tuple[str, int, int]] = []
        self.pauses: list[float] = []
        self.stager = Stager(
            cache=self.cache,
            port=self.port,
            grant=TransferGrant(job_id="j", epoch=1),
            report=lambda *report: self.reports.append(report),
            pause=self.pause,
        )

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


def test_a_plan_wants_each_blob_once() -> None:
    plan = plan_of(b"same", evaluation=b"data")
    plan.inputs.data_digest, plan.inputs.data_size_bytes = plan.evaluation.data_digest, 4
    assert wanted_blobs(plan) == {digest_of(b"same"): 4, digest_of(b"data"): 4}


async def test_every_blob_is_fetched_once_and_then_found(tmp_path: Path) -> None:
    staging = Staging(tmp_path)
    found = await staging.stager.stage(PLAN)
    assert {path.read_bytes() for path in found.values()} == {b"model one", b"model two", b"data"}
    assert staging.reports[-1][1:] == (22, 22)
    await staging.stager.stage(PLAN)
    assert len(staging.port.offsets) == 3


async def test_a_download_that_breaks_off_goes_on_where_it_stopped(tmp_path: Path) -> None:
    staging = Staging(tmp_path)
    staging.port.break_after = [3, 2, 1, 1]
    await staging.stager.stage(plan_of(b"model one"))
    assert staging.port.offsets == [0, 3, 5, 6, 7]


async def test_what_an_earlier_agent_left_is_resumed(tmp_path: Path) -> None:
    staging = Staging(tmp_path)
    with staging.cache.open_partial(digest_of(b"model one")) as file:
        file.write(b"model")
    await staging.stager.stage(plan_of(b"model one"))
    assert staging.port.offsets == [5]


async def test_a_partial_that_is_too_long_is_thrown_away(tmp_path: Path) -> None:
    staging = Staging(tmp_path)
    with staging.cache.open_partial(digest_of(b"model one")) as file:
        file.write(b"far too many bytes")
    await staging.stager.stage(plan_of(b"model one"))
    assert staging.port.offsets == [0]


async def test_a_link_that_never_brings_anything_is_given_up_after_three_tries(tmp_path: Path) -> None:
    staging = Staging(tmp_path)
    staging.port.break_after = [0, 0, 0]
    with pytest.raises(LinkDownError):
        await staging.stager.stage(PLAN)
    assert len(staging.port.offsets) == 3
    assert staging.pauses == [2.0, 4.0]


async def test_wrong_bytes_are_refused_three_times_and_nothing_stays(tmp_path: Path) -> None:
    staging = Staging(tmp_path)
    staging.port.blobs[digest_of(b"model one")] = b"model 0ne"
    with pytest.raises(DigestMismatchError):
        await staging.stager.stage(plan_of(b"model one"))
    assert staging.port.offsets == [0, 0, 0]
    assert names_in(tmp_path) == []


async def test_what_the_controller_does_not_serve_is_not_asked_again(tmp_path: Path) -> None:
    staging = Staging(tmp_path)
    staging.port.blobs.clear()
    with pytest.raises(TransferRefusedError):
        await staging.stager.stage(PLAN)
    assert len(staging.port.offsets) == 1


async def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(tmp_path: Path) -> None:
    staging = Staging(tmp_path, free_bytes=1000)
    with staging.cache.open_partial(digest_of(b"model one")) as file:
        file.write(b"mo")
    with pytest.raises(DiskFullError, match="1000 bytes free but 20 bytes are needed"):
        await staging.stager.stage(PLAN)
    assert staging.port.offsets == []
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(("number", "expected"), [(errno.ENOSPC, DiskFullError), (errno.EIO, OSError)])
async def test_a_disk_that_fills_up_meanwhile_is_told_and_cleaned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, expected: type[Exception]
) -> None:
    staging = Staging(tmp_path)

    def full(digest: str) -> Path:
        raise OSError(number, "refused")

    monkeypatch.setattr(staging.cache, "finish", full)
    with pytest.raises(expected):
        await staging.stager.stage(PLAN)
    if expected is DiskFullError:
        assert names_in(tmp_path) == []


async def test_two_who_want_the_same_blobs_at_once_fetch_them_once(tmp_path: Path) -> None:
    staging = Staging(tmp_path)
    both = await asyncio.gather(staging.stager.stage(PLAN), staging.stager.stage(PLAN))
    assert both[0] == both[1]
    assert len(staging.port.offsets) == 3

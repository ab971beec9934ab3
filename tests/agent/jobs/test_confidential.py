"""A confidential model on the device: gone when its job ends, however it ends, and the controller hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from steelyard_protocol.v1.plan_pb2 import Plan
from steelyard_protocol.v1.session_pb2 import JobCancellation, LeaseRelease
from tests.agent.jobs.device import A, B, Device
from tests.agent.jobs.fakes import plan_of
from tests.support.fake_controller import digest_of


@pytest.fixture
async def device(tmp_path: Path) -> AsyncIterator[Device]:
    made = Device(tmp_path)
    yield made
    await made.stop()


def _plan() -> Plan:
    """The first model is confidential, the second one is not."""
    plan = plan_of(A, B)
    plan.artifacts[0].confidential = True
    return plan


def _here(device: Device) -> set[str]:
    return {path.name for path in (device.folder / "blobs").iterdir()}


async def _staged(device: Device, job_id: str = "j") -> None:
    await device.offer(job_id, plan=_plan())
    await device.until(lambda: {digest_of(A), digest_of(B)} <= _here(device))


async def test_a_confidential_model_goes_with_its_job_and_the_controller_hears_of_it(device: Device) -> None:
    await _staged(device)
    assert device.port.all("blobs_removed") == []
    await device.hear(lease_release=LeaseRelease(job_id="j", attempt=1))
    removed = device.port.all("blobs_removed")[0]
    assert (removed.job_id, removed.attempt, list(removed.digests)) == ("j", 1, [digest_of(A)])
    assert _here(device) == {digest_of(B), f"{digest_of(A)}.confidential"}
    # Once it was read there is nothing left to say.
    device.port.on_read[device.port.kinds().index("blobs_removed")]()
    assert _here(device) == {digest_of(B)}


async def test_a_cancelled_job_leaves_no_confidential_model(device: Device) -> None:
    await _staged(device)
    await device.hear(job_cancellation=JobCancellation(job_id="j", reason="enough"))
    assert digest_of(A) not in _here(device)
    assert device.port.kinds().count("blobs_removed") == 1


async def test_what_was_removed_while_the_link_was_down_is_said_at_the_next_session(device: Device) -> None:
    await _staged(device)
    device.port.up.clear()
    await device.hear(lease_release=LeaseRelease(job_id="j", attempt=1))
    assert device.port.all("blobs_removed") == []
    device.port.up.set()
    device.desk.session_opened()
    assert device.port.kinds().count("blobs_removed") == 1


async def test_an_agent_that_was_killed_removes_it_at_its_start_and_says_so(device: Device) -> None:
    await _staged(device)
    killed, delivering = device.desk, device.delivering
    device.start()
    try:
        assert digest_of(A) not in _here(device)
        assert list(device.port.all("blobs_removed")[0].digests) == [digest_of(A)]
    finally:
        await killed.close()
        delivering.cancel()
        await asyncio.wait({delivering})


async def test_of_a_job_that_runs_nothing_is_said_to_be_gone(device: Device) -> None:
    device.port.blobs.clear()
    await device.offer(plan=_plan())
    device.desk.session_opened()
    await device.until(lambda: device.port.all("job_failed"))
    kinds = device.port.kinds()
    assert kinds.index("blobs_removed") > kinds.index("job_failed")

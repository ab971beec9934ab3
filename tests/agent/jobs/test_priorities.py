"""A job that gives way to a more urgent one: at the end of a round, with its rounds kept."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from steelyard_agent.jobs.claims import CLAIM_TTL_S
from steelyard_protocol.v1.common_pb2 import JOB_PRIORITY_INTERACTIVE, JOB_PRIORITY_NIGHTLY
from steelyard_protocol.v1.session_pb2 import JobCancellation, LeaseAnswer, LeaseRelease
from tests.agent.jobs.device import Device

NOW, NIGHT = {"priority": JOB_PRIORITY_INTERACTIVE}, {"priority": JOB_PRIORITY_NIGHTLY}


def answers(device: Device, job_id: str) -> list[LeaseAnswer]:
    return [answer for answer in device.port.all("lease_answer") if answer.job_id == job_id]  # type: ignore[attr-defined]


async def in_a_round(device: Device, **offer: Any) -> None:
    """Let job "j" be in the middle of the first of three rounds."""
    device.workers.hold = asyncio.Event()
    await device.offer(**offer)
    await device.grant(0, 3)
    await device.workers.started.wait()


def go_on(device: Device) -> None:
    assert device.workers.hold is not None
    device.workers.hold.set()


async def test_an_urgent_job_has_the_device_at_the_end_of_the_round(device: Device) -> None:
    await in_a_round(device, **NIGHT)
    await device.offer("urgent", **NOW)
    assert "job j holds this device" in answers(device, "urgent")[0].refused_because
    assert device.port.all("job_failed") == []
    go_on(device)
    failed = await device.told("job_failed")
    assert (failed.job_id, failed.error.reason) == ("j", "yielded")
    assert "gave way to job urgent" in failed.error.message
    # Its round is finished and kept, and whose turn it is was told.
    assert [entry.key.round_index for entry in device.outbox.entries()] == [0]
    assert answers(device, "urgent")[1].refused_because.startswith("the device is free now")
    await device.offer(**NIGHT)
    assert "job urgent waits for this device" in answers(device, "j")[1].refused_because
    await device.offer("urgent", **NOW)
    assert answers(device, "urgent")[2].lease.epoch == 2
    await device.hear(lease_release=LeaseRelease(job_id="urgent", attempt=1))
    await device.offer(**NIGHT, segment=1)
    assert answers(device, "j")[-1].lease.epoch == 3


async def test_a_job_that_waits_for_its_next_rounds_gives_way_at_once(device: Device) -> None:
    await device.offer(**NIGHT)
    await device.grant(0, 1)
    await device.told("grant_finished")
    await device.offer("urgent", **NOW)
    assert (await device.told("job_failed")).error.reason == "yielded"
    assert device.leases.held is None


@pytest.mark.parametrize("other", [{}, NIGHT])
async def test_nobody_gives_way_to_a_job_that_is_not_more_urgent(device: Device, other: dict[str, Any]) -> None:
    await in_a_round(device)
    await device.offer("other", **other)
    go_on(device)
    await device.told("grant_finished")
    assert device.port.all("job_failed") == []
    assert len(device.outbox.entries()) == 3


@pytest.mark.parametrize("ending", ["cancelled", "released", "lapsed"])
async def test_an_urgent_job_that_waits_no_more_interrupts_nobody(device: Device, ending: str) -> None:
    await in_a_round(device, **NIGHT)
    await device.offer("urgent", **NOW)
    if ending == "cancelled":
        await device.hear(job_cancellation=JobCancellation(job_id="urgent"))
    elif ending == "released":
        await device.hear(lease_release=LeaseRelease(job_id="urgent", attempt=1))
    else:
        device.now_s += CLAIM_TTL_S + 1
        device.desk.heard()
    go_on(device)
    await device.told("grant_finished")
    assert device.port.all("job_failed") == []
    # It still takes grants: nothing of the wish is left.
    await device.grant(3, 1)
    await device.told("grant_finished", 2)


async def test_rounds_of_a_lease_that_is_over_are_sent_under_the_newest(device: Device) -> None:
    device.port.up.clear()
    await device.offer()
    device.port.up.set()
    await device.grant(0, 1)
    await device.told("round_ready")
    await device.stop()
    # The controller did not hear of it; another job has the device when the agent runs again.
    device.start()
    await device.offer("other")
    ready = await device.told("round_ready")
    assert (ready.key.job_id, ready.epoch) == ("j", device.leases.newest_epoch)


async def test_a_later_attempt_does_not_run_again_what_waits_to_be_recorded(device: Device) -> None:
    await device.offer()
    await device.grant(0, 2)
    await device.told("grant_finished")
    ran = len(device.workers.blocks)
    await device.offer(attempt=2)
    await device.grant(0, 3, attempt=2, epoch=2)
    await device.told("grant_finished", 2)
    assert [(entry.key.attempt, entry.key.round_index) for entry in device.outbox.entries()] == [(1, 0), (1, 1), (2, 2)]
    assert len(device.workers.blocks) == ran + 2

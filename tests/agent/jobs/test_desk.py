import asyncio
import errno
import threading
from pathlib import Path
from typing import Any

import pytest

from steelyard_agent.jobs.errors import LinkDownError
from steelyard_agent.jobs.lease import HeldLease
from steelyard_agent.jobs.port import TransferGrant
from steelyard_agent.state import identity
from steelyard_agent.state import outbox as outbox_module
from steelyard_agent.worker.block import Block
from steelyard_protocol.v1.result_pb2 import PASS_ENERGY, PASS_EVALUATION, PASS_LATENCY, ResultKey, RoundResult
from steelyard_protocol.v1.session_pb2 import (
    JobCancellation,
    JobPhase,
    LeaseRelease,
    ResultAcknowledgement,
)
from tests.agent.jobs.device import A, Device
from tests.agent.jobs.fakes import FakeOutcome, plan_of
from tests.support.fake_controller import digest_of


async def test_a_job_is_staged_run_delivered_and_recorded(device: Device) -> None:
    await device.offer(segment=2)
    assert device.desk.activity == "staging"
    await device.grant(0, 1, PASS_EVALUATION)
    await device.grant(0, 3)
    finished = await device.told("grant_finished", 2)
    assert (finished.job_id, finished.epoch, finished.pass_kind) == ("j", 1, PASS_LATENCY)
    answer = device.port.all("lease_answer")[0]
    assert (answer.lease.job_id, answer.lease.epoch, answer.lease.ttl_ms) == ("j", 1, 60_000)
    assert device.desk.activity == "idle"
    ready = device.port.all("round_ready")
    assert [(one.key.pass_kind, one.key.round_index) for one in ready] == [
        (PASS_EVALUATION, 0),
        (PASS_LATENCY, 0),
        (PASS_LATENCY, 1),
        (PASS_LATENCY, 2),
    ]
    entry = device.outbox.entries()[1]
    result = RoundResult.FromString(device.outbox.result_path(entry).read_bytes())
    assert (result.segment, result.round_index, [block.label for block in result.blocks]) == (2, 0, ["a", "b"])
    # Outputs first, then the round that names them.
    assert device.port.uploads[:2] == [digest_of(b"outputs of model A"), digest_of(b"outputs of model B")]
    await device.desk.handle(device.acknowledge())
    await device.until(lambda: not device.outbox.entries())
    await device.hear(lease_release=LeaseRelease(job_id="j", attempt=1))
    assert device.desk.lease is None
    assert list((device.folder / "work").iterdir()) == []
    assert len(list((device.folder / "blobs").iterdir())) == 3


async def test_progress_names_the_phase_the_block_and_the_bytes(device: Device) -> None:
    await device.offer()
    await device.grant(0, 1)
    await device.told("grant_finished")
    progress = device.port.all("job_progress")
    assert progress[-1].detail == "b"
    assert (progress[-1].blocks_done, progress[-1].block_count) == (1, 2)
    assert [one.bytes_total for one in progress if one.bytes_total][-1] == 18


async def test_a_second_job_hears_who_holds_the_device_and_until_when(device: Device) -> None:
    await device.offer("first")
    await device.offer("second")
    answer = device.port.all("lease_answer")[1]
    assert not answer.HasField("lease")
    assert "job first holds this device" in answer.refused_because
    assert answer.held_until.ToNanoseconds() > 1_700_000_000_000_000_000
    await device.hear(lease_release=LeaseRelease(job_id="first", attempt=1))
    assert "the device is free now" in device.port.all("lease_answer")[2].refused_because
    await device.offer("second")
    assert device.port.all("lease_answer")[3].lease.epoch == 2


async def test_the_job_that_holds_the_device_keeps_its_epoch_and_learns_its_segment(device: Device) -> None:
    await device.offer()
    await device.offer(segment=7)
    assert [answer.lease.epoch for answer in device.port.all("lease_answer")] == [1, 1]
    await device.grant(0, 1)
    await device.told("round_ready")
    entry = device.outbox.entries()[0]
    assert RoundResult.FromString(device.outbox.result_path(entry).read_bytes()).segment == 7


async def test_another_attempt_of_the_job_starts_anew_under_a_new_epoch(device: Device) -> None:
    await device.offer()
    await device.offer(attempt=2)
    assert [answer.lease.epoch for answer in device.port.all("lease_answer")] == [1, 2]
    await device.grant(0, 1, attempt=2, epoch=2)
    assert (await device.told("round_ready")).key.attempt == 2


@pytest.mark.parametrize("wrong", [{"epoch": 2}, {"job_id": "other"}, {"attempt": 2}])
async def test_a_grant_for_another_lease_is_ignored(device: Device, wrong: dict[str, Any]) -> None:
    await device.offer()
    await device.grant(0, 1, **wrong)
    await device.grant(5, 1)
    assert (await device.told("round_ready")).key.round_index == 5
    assert device.port.all("job_failed") == []


async def test_a_plan_that_makes_no_sense_fails_without_a_lease(device: Device) -> None:
    await device.offer(plan=plan_of())
    failed = device.port.all("job_failed")[0]
    assert failed.error.reason == "invalid_plan"
    assert device.desk.lease is None


async def test_an_epoch_that_cannot_be_written_fails_the_job_not_the_agent(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "no space left", str(path))

    with monkeypatch.context() as full_disk:
        full_disk.setattr(identity, "write_durably", refuse)
        await device.offer()
    assert device.port.all("job_failed")[0].error.reason == "identity_not_written"
    assert device.desk.lease is None
    await device.offer()
    assert device.desk.lease is not None


async def test_a_grant_that_makes_no_sense_ends_the_job(device: Device) -> None:
    await device.offer(plan=plan_of(A))
    await device.grant(0, 1, PASS_EVALUATION)
    assert (await device.told("job_failed")).error.reason == "invalid_plan"
    assert device.desk.lease is None


async def test_a_short_spell_of_a_full_disk_does_not_end_a_job_and_is_told(device: Device) -> None:
    device.free_bytes = 1000
    device.spell.over = lambda: setattr(device, "free_bytes", 10**12)
    await device.offer()
    await device.grant(0, 1)
    await device.told("grant_finished")
    assert device.port.all("job_failed") == []
    waiting = [one for one in device.port.all("job_progress") if one.phase == JobPhase.JOB_PHASE_GATING]  # type: ignore[attr-defined]
    assert len(waiting) == len(device.spell.pauses_s) == 1
    assert waiting[0].detail.startswith("waiting for room on the disk: ")  # type: ignore[attr-defined]


async def test_a_finished_round_waits_for_room_in_the_outbox(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "full", str(path))

    await device.offer()
    monkeypatch.setattr(outbox_module, "write_durably", full)
    device.spell.over = monkeypatch.undo
    await device.grant(0, 1, PASS_EVALUATION)
    await device.told("grant_finished")
    assert len(device.spell.pauses_s) == 1
    (entry,) = device.outbox.entries()
    assert [path.exists() for path in (device.outbox.output_path(entry, blob) for blob in entry.outputs)] == [True] * 2


async def test_a_round_that_is_recorded_is_not_run_again_for_an_older_grant(device: Device) -> None:
    await device.offer()
    await device.hear(
        result_acknowledgement=ResultAcknowledgement(
            keys=[ResultKey(job_id="j", attempt=2, pass_kind=PASS_LATENCY, round_index=0)]
        )
    )
    await device.grant(0, 2)
    await device.told("grant_finished")
    assert [ready.key.round_index for ready in device.port.all("round_ready")] == [1]  # type: ignore[attr-defined]


async def test_a_full_disk_fails_the_job_and_frees_the_device(device: Device) -> None:
    device.free_bytes = 1000
    await device.offer()
    failed = await device.told("job_failed")
    assert failed.error.reason == "disk_full"
    assert sum(device.spell.pauses_s) >= 120
    assert str(device.folder / "blobs") in failed.error.message
    await device.until(lambda: device.desk.lease is None)
    device.free_bytes = 10**12
    await device.offer("next")
    await device.grant(0, 1, job_id="next", epoch=2)
    await device.told("grant_finished")


async def test_a_cancelled_job_kills_its_worker_and_the_next_one_runs(device: Device) -> None:
    device.workers.hold = asyncio.Event()
    await device.offer()
    await device.grant(0, 5)
    await device.workers.started.wait()
    await device.hear(job_cancellation=JobCancellation(job_id="other"))
    assert device.desk.activity == "running"
    await device.hear(job_cancellation=JobCancellation(job_id="j", reason="by hand"))
    assert device.workers.cancelled_count == 1
    failed = device.port.all("job_failed")[0]
    assert (failed.error.reason, failed.error.message) == ("cancelled", "job j was cancelled: by hand")
    device.workers.hold = None
    await device.offer("next")
    await device.grant(0, 1, job_id="next", epoch=2)
    assert (await device.told("grant_finished")).job_id == "next"


async def test_a_lease_lapses_when_nothing_is_heard_after_the_batch_and_results_stay(device: Device) -> None:
    await device.offer(lease_ttl_ms=50)
    await device.grant(0, 1)
    await device.told("grant_finished")
    device.now_s += 0.051
    failed = await device.told("job_failed")
    assert failed.error.reason == "lease_expired"
    assert device.desk.lease is None
    assert len(device.outbox.entries()) == 1


async def test_a_controller_that_goes_away_while_staging_does_not_hold_the_device(device: Device) -> None:
    device.port.up.clear()
    await device.offer(lease_ttl_ms=50)
    device.now_s += 0.051
    await device.until(lambda: device.desk.lease is None)
    device.port.up.set()
    device.desk.session_opened()
    assert (await device.told("job_failed")).error.reason == "lease_expired"


async def test_a_batch_goes_on_while_the_link_is_down_and_is_told_once_it_is_back(device: Device) -> None:
    await device.offer()
    await device.until(lambda: device.desk.activity == "idle")
    await device.grant(0, 3)
    device.port.up.clear()
    await device.until(lambda: len(device.outbox.entries()) == 3)
    assert device.port.all("round_ready") == []
    assert len(device.desk.unacknowledged()) == 3
    device.port.up.set()
    device.desk.session_opened()
    await device.told("grant_finished")
    assert [ready.key.round_index for ready in device.port.all("round_ready")] == [0, 1, 2]


async def test_what_was_said_before_a_cut_is_said_again_when_the_job_waits(device: Device) -> None:
    await device.offer()
    await device.grant(0, 1)
    await device.told("grant_finished")
    device.desk.session_opened()
    await device.told("grant_finished", 2)
    assert len(device.port.all("round_ready")) == 2


async def test_an_end_that_was_read_is_not_said_again_while_the_next_batch_runs(device: Device) -> None:
    await device.offer()
    await device.grant(0, 1)
    await device.told("grant_finished")
    read = device.port.on_read[device.port.kinds().index("grant_finished")]
    assert read is not None
    read()
    device.workers.hold = asyncio.Event()
    await device.grant(1, 1)
    device.desk.session_opened()
    await device.until(lambda: len(device.workers.blocks) == 3)
    assert len(device.port.all("grant_finished")) == 1
    device.workers.hold.set()
    await device.told("grant_finished", 2)


async def test_rounds_that_are_granted_again_are_not_run_again(device: Device) -> None:
    await device.offer()
    await device.grant(0, 2)
    await device.told("grant_finished")
    await device.desk.handle(device.acknowledge())
    await device.grant(0, 3)
    await device.told("grant_finished", 2)
    assert len(device.workers.blocks) == 6


async def test_after_a_kill_the_outbox_is_delivered_and_its_rounds_are_not_run_again(device: Device) -> None:
    await device.offer()
    device.port.refuse_uploads = False
    await device.grant(0, 1)
    await device.told("round_ready")
    await device.stop()
    device.start()
    assert device.desk.lease is None
    assert (await device.told("round_ready")).key.round_index == 0
    await device.offer(segment=1)
    assert device.port.all("lease_answer")[0].lease.epoch == 2
    await device.grant(0, 2, epoch=2)
    await device.told("grant_finished")
    assert len(device.workers.blocks) == 4


async def test_results_that_the_controller_does_not_take_end_the_job_but_stay(device: Device) -> None:
    device.port.refuse_uploads = True
    await device.offer()
    await device.grant(0, 2)
    failed = await device.told("job_failed")
    assert failed.error.reason == "transfer_refused"
    assert len(device.outbox.entries()) >= 1
    assert device.desk.lease is None


async def test_an_acknowledgement_of_an_unknown_round_or_of_nonsense_is_fine(device: Device) -> None:
    for job_id in ("unknown", "../x"):
        await device.hear(
            result_acknowledgement=ResultAcknowledgement(keys=[ResultKey(job_id=job_id, pass_kind=PASS_ENERGY)])
        )
    await device.desk.delivery.deliver()
    assert device.outbox.entries() == ()


async def test_a_file_that_cannot_be_used_fails_the_job_not_the_agent(device: Device) -> None:
    def behave(block: Block) -> FakeOutcome | None:
        raise PermissionError(13, "denied", block.model_path)

    device.workers.behave = behave
    await device.offer()
    await device.grant(0, 1)
    assert (await device.told("job_failed")).error.reason == "device_io"


async def test_a_bug_in_a_job_is_not_hidden(device: Device) -> None:
    def behave(block: Block) -> FakeOutcome | None:
        raise ZeroDivisionError("ours")

    device.workers.behave = behave
    await device.offer()
    await device.grant(0, 1)
    with pytest.raises(ZeroDivisionError):
        await device.desk.bug


@pytest.mark.parametrize("ttl_ms", [0, -1, 10**12])
def test_a_lease_that_ends_at_once_or_never_is_refused(ttl_ms: int) -> None:
    with pytest.raises(ValueError, match="not between"):
        HeldLease(job_id="j", attempt=1, epoch=1, ttl_ms=ttl_ms)


async def test_an_upload_that_breaks_off_while_the_session_stands_is_tried_again(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []
    upload = device.port.upload

    async def flaky(digest: str, path: Path, *, grant: TransferGrant) -> None:
        tries.append(digest)
        if len(tries) < 3:
            raise LinkDownError("a transfer stood still")
        await upload(digest, path, grant=grant)

    monkeypatch.setattr(device.port, "upload", flaky)
    monkeypatch.setattr(device.desk.delivery, "_retry_pause_s", 0.001)
    await device.offer()
    await device.grant(0, 1)
    await device.told("grant_finished")
    assert len(tries) == 3


async def test_a_round_that_is_being_written_when_its_job_is_cancelled_is_kept(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, may_write = threading.Event(), threading.Event()
    put = device.outbox.put

    def slow(*arguments: Any, **options: Any) -> Any:
        writing.set()
        may_write.wait(60)
        return put(*arguments, **options)

    monkeypatch.setattr(device.outbox, "put", slow)
    await device.offer()
    await device.grant(0, 1)
    await device.until(writing.is_set)
    asyncio.get_running_loop().call_later(0.01, may_write.set)
    await device.hear(job_cancellation=JobCancellation(job_id="j"))
    assert len(device.outbox.entries()) == 1

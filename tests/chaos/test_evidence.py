"""What must hold after a campaign is really looked for: each planted damage is found, and nothing else."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from steelyard.control.controller import DATABASE_NAME
from steelyard.store.blobs import BlobStore
from steelyard.store.store import Store
from steelyard_agent.state.blob_cache import BlobCache, digest_of
from steelyard_agent.state.identity import IdentityFile
from steelyard_agent.state.outbox import Outbox, RoundKey
from steelyard_protocol.v1 import common_pb2, control_pb2, result_pb2
from tests.chaos.evidence import (
    OutboxWatch,
    bugs_in,
    fallen_epochs,
    half_written,
    lost_or_doubled,
    orphans,
    strangers,
    unknown_boots,
    waiting_rounds,
)
from tests.chaos.job_book import ROUND_COUNT
from tests.support.processes import wait_until

RECORDED = control_pb2.JOB_STATE_RECORDED
# Of what ``write`` keeps as every round of the first job.
DIGEST = hashlib.sha256(b"job-1").hexdigest()


def key_of(index: int, attempt: int = 1, job_id: str = "job-1") -> RoundKey:
    return RoundKey(job_id=job_id, attempt=attempt, pass_kind=result_pb2.PASS_LATENCY, round_index=index)


@pytest.fixture
def controller_state(tmp_path: Path) -> Path:
    """A controller's state with one job that ended well."""
    state = tmp_path / "controller"
    BlobStore(state / "blobs")
    write(state, "job-1", range(ROUND_COUNT), RECORDED)
    return state


def write(state: Path, job_id: str, indexes: range, end: control_pb2.JobState.ValueType, attempt: int = 1) -> None:
    digest = BlobStore(state / "blobs").put_bytes(job_id.encode())
    with closing(Store(state / DATABASE_NAME)) as store:
        job = control_pb2.Job(job_id=job_id, kind=control_pb2.JOB_KIND_MEASUREMENT, device="board-0")
        store.create_job(job, b"", f"request-{job_id}")
        for index in indexes:
            key = result_pb2.ResultKey(
                job_id=job_id, attempt=attempt, pass_kind=result_pb2.PASS_LATENCY, round_index=index
            )
            store.record_round(key, segment=0, result_digest=digest, recorded_at_ns=1)
        store.transition(job_id, end, message="over")


def jobs(*job_ids: str) -> dict[str, control_pb2.Job]:
    return {job_id: control_pb2.Job(job_id=job_id) for job_id in job_ids}


def test_a_store_in_which_all_is_there_once_is_left_in_peace(controller_state: Path) -> None:
    seen = {key_of(index): {DIGEST} for index in range(ROUND_COUNT)} | {key_of(0, job_id="job-9"): {"b" * 64}}
    assert not list(lost_or_doubled(controller_state, jobs("job-1"), 1, seen))
    assert not list(strangers(seen, {"job-1", "job-9"}))


def test_a_round_that_was_finished_and_is_not_recorded_is_lost(controller_state: Path) -> None:
    (said,) = lost_or_doubled(controller_state, jobs("job-1"), 1, {key_of(ROUND_COUNT): {DIGEST}})
    assert f"job-1@1@2@{ROUND_COUNT}" in said


def test_a_round_that_was_lost_on_its_device_and_made_again_is_found(controller_state: Path) -> None:
    other = "b" * 64
    (replaced,) = lost_or_doubled(controller_state, jobs("job-1"), 1, {key_of(0): {other}})
    assert replaced == "round job-1@1@2@0 is recorded with another result than its device finished"
    (again,) = lost_or_doubled(controller_state, jobs("job-1"), 1, {key_of(0): {DIGEST, other}})
    assert again == "round job-1@1@2@0 was finished on its device 2 times"


def test_a_round_of_a_job_that_nobody_submitted_is_found() -> None:
    assert list(strangers([key_of(0)], {"job-2"})) == ["round job-1@1@2@0 is of a job that nobody submitted"]


def test_a_round_that_two_attempts_recorded_is_there_twice(controller_state: Path) -> None:
    with closing(Store(controller_state / DATABASE_NAME)) as store:
        digest = store.list_rounds("job-1")[0].result_digest
        key = result_pb2.ResultKey(job_id="job-1", attempt=2, pass_kind=result_pb2.PASS_LATENCY, round_index=1)
        store.record_round(key, segment=0, result_digest=digest, recorded_at_ns=1)
    (said,) = lost_or_doubled(controller_state, jobs("job-1"), 1, {})
    assert said == "round 1 of pass 2 of job job-1 is recorded 2 times"


def test_a_job_without_an_end_and_one_that_ended_without_its_rounds_are_found(controller_state: Path) -> None:
    write(controller_state, "job-2", range(1), control_pb2.JOB_STATE_RUNNING)
    write(controller_state, "job-3", range(1), RECORDED)
    said = list(lost_or_doubled(controller_state, jobs("job-1", "job-2", "job-3"), 3, {}))
    assert said == [
        "job job-2 is stored in state JOB_STATE_RUNNING",
        f"job job-3 is recorded with rounds [0] of {ROUND_COUNT}",
    ]


def test_a_request_that_made_two_jobs_and_a_job_that_is_gone_are_found(controller_state: Path) -> None:
    write(controller_state, "job-2", range(ROUND_COUNT), RECORDED)
    (doubled,) = lost_or_doubled(controller_state, jobs("job-1"), 1, {})
    assert doubled.startswith("1 requests made 2 jobs")
    (gone,) = lost_or_doubled(controller_state, jobs("job-1", "job-2", "job-9"), 3, {})
    assert gone.endswith("1 of them unknown")


def test_files_that_are_not_what_their_names_promise_are_found(controller_state: Path, tmp_path: Path) -> None:
    agent = tmp_path / "agent"
    for name in ("blobs", "outbox"):
        (agent / name).mkdir(parents=True)
    _ = IdentityFile(agent / "device.json").device_id
    cache = BlobCache(agent / "blobs", free_bytes=lambda _folder: 10**12)
    content = tmp_path / "content"
    content.write_bytes(b"model")
    digest = digest_of(content)
    with cache.open_partial(digest) as file:
        file.write(b"mod")
    assert not list(half_written([controller_state], [agent])), "a partial file does not promise anything"
    cache.path(digest).write_bytes(b"mod")
    (agent / "outbox" / "damaged-job@1@2@0").mkdir()
    (agent / "device.json").write_text('{"device_id":')
    (blob,) = (path for path in (controller_state / "blobs").rglob("*") if path.is_file())
    blob.chmod(0o600)
    blob.write_bytes(b"half")
    found = list(half_written([controller_state], [agent]))
    assert [sentence.partition(" ")[0] for sentence in found] == [
        str(blob),
        str(cache.path(digest)),
        str(agent / "outbox" / "damaged-job@1@2@0"),
        str(agent / "device.json"),
    ]


def test_a_round_that_lay_in_an_outbox_for_a_moment_was_seen(tmp_path: Path) -> None:
    folder = tmp_path / "outbox"
    folder.mkdir()
    outbox = Outbox(folder)
    with OutboxWatch([folder, tmp_path / "not-there"]) as watch:
        outbox.put(key_of(0), epoch=1, result=b"round", outputs={})
        wait_until(lambda: watch.seen)
        outbox.remove(key_of(0))
    assert watch.seen == {key_of(0): {hashlib.sha256(b"round").hexdigest()}}
    assert not list(waiting_rounds([folder]))


def test_a_worker_that_nobody_wants_is_found_by_its_folder(tmp_path: Path) -> None:
    # Reads its plan from standard input, and waits for it.
    command = [sys.executable, "-m", "steelyard_agent.worker"]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as worker:
        wait_until(lambda: orphans(tmp_path, set()))
        assert [process.pid for process in orphans(tmp_path, set())] == [worker.pid]
        assert not orphans(tmp_path / "elsewhere", set())
        worker.kill()


def test_a_log_that_tells_of_a_bug_is_named_with_its_line(tmp_path: Path) -> None:
    quiet, loud = tmp_path / "quiet.log", tmp_path / "loud.log"
    quiet.write_text("INFO connected\nWARNING no session\n")
    loud.write_text("INFO connected\nTask exception was never retrieved\n")
    (said,) = bugs_in([quiet, loud])
    assert said.startswith(f"{loud}:2 ")


def test_an_epoch_that_does_not_rise_is_found(tmp_path: Path) -> None:
    log = tmp_path / "board.log"
    log.write_text("".join(f"INFO job j (attempt 1) holds this device, epoch {epoch}\n" for epoch in (1, 2, 7)))
    assert not list(fallen_epochs([log]))
    log.write_text(log.read_text() + "INFO connected\nINFO job j (attempt 2) holds this device, epoch 7\n")
    assert list(fallen_epochs([log])) == [f"{log} tells of epoch 7 after epoch 7"]


def test_a_reboot_of_which_the_controller_knows_nothing_is_found(controller_state: Path) -> None:
    with closing(Store(controller_state / DATABASE_NAME)) as store:
        for name in ("board-0", "board-1"):
            store.put_device(common_pb2.DeviceDescription(device_id=f"id-of-{name}", name=name), "1")
            store.fleet.log.append(f"id-of-{name}", "connected", "connected")
        store.fleet.log.append("id-of-board-0", "boot", "it started anew")
    found = list(unknown_boots(controller_state, ["board-0", "board-1"]))
    assert found == ["board-1 was rebooted, and its controller knows of no boot"]

"""What a campaign left behind on the disks, and what is wrong with it."""

from __future__ import annotations

import itertools
import json
import re
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Self

import psutil

from steelyard.control.controller import DATABASE_NAME
from steelyard.job_states import FINAL_STATES
from steelyard.store.store import Store
from steelyard_agent.state.blob_cache import digest_of
from steelyard_agent.state.outbox import RoundKey
from steelyard_protocol.v1 import control_pb2, result_pb2
from tests.chaos.job_book import ROUND_COUNT

_DIGEST = re.compile(r"[0-9a-f]{64}")
# What only a bug writes into a log.
_BUGS = ("Traceback (most recent call last)", "ended by a bug", "never retrieved", "was never awaited", "Fatal Python")
# What an agent writes when a job gets its device.
_EPOCH = re.compile(r"job \S+ \(attempt \d+\) holds this device, epoch (\d+)")
_LOOK_S = 0.01


class OutboxWatch:
    """Notes every round that appears in an outbox: from then on it may not be lost. Runs within its context."""

    def __init__(self, outboxes: Iterable[Path]) -> None:
        self._outboxes = tuple(outboxes)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chaos-outboxes")
        self.seen: set[RoundKey] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_S):
            self.seen.update(waiting_rounds(self._outboxes))


def waiting_rounds(outboxes: Iterable[Path]) -> Iterator[RoundKey]:
    """Yield the rounds that lie in outboxes now."""
    for outbox in outboxes:
        with suppress(OSError):
            for path in outbox.iterdir():
                if not path.name.startswith((".", "damaged-")):
                    job_id, *numbers = path.name.split("@")
                    attempt, pass_kind, round_index = map(int, numbers)
                    yield RoundKey(job_id=job_id, attempt=attempt, pass_kind=pass_kind, round_index=round_index)


def lost_or_doubled(
    controller_state: Path, jobs: dict[str, control_pb2.Job], request_count: int, seen: set[RoundKey]
) -> Iterator[str]:
    """Say what the store lacks or holds twice; nobody has it open."""
    database = controller_state / DATABASE_NAME
    with closing(sqlite3.connect(database)) as connection:
        ((health,),) = connection.execute("PRAGMA integrity_check").fetchall()
        job_ids = [row[0] for row in connection.execute("SELECT job_id FROM jobs")]
    if health != "ok":
        yield f"the database is damaged: {health}"
    if len(job_ids) != request_count or set(job_ids) != set(jobs):
        yield f"{request_count} requests made {len(job_ids)} jobs, {len(set(jobs) - set(job_ids))} of them unknown"
    with closing(Store(database)) as store:
        recorded: Counter[RoundKey] = Counter()
        for job_id in job_ids:
            state = store.get_job(job_id).state
            if state not in FINAL_STATES:
                yield f"job {job_id} is stored in state {control_pb2.JobState.Name(state)}"
            keys = [_key(one.key) for one in store.list_rounds(job_id)]
            recorded.update(keys)
            yield from _wrong_rounds(job_id, keys, is_recorded=state == control_pb2.JOB_STATE_RECORDED)
    for key in sorted(seen - set(recorded)):
        yield f"round {key.folder_name} was finished on its device and is not recorded"


def _wrong_rounds(job_id: str, keys: list[RoundKey], *, is_recorded: bool) -> Iterator[str]:
    counts = Counter((key.pass_kind, key.round_index) for key in keys)
    for (pass_kind, index), count in counts.items():
        if count > 1:
            yield f"round {index} of pass {pass_kind} of job {job_id} is recorded {count} times"
    timed = {index for pass_kind, index in counts if pass_kind == result_pb2.PASS_LATENCY}
    if is_recorded and timed != set(range(ROUND_COUNT)):
        yield f"job {job_id} is recorded with rounds {sorted(timed)} of {ROUND_COUNT}"


def half_written(controller_state: Path, agent_states: Iterable[Path]) -> Iterator[str]:
    """Say which files are not what their names promise."""
    for path in (controller_state / "blobs").rglob("*"):
        if path.is_file() and "partial" not in path.parts and digest_of(path) != path.name:
            yield f"{path} is not the blob of its name"
    for state in agent_states:
        for path in (state / "blobs").iterdir():
            if _DIGEST.fullmatch(path.name) and digest_of(path) != path.name:
                yield f"{path} is not the blob of its name"
        for path in (state / "outbox").iterdir():
            if path.name.startswith("damaged-"):
                yield f"{path} is half a round"
        try:
            json.loads((state / "device.json").read_bytes())
        except (OSError, ValueError) as error:
            yield f"{state / 'device.json'} is damaged: {error}"


def orphans(root: Path, wanted: set[int]) -> list[psutil.Process]:
    """Return the workers below ``root`` that no process of ``wanted`` started."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if "steelyard_agent.worker" not in process.cmdline() or not process.cwd().startswith(str(root)):
                continue
            if not wanted & {parent.pid for parent in process.parents()}:
                found.append(process)
    return found


def bugs_in(logs: Iterable[Path]) -> Iterator[str]:
    """Say which logs tell of a bug, with the line."""
    for log in logs:
        for number, line in enumerate(log.read_text(errors="replace").splitlines(), start=1):
            if any(mark in line for mark in _BUGS):
                yield f"{log}:{number} tells of a bug: {line.strip()[:200]}"
                break


def fallen_epochs(logs: Iterable[Path]) -> Iterator[str]:
    """Say which agents gave out an epoch that was not above the one before it, whatever happened between."""
    for log in logs:
        epochs = [int(number) for number in _EPOCH.findall(log.read_text(errors="replace"))]
        for before, after in itertools.pairwise(epochs):
            if after <= before:
                yield f"{log} tells of epoch {after} after epoch {before}"


def _key(key: result_pb2.ResultKey) -> RoundKey:
    return RoundKey(job_id=key.job_id, attempt=key.attempt, pass_kind=key.pass_kind, round_index=key.round_index)

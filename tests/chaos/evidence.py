"""What a campaign left behind on the disks, and what is wrong with it."""

from __future__ import annotations

import itertools
import json
import re
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Self

import psutil

from steelyard.control.controller import DATABASE_NAME
from steelyard.job_states import FINAL_STATES
from steelyard.store.store import Store
from steelyard_agent.state.blob_cache import digest_of
from steelyard_agent.state.outbox import RoundKey, decode_entry
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
        self._lying: set[Path] = set()
        # The digests of each round's results: one, unless it was lost and made again.
        self.seen: dict[RoundKey, set[str]] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_S):
            self._look()

    def _look(self) -> None:
        lying = set(_round_folders(self._outboxes))
        for path in lying - self._lying:
            key = _key_of(path)
            # Acknowledged and gone in the meantime: what lay there is then known by its key alone.
            digests: set[str] = set()
            with suppress(OSError):
                digests = {decode_entry((path / "entry.json").read_bytes()).result.digest}
            self.seen[key] = self.seen.get(key, set()) | digests
        self._lying = lying


def _round_folders(outboxes: Iterable[Path]) -> Iterator[Path]:
    for outbox in outboxes:
        with suppress(OSError):
            yield from (path for path in outbox.iterdir() if not path.name.startswith((".", "damaged-")))


def _key_of(path: Path) -> RoundKey:
    job_id, *numbers = path.name.split("@")
    attempt, pass_kind, round_index = map(int, numbers)
    return RoundKey(job_id=job_id, attempt=attempt, pass_kind=pass_kind, round_index=round_index)


def waiting_rounds(outboxes: Iterable[Path]) -> Iterator[RoundKey]:
    """Yield the rounds that lie in outboxes now."""
    yield from map(_key_of, _round_folders(outboxes))


def lost_or_doubled(
    controller_state: Path, jobs: dict[str, control_pb2.Job], request_count: int, seen: Mapping[RoundKey, set[str]]
) -> Iterator[str]:
    """Say what the store lacks or holds twice, of its jobs and of their rounds in ``seen``; nobody has it open."""
    database = controller_state / DATABASE_NAME
    with closing(sqlite3.connect(database)) as connection:
        ((health,),) = connection.execute("PRAGMA integrity_check").fetchall()
        job_ids = [row[0] for row in connection.execute("SELECT job_id FROM jobs")]
    if health != "ok":
        yield f"the database is damaged: {health}"
    if len(job_ids) != request_count or set(job_ids) != set(jobs):
        yield f"{request_count} requests made {len(job_ids)} jobs, {len(set(jobs) - set(job_ids))} of them unknown"
    recorded: dict[RoundKey, str] = {}
    with closing(Store(database)) as store:
        for job_id in job_ids:
            state = store.get_job(job_id).state
            if state not in FINAL_STATES:
                yield f"job {job_id} is stored in state {control_pb2.JobState.Name(state)}"
            rounds = store.list_rounds(job_id)
            recorded.update({_key(one.key): one.result_digest for one in rounds})
            is_recorded = state == control_pb2.JOB_STATE_RECORDED
            yield from _wrong_rounds(job_id, [_key(one.key) for one in rounds], is_recorded=is_recorded)
    for key in sorted(seen):
        if key.job_id in jobs:
            yield from _wrong_result(key, seen[key], recorded.get(key))


def unknown_boots(controller_state: Path, rebooted: Iterable[str]) -> Iterator[str]:
    """Say which devices were rebooted without their controller's knowledge; nobody has its database open."""
    with closing(Store(controller_state / DATABASE_NAME)) as store:
        for name in sorted(set(rebooted)):
            events, _ = store.fleet.log.page(store.find_device(name).description.device_id, 500)
            if not any(event.kind == "boot" for event in events):
                yield f"{name} was rebooted, and its controller knows of no boot"


def strangers(seen: Iterable[RoundKey], job_ids: set[str]) -> Iterator[str]:
    """Say which rounds were made for a job that nobody asked for."""
    for key in sorted(seen):
        if key.job_id not in job_ids:
            yield f"round {key.folder_name} is of a job that nobody submitted"


def _wrong_result(key: RoundKey, made: set[str], recorded: str | None) -> Iterator[str]:
    if recorded is None:
        yield f"round {key.folder_name} was finished on its device and is not recorded"
    elif made and recorded not in made:
        yield f"round {key.folder_name} is recorded with another result than its device finished"
    if len(made) > 1:
        yield f"round {key.folder_name} was finished on its device {len(made)} times"


def _wrong_rounds(job_id: str, keys: list[RoundKey], *, is_recorded: bool) -> Iterator[str]:
    counts = Counter((key.pass_kind, key.round_index) for key in keys)
    for (pass_kind, index), count in counts.items():
        if count > 1:
            yield f"round {index} of pass {pass_kind} of job {job_id} is recorded {count} times"
    timed = {index for pass_kind, index in counts if pass_kind == result_pb2.PASS_LATENCY}
    if is_recorded and timed != set(range(ROUND_COUNT)):
        yield f"job {job_id} is recorded with rounds {sorted(timed)} of {ROUND_COUNT}"


def half_written(controller_states: Iterable[Path], agent_states: Iterable[Path]) -> Iterator[str]:
    """Say which files are not what their names promise."""
    for state in controller_states:
        for path in (state / "blobs").rglob("*"):
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

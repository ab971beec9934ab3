"""What every store must do, whichever way it is reached: directly, or behind the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from steelyard.errors import NotFoundError, UsageError
from steelyard.store.store import Store
from steelyard.store.worker import AsyncStore
from steelyard_protocol.v1 import common_pb2, control_pb2
from tests.controller.store import messages
from tests.controller.store.messages import CANCELLED, QUEUED, RECORDED, RUNNING, digest_of


class Direct:
    """The synchronous store."""

    def __init__(self, path: Path) -> None:
        self._store = Store(path, clock_ns=messages.rising_clock())

    def call(self, method: Callable[..., Any], *args: object, **kwargs: object) -> Any:
        return method(self._store, *args, **kwargs)

    def close(self) -> None:
        self._store.close()


class BehindTheLoop:
    """The asynchronous store, called from a loop of its own."""

    def __init__(self, path: Path) -> None:
        self._runner = asyncio.Runner()
        self._store = AsyncStore(path, clock_ns=messages.rising_clock())
        self._runner.run(self._store.open())

    def call(self, method: Callable[..., Any], *args: object, **kwargs: object) -> Any:
        return self._runner.run(self._store.call(method, *args, **kwargs))

    def close(self) -> None:
        self._runner.run(self._store.close())
        self._runner.close()


@pytest.fixture(params=[Direct, BehindTheLoop])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Any]]:
    opened: list[Any] = []

    def open_again() -> Any:
        for store in opened:
            store.close()
        opened[:] = [request.param(tmp_path / "store.db")]
        return opened[0]

    yield open_again
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[[], Any]) -> Any:
    return open_store()


def test_the_same_bytes_are_one_artifact_and_the_first_name_stays(store: Any) -> None:
    first = store.call(Store.put_artifact, messages.artifact("resnet"))
    again = store.call(Store.put_artifact, messages.artifact("other", digest=digest_of("resnet")))
    assert again == first
    assert store.call(Store.list_artifacts) == ([first], "")


def test_a_lineage_is_added_once_and_then_stays(store: Any) -> None:
    store.call(Store.put_artifact, messages.artifact("int8"))
    store.call(Store.put_artifact, messages.artifact("int8", parent="resnet"))
    store.call(Store.put_artifact, messages.artifact("int8", parent="something else"))
    assert store.call(Store.find_artifact, "int8").lineage.parent_digest == digest_of("resnet")


def test_an_artifact_is_found_by_digest_by_the_beginning_of_one_and_by_name(store: Any) -> None:
    stored = store.call(Store.put_artifact, messages.artifact("resnet"))
    for text in (stored.digest, stored.digest[:4], stored.digest[:20], "resnet"):
        assert store.call(Store.find_artifact, text) == stored


def test_of_two_artifacts_with_one_name_the_newest_is_found(store: Any) -> None:
    store.call(Store.put_artifact, messages.artifact("resnet", digest=digest_of("old")))
    newest = store.call(Store.put_artifact, messages.artifact("resnet", digest=digest_of("new")))
    assert store.call(Store.find_artifact, "resnet") == newest


def test_a_request_makes_one_job_however_often_it_comes(store: Any) -> None:
    made, created = store.call(Store.create_job, messages.job(), b"request", "request-1")
    again, created_again = store.call(Store.create_job, messages.job("job-0002"), b"request", "request-1")
    assert (created, created_again) == (True, False)
    assert again == made
    assert made.state == QUEUED
    assert store.call(Store.get_request, "job-0001") == b"request"
    assert store.call(Store.list_jobs) == ([made], "")


def test_a_transition_sets_the_state_and_says_so_in_the_log(store: Any) -> None:
    store.call(Store.create_job, messages.job(), b"", "request-1")
    event = store.call(Store.transition, "job-0001", RUNNING, message="block 1 of 8", done=1, total=8, attempt=2)
    found = store.call(Store.get_job, "job-0001")
    assert (found.state, found.attempt) == (RUNNING, 2)
    assert (event.state, event.done, event.total, event.message) == (RUNNING, 1, 8, "block 1 of 8")
    assert store.call(Store.list_events, "job-0001") == [event]
    assert store.call(Store.list_events, "job-0001", event.cursor) == []


def test_a_final_state_is_never_left(store: Any) -> None:
    store.call(Store.create_job, messages.job(), b"", "request-1")
    last = store.call(Store.transition, "job-0001", CANCELLED, message="by the user")
    assert store.call(Store.transition, "job-0001", RECORDED, message="too late") is None
    assert store.call(Store.append_event, "job-0001", "too late") is None
    found = store.call(Store.get_job, "job-0001")
    assert (found.state, found.finished_at) == (CANCELLED, last.at)
    assert store.call(Store.list_events, "job-0001") == [last]
    assert store.call(Store.unfinished_jobs) == []


def test_an_error_is_kept_with_its_reason_until_the_job_goes_on(store: Any) -> None:
    store.call(Store.create_job, messages.job(), b"", "request-1")
    error = common_pb2.ErrorInfo(reason="device_lost", message="pi5 went away")
    store.call(Store.transition, "job-0001", QUEUED, message="again", error=error)
    assert store.call(Store.get_job, "job-0001").error == error
    store.call(Store.transition, "job-0001", RUNNING, message="on it")
    assert not store.call(Store.get_job, "job-0001").HasField("error")


def test_a_round_is_recorded_exactly_once(store: Any) -> None:
    store.call(Store.create_job, messages.job(), b"", "request-1")
    first = {"segment": 0, "result_digest": digest_of("first"), "recorded_at_ns": 1}
    repeat = {"segment": 1, "result_digest": digest_of("repeat"), "recorded_at_ns": 2}
    assert store.call(Store.record_round, messages.round_key(), **first)
    assert not store.call(Store.record_round, messages.round_key(), **repeat)
    assert store.call(Store.record_round, messages.round_key(attempt=2), **repeat)
    rounds = store.call(Store.list_rounds, "job-0001")
    assert [(each.key.attempt, each.result_digest, each.segment) for each in rounds] == [
        (1, digest_of("first"), 0),
        (2, digest_of("repeat"), 1),
    ]
    assert store.call(Store.recorded_keys, "job-0001") == [each.key for each in rounds]


def test_a_round_of_a_job_that_nobody_knows_is_refused(store: Any) -> None:
    with pytest.raises(NotFoundError, match="no job has the id 'job-0001'"):
        store.call(Store.record_round, messages.round_key(), segment=0, result_digest=digest_of("x"), recorded_at_ns=1)
    assert store.call(Store.recorded_keys, "job-0001") == []


def test_everything_is_there_after_the_store_was_opened_again(open_store: Callable[[], Any]) -> None:
    store = open_store()
    controller_id = store.call(Store.controller_id, "controller-1")
    kept = store.call(Store.put_artifact, messages.artifact())
    known = store.call(Store.put_task, messages.task())
    store.call(Store.put_device, messages.description(), "0.1.0", 5)
    device = store.call(Store.find_device, "pi5")
    store.call(Store.create_job, messages.job(), b"request", "request-1")
    event = store.call(Store.transition, "job-0001", RUNNING, message="go")
    store = open_store()
    assert store.call(Store.controller_id, "controller-2") == controller_id
    assert store.call(Store.find_artifact, "resnet") == kept
    assert store.call(Store.get_task, known.task_id) == known
    assert store.call(Store.find_device, "pi5") == device
    assert [job.job_id for job in store.call(Store.unfinished_jobs)] == ["job-0001"]
    assert store.call(Store.list_events, "job-0001") == [event]


def test_pages_give_every_job_once_the_newest_first(store: Any) -> None:
    names = [f"job-{number:04}" for number in range(5)]
    for name in names:
        store.call(Store.create_job, messages.job(name), b"", f"request-of-{name}")
    seen: list[str] = []
    token = ""
    while True:
        jobs, token = store.call(Store.list_jobs, 2, token)
        seen += [job.job_id for job in jobs]
        if not token:
            break
    assert seen == list(reversed(names))


def test_a_device_is_found_by_name_by_id_and_by_the_beginning_of_its_id(store: Any) -> None:
    store.call(Store.put_device, messages.description(), "0.1.0", 1_000_000_000)
    ((stored,), _) = store.call(Store.list_devices)
    assert stored.last_seen.seconds == 1
    for text in ("pi5", "d1e2f3a4", "d1e2"):
        assert store.call(Store.find_device, text) == stored


def test_a_name_that_means_two_devices_is_refused_with_their_ids(store: Any) -> None:
    store.call(Store.put_device, messages.description("aaaa1111"), "0.1.0", 1)
    store.call(Store.put_device, messages.description("aaaa2222"), "0.1.0", 1)
    for text in ("pi5", "aaaa"):
        with pytest.raises(UsageError, match="aaaa1111, aaaa2222"):
            store.call(Store.find_device, text)


def test_a_task_gets_its_id_from_its_content(store: Any) -> None:
    first = store.call(Store.put_task, messages.task())
    assert store.call(Store.put_task, messages.task()) == first
    assert store.call(Store.put_task, messages.task("digits")).task_id != first.task_id
    changed = control_pb2.Task(task_id=first.task_id, name="another")
    with pytest.raises(UsageError, match="stored with other content"):
        store.call(Store.put_task, changed)

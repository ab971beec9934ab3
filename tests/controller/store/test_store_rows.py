from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.errors import NotFoundError, UsageError
from steelyard.store.store import Store
from steelyard_protocol.v1 import control_pb2, result_pb2
from tests.controller.store import messages
from tests.controller.store.messages import RECORDED, RUNNING, digest_of


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store.db", clock_ns=messages.rising_clock())
    yield opened
    opened.close()


@pytest.mark.parametrize("name", ["", " resnet", "resnet\n", "a\x1b[31mb", "x" * 201, "f" * 64])
def test_an_artifact_with_a_name_nobody_could_read_is_refused(store: Store, name: str) -> None:
    with pytest.raises(UsageError, match="artifact name"):
        store.put_artifact(messages.artifact(name, digest=digest_of("x")))


def test_an_artifact_without_format_size_or_true_digest_is_refused(store: Store) -> None:
    formatless = messages.artifact()
    formatless.ClearField("format")
    empty = messages.artifact()
    empty.size_bytes = 0
    with pytest.raises(UsageError, match="has no format"):
        store.put_artifact(formatless)
    with pytest.raises(UsageError, match="0 bytes"):
        store.put_artifact(empty)
    with pytest.raises(UsageError, match="not a SHA-256"):
        store.put_artifact(messages.artifact(digest="../../etc/passwd"))
    orphan = messages.artifact()
    orphan.lineage.parent_digest = "nobody"
    with pytest.raises(UsageError, match="parent of artifact 'resnet': 'nobody'"):
        store.put_artifact(orphan)


def test_an_artifact_that_says_when_it_was_made_keeps_that_time(store: Store) -> None:
    dated = messages.artifact()
    dated.created_at.FromNanoseconds(5)
    assert store.put_artifact(dated).created_at.ToNanoseconds() == 5
    assert store.put_artifact(messages.artifact("other")).created_at.ToNanoseconds() > 5


def test_a_name_that_is_not_there_is_answered_with_near_ones(store: Store) -> None:
    with pytest.raises(NotFoundError, match="no artifact is stored yet"):
        store.find_artifact("resnet")
    store.put_artifact(messages.artifact("fashion-resnet"))
    with pytest.raises(NotFoundError, match="near: 'fashion-resnet'"):
        store.find_artifact("fashion-resnt")


def test_a_digest_prefix_that_fits_two_artifacts_is_refused_with_both(store: Store) -> None:
    store.put_artifact(messages.artifact("one", digest="abcd" + "0" * 60))
    store.put_artifact(messages.artifact("two", digest="abcd" + "1" * 60))
    with pytest.raises(UsageError, match=r"abcd00000000 \(one\), abcd11111111 \(two\)"):
        store.find_artifact("abcd")
    assert store.find_artifact("abcd0").name == "one"
    with pytest.raises(NotFoundError):
        store.find_artifact("abc")


def test_a_name_wins_over_the_beginning_of_a_digest(store: Store) -> None:
    store.put_artifact(messages.artifact("one", digest="abcd" + "0" * 60))
    store.put_artifact(messages.artifact("abcd"))
    assert store.find_artifact("abcd").name == "abcd"


def test_percent_signs_and_capitals_are_no_wildcards(store: Store) -> None:
    store.put_artifact(messages.artifact("one", digest="abcd" + "0" * 60))
    for text in ("%%%%", "____", "ABCD"):
        with pytest.raises(NotFoundError):
            store.find_artifact(text)


def test_a_task_must_name_its_data_and_have_some(store: Store) -> None:
    with pytest.raises(UsageError, match="evaluation data of task 'fashion': 'zip'"):
        store.put_task(control_pb2.Task(name="fashion", evaluation_digest="zip"))
    with pytest.raises(UsageError, match="calibration data of task 'fashion' holds 0 samples"):
        store.put_task(control_pb2.Task(name="fashion", calibration_digest=digest_of("c")))
    with pytest.raises(UsageError, match="labels of task 'fashion'"):
        store.put_task(control_pb2.Task(name="fashion", labels_digest="labels"))
    with pytest.raises(UsageError, match="task id"):
        store.put_task(control_pb2.Task(name="fashion", task_id="../x"))


def test_a_task_that_is_not_there_is_answered_with_near_ones(store: Store) -> None:
    named = messages.task()
    named.task_id = "fashion-2000"
    assert store.put_task(named) == named
    with pytest.raises(NotFoundError, match="near: 'fashion-2000'"):
        store.get_task("fashion-200")


def test_a_device_that_comes_again_brings_its_latest_description(store: Store) -> None:
    store.put_device(messages.description(), "0.1.0", 1)
    store.put_device(messages.description(name="kitchen"), "0.2.0", 2)
    devices, token = store.list_devices()
    assert token == ""
    assert [(device.description.name, device.agent_version) for device in devices] == [("kitchen", "0.2.0")]
    assert devices[0].last_seen.ToNanoseconds() == 2


def test_a_device_that_says_no_time_was_seen_now(store: Store) -> None:
    store.put_device(messages.description(), "0.1.0")
    assert store.find_device("pi5").last_seen.seconds == 1_700_000_000


def test_a_device_with_a_bad_id_or_name_is_refused(store: Store) -> None:
    with pytest.raises(UsageError, match="device id"):
        store.put_device(messages.description(device_id="a b"), "0.1.0")
    with pytest.raises(UsageError, match="name of device d1e2f3a4"):
        store.put_device(messages.description(name="pi\t5"), "0.1.0")


def test_a_device_that_is_not_there_is_answered_with_what_to_do(store: Store) -> None:
    with pytest.raises(NotFoundError, match="steelyard-agent run"):
        store.find_device("pi5")
    store.put_device(messages.description(name="kitchen-pi"), "0.1.0")
    with pytest.raises(NotFoundError, match="near: 'kitchen-pi'"):
        store.find_device("kitchenpi")


def test_devices_come_in_the_order_in_which_they_were_first_seen(store: Store) -> None:
    for name in ("c", "a", "b"):
        store.put_device(messages.description(f"device-{name}", name), "0.1.0")
    store.put_device(messages.description("device-c", "c"), "0.1.0")
    first, token = store.list_devices(2)
    rest, end = store.list_devices(2, token)
    assert [device.description.name for device in (*first, *rest)] == ["c", "a", "b"]
    assert end == ""


def test_page_sizes_and_tokens_that_make_no_sense_are_refused(store: Store) -> None:
    with pytest.raises(UsageError, match="page size -1"):
        store.list_artifacts(-1)
    for token in ("next", "-1", "9" * 19, "\uff11"):
        with pytest.raises(UsageError, match="page token"):
            store.list_artifacts(0, token)


def test_a_job_needs_an_id_a_kind_and_a_beginning(store: Store) -> None:
    with pytest.raises(UsageError, match="job id ''"):
        store.create_job(control_pb2.Job(kind=messages.MEASUREMENT), b"", "r1")
    with pytest.raises(UsageError, match="request id ''"):
        store.create_job(messages.job(), b"", "")
    with pytest.raises(UsageError, match="has no kind"):
        store.create_job(control_pb2.Job(job_id="j1"), b"", "r1")
    with pytest.raises(UsageError, match="final state"):
        store.create_job(control_pb2.Job(job_id="j1", kind=messages.MEASUREMENT, state=RECORDED), b"", "r1")


def test_a_request_id_cannot_make_a_job_of_another_kind(store: Store) -> None:
    store.create_job(messages.job(), b"", "r1")
    other = control_pb2.Job(job_id="j2", kind=control_pb2.JOB_KIND_COMPRESSION)
    with pytest.raises(UsageError, match="already made job job-0001"):
        store.create_job(other, b"", "r1")
    with pytest.raises(UsageError, match="made by another request"):
        store.create_job(messages.job(), b"", "r2")


def test_a_job_is_found_by_the_beginning_of_its_id_when_one_begins_so(store: Store) -> None:
    created_at = messages.job("feed0001")
    created_at.created_at.FromNanoseconds(7)
    stored, _ = store.create_job(created_at, b"", "r1")
    assert stored.created_at.ToNanoseconds() == 7
    assert store.get_job("feed") == stored
    store.create_job(messages.job("feed0002"), b"", "r2")
    with pytest.raises(UsageError, match="feed0001, feed0002"):
        store.get_job("feed")
    with pytest.raises(NotFoundError, match="near: 'feed0001'"):
        store.get_job("fed0001")


def test_the_extensions_of_a_measurement_are_those_that_name_it(store: Store) -> None:
    measurement = {"kind": control_pb2.JOB_KIND_MEASUREMENT, "device": "pi5", "attempt": 1}
    extending = control_pb2.SubmitMeasurementRequest(extended_job_id="job-0001").SerializeToString()
    # A compression whose request happens to hold the same bytes is none.
    compression = {"kind": control_pb2.JOB_KIND_COMPRESSION, "attempt": 1}
    for job_id, fields, request in (
        ("job-0001", measurement, b""),
        ("job-0002", measurement, extending),
        ("job-0003", measurement, b""),
        ("job-0004", compression, extending),
        ("job-0005", measurement, extending),
    ):
        store.create_job(control_pb2.Job(job_id=job_id, **fields), request, job_id)
    assert store.extensions_of("job-0001") == ["job-0002", "job-0005"]
    assert store.extensions_of("job-0002") == []


def test_only_a_whole_id_changes_a_job(store: Store) -> None:
    store.create_job(messages.job(), b"", "r1")
    with pytest.raises(NotFoundError):
        store.transition("job-", RUNNING, message="")
    with pytest.raises(NotFoundError):
        store.append_event("job-", "")


def test_a_state_that_is_none_is_refused(store: Store) -> None:
    store.create_job(messages.job(), b"", "r1")
    for state in (control_pb2.JOB_STATE_UNSPECIFIED, 99):
        with pytest.raises(UsageError, match=f"into state {state}"):
            store.transition("job-0001", state, message="")  # type: ignore[arg-type]


def test_a_compression_that_ends_names_its_variant(store: Store) -> None:
    store.create_job(messages.job(), b"", "r1")
    store.transition("job-0001", RECORDED, message="done", variant_digest=digest_of("v"))
    assert store.get_job("job-0001").variant_digest == digest_of("v")


def test_the_log_is_read_from_a_cursor_in_pieces(store: Store) -> None:
    store.create_job(messages.job(), b"", "r1")
    store.create_job(messages.job("job-0002"), b"", "r2")
    for number in range(5):
        store.append_event("job-0001", f"line {number}", number, 5)
        store.append_event("job-0002", "another job's line")
    first = store.list_events("job-0001", 0, 2)
    rest = store.list_events("job-0001", first[-1].cursor)
    assert [event.message for event in (*first, *rest)] == [f"line {number}" for number in range(5)]
    assert rest[-1].state == messages.QUEUED
    with pytest.raises(UsageError, match="0 events"):
        store.list_events("job-0001", 0, 0)


def test_a_round_must_say_its_pass_and_its_digest(store: Store) -> None:
    store.create_job(messages.job(), b"", "r1")
    passless = result_pb2.ResultKey(job_id="job-0001")
    with pytest.raises(UsageError, match="of which pass"):
        store.record_round(passless, segment=0, result_digest=digest_of("x"), recorded_at_ns=1)
    with pytest.raises(UsageError, match="result of round 0"):
        store.record_round(messages.round_key(), segment=0, result_digest="x", recorded_at_ns=1)


def test_a_controller_id_that_is_no_identifier_is_refused(store: Store) -> None:
    with pytest.raises(UsageError, match="controller id"):
        store.controller_id("")


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = Store(tmp_path_factory.mktemp("empty") / "store.db")
    yield opened
    opened.close()


@given(text=st.text(max_size=80))
def test_whatever_is_typed_as_a_name_finds_nothing_in_an_empty_store(empty_store: Store, text: str) -> None:
    for find in (empty_store.find_artifact, empty_store.find_device, empty_store.get_job, empty_store.get_task):
        with pytest.raises(NotFoundError):
            find(text)

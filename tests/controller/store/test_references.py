"""Which blobs the database names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.errors import NotFoundError
from steelyard.store.references import digests_in, find_referenced
from steelyard.store.store import Store
from steelyard_protocol.v1 import control_pb2, result_pb2
from tests.controller.store.messages import RECORDED, artifact, digest_of, job, rising_clock, round_key, task

ROUND, OUTPUTS, LOOSE = digest_of("round"), digest_of("outputs"), digest_of("loose")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "store.sqlite3", clock_ns=rising_clock())
    yield made
    made.close()


def a_round(_digest: str) -> bytes:
    result = result_pb2.RoundResult(job_id="job-0001")
    result.blocks.add(label="a", outputs_digest=OUTPUTS)
    return result.SerializeToString()


def named(tmp_path: Path, *digests: str, **more: object) -> set[str]:
    return find_referenced(tmp_path / "store.sqlite3", set(digests) | {LOOSE}, a_round, **more)


@given(st.binary(max_size=80), st.sampled_from([digest_of("a"), digest_of("b")]), st.binary(max_size=80))
def test_a_digest_is_found_whatever_stands_around_it(before: bytes, digest: str, after: bytes) -> None:
    assert digest in set(digests_in(before + digest.encode() + after))


def test_a_digest_between_hexadecimal_digits_is_found() -> None:
    digest = digest_of("x")
    assert digest in set(digests_in(b"2" + digest.encode() + b"ab"))
    assert not list(digests_in(digest.upper().encode()))
    assert not list(digests_in(digest[:63].encode()))


def test_models_their_parents_and_the_data_of_tasks_are_named(store: Store, tmp_path: Path) -> None:
    store.put_artifact(artifact("variant", parent="parent"))
    store.put_task(task())
    wanted = {digest_of("variant"), digest_of("parent"), digest_of("inputs")}
    assert named(tmp_path, *wanted) == wanted


def test_what_a_request_of_a_job_asks_for_is_named(store: Store, tmp_path: Path) -> None:
    request = control_pb2.SubmitMeasurementRequest()
    request.plan.artifacts.add(artifact_digest=digest_of("model"))
    request.plan.inputs.data_digest = digest_of("data")
    store.create_job(job(), request.SerializeToString(), "request-1")
    wanted = {digest_of("model"), digest_of("data")}
    assert named(tmp_path, *wanted) == wanted


def test_rounds_and_the_outputs_that_they_name_are_named(store: Store, tmp_path: Path) -> None:
    store.create_job(job(), b"", "request-1")
    store.record_round(round_key(), segment=0, result_digest=ROUND, recorded_at_ns=5)
    store.record_trace("job-0001", "plug", digest_of("trace"))
    assert named(tmp_path, ROUND, OUTPUTS, digest_of("trace")) == {ROUND, OUTPUTS, digest_of("trace")}


def test_a_round_that_cannot_be_read_names_itself_alone(store: Store, tmp_path: Path) -> None:
    store.create_job(job(), b"", "request-1")
    store.record_round(round_key(), segment=0, result_digest=ROUND, recorded_at_ns=5)

    def gone(digest: str) -> bytes:
        raise NotFoundError("blob_not_found", f"blob {digest} is not here")

    assert find_referenced(tmp_path / "store.sqlite3", {ROUND, OUTPUTS}, gone) == {ROUND}


def test_removed_samples_are_named_no_more_but_what_came_later_and_the_figures_are(
    store: Store, tmp_path: Path
) -> None:
    store.create_job(job(), b"", "request-1")
    store.record_round(round_key(), segment=0, result_digest=ROUND, recorded_at_ns=5)
    store.record_round(round_key(1), segment=0, result_digest=digest_of("late"), recorded_at_ns=11)
    store.remove_samples("job-0001", digest_of("figures"), 10)
    assert named(tmp_path, ROUND, digest_of("late"), digest_of("figures")) == {digest_of("late"), digest_of("figures")}
    # A device may still ask what was recorded.
    assert len(store.recorded_keys("job-0001")) == 2


def test_rounds_of_a_job_can_be_thought_away(store: Store, tmp_path: Path) -> None:
    store.create_job(job(), b"", "request-1")
    store.record_round(round_key(), segment=0, result_digest=ROUND, recorded_at_ns=5)
    assert named(tmp_path, ROUND, OUTPUTS, let_go={"job-0001"}) == set()
    assert named(tmp_path, ROUND, OUTPUTS, let_go={"job-0002"}) == {ROUND, OUTPUTS}


def extending(store: Store, job_id: str, extended: str, *, ended: bool = True) -> None:
    request = control_pb2.SubmitMeasurementRequest(extended_job_id=extended)
    store.create_job(job(job_id), request.SerializeToString(), f"request-{job_id}")
    if ended:
        store.transition(job_id, RECORDED, message="done")


def test_samples_stay_while_a_younger_measurement_extends_them(store: Store) -> None:
    extending(store, "job-0001", "")
    extending(store, "job-0002", "job-0001")
    extending(store, "job-0003", "")
    for_ever = 2**62
    assert [one.job_id for one in store.sampled_before(for_ever)] == ["job-0003", "job-0002", "job-0001"]
    extending(store, "job-0004", "job-0002", ended=False)
    assert [one.job_id for one in store.sampled_before(for_ever)] == ["job-0003"]
    assert store.sampled_before(1) == []


def test_samples_are_removed_once(store: Store) -> None:
    extending(store, "job-0001", "")
    store.remove_samples("job-0001", digest_of("figures"), 10)
    assert store.sampled_before(2**62) == []
    left = store.removed_samples("job-0001")
    assert left is not None
    assert (left.measurement_digest, left.removed_at_ns) == (digest_of("figures"), 10)
    assert store.removed_samples("job-0002") is None

"""Rules of devices, their log and what is quarantined on them, in a real database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from steelyard.errors import UsageError
from steelyard.store import device_log
from steelyard.store.store import Store
from steelyard_protocol.v1 import common_pb2, control_pb2, health_pb2, result_pb2
from tests.controller.store import messages

OLD, NEW, NEWER = "dev-old", "dev-new", "dev-newer"


class Clock:
    def __init__(self) -> None:
        self.now_ns = 1_790_000_000_000_000_000

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    made = Store(tmp_path / "store.db", clock_ns=clock)
    for device_id in (OLD, NEW, NEWER):
        made.put_device(common_pb2.DeviceDescription(device_id=device_id, name=f"name-of-{device_id}"), "0.1.0")
    yield made
    made.close()


def key(index: int, job_id: str = "job-0001") -> result_pb2.ResultKey:
    return result_pb2.ResultKey(job_id=job_id, attempt=1, pass_kind=result_pb2.PASS_LATENCY, round_index=index)


def digest() -> str:
    return messages.artifact().digest


def test_a_device_tells_what_was_decided_about_it(store: Store) -> None:
    rules = store.fleet.rules
    rules.set_draining(OLD, draining=True)
    rules.set_quarantine(OLD, "the sentinel is 9 % slower")
    rules.set_switch(OLD, health_pb2.PowerSwitch(address="tasmota://plug", most_cycles_an_hour=2))
    rules.put_health(OLD, health_pb2.DeviceHealth(boot_id="b1", boot_count=3))
    found = store.find_device(OLD)
    assert (found.draining, found.quarantined_because) == (True, "the sentinel is 9 % slower")
    assert (found.power_switch.address, found.power_switch.most_cycles_an_hour) == ("tasmota://plug", 2)
    assert (found.health.boot_id, found.health.boot_count) == ("b1", 3)
    assert not store.find_device(NEW).draining


def test_what_was_decided_can_be_taken_back(store: Store) -> None:
    rules = store.fleet.rules
    rules.set_draining(OLD, draining=True)
    rules.set_quarantine(OLD, "drifted")
    rules.set_switch(OLD, health_pb2.PowerSwitch(address="tasmota://plug", most_cycles_an_hour=2))
    rules.set_draining(OLD, draining=False)
    rules.set_quarantine(OLD, "")
    rules.set_switch(OLD, health_pb2.PowerSwitch(most_cycles_an_hour=2))
    found = store.find_device(OLD)
    assert not found.draining
    assert not found.quarantined_because
    assert not found.HasField("power_switch")


def test_samples_of_health_are_not_kept_on_the_disk(store: Store) -> None:
    health = health_pb2.DeviceHealth(boot_id="b1", samples=[health_pb2.HealthSample(free_disk_bytes=7)])
    store.fleet.rules.put_health(OLD, health)
    assert store.fleet.rules.health(OLD) == (health_pb2.DeviceHealth(boot_id="b1"), "0.1.0")
    assert store.fleet.rules.health("dev-unknown") == (health_pb2.DeviceHealth(), "")


def test_a_replacement_is_told_by_both_devices(store: Store, clock: Clock) -> None:
    replacement = store.fleet.rules.replace(OLD, NEW)
    assert (replacement.old_device_name, replacement.new_device_name) == ("name-of-dev-old", "name-of-dev-new")
    assert replacement.at.ToNanoseconds() == clock.now_ns
    assert store.find_device(OLD).replaced_by == replacement
    assert store.find_device(NEW).replaced == replacement


def test_replacements_form_a_chain_that_goes_back_to_the_first_device(store: Store) -> None:
    store.fleet.rules.replace(OLD, NEW)
    store.fleet.rules.replace(NEW, NEWER)
    assert [one.old_device_id for one in store.fleet.rules.predecessors(NEWER)] == [NEW, OLD]
    assert store.fleet.rules.predecessors(OLD) == []


def test_saying_a_replacement_again_changes_nothing(store: Store, clock: Clock) -> None:
    first = store.fleet.rules.replace(OLD, NEW)
    clock.now_ns += 1
    assert store.fleet.rules.replace(OLD, NEW) == first


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        (((OLD, OLD),), "same_device"),
        (((OLD, NEW), (OLD, NEWER)), "already_replaced"),
        (((OLD, NEWER), (NEW, NEWER)), "already_replaces"),
        (((OLD, NEW), (NEW, NEWER), (NEWER, OLD)), "replaced_in_a_circle"),
    ],
)
def test_a_replacement_that_makes_no_sense_is_refused(
    store: Store, pairs: tuple[tuple[str, str], ...], reason: str
) -> None:
    for old, new in pairs[:-1]:
        store.fleet.rules.replace(old, new)
    with pytest.raises(UsageError) as refused:
        store.fleet.rules.replace(*pairs[-1])
    assert refused.value.reason == reason


@pytest.mark.parametrize(("pool", "device"), [("tag:rack1", "name-of-dev-new"), ("", "as it was typed")])
def test_a_job_keeps_the_device_that_runs_it_and_a_pool_its_name(store: Store, pool: str, device: str) -> None:
    job = control_pb2.Job(job_id="job-0001", kind=control_pb2.JOB_KIND_MEASUREMENT, device="as it was typed", pool=pool)
    store.create_job(job, b"", "request-1")
    store.fleet.rules.bind_job("job-0001", NEW, "name-of-dev-new")
    stored = store.get_job("job-0001")
    assert (stored.device_id, stored.device, stored.pool) == (NEW, device, pool)


def test_the_log_of_a_device_is_told_newest_first_in_pages(store: Store) -> None:
    for number in range(3):
        store.fleet.log.append(OLD, "boot", f"boot {number}")
    store.fleet.log.append(NEW, "boot", "another device's")
    first, token = store.fleet.log.page(OLD, 2)
    rest, end = store.fleet.log.page(OLD, 2, token)
    assert [one.message for one in first + rest] == ["boot 2", "boot 1", "boot 0"]
    assert end == ""


def test_the_log_of_a_device_is_bounded_and_another_ones_is_left_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_log, "MOST_EVENTS", 5)
    store.fleet.log.append(NEW, "boot", "of another device")
    for number in range(12):
        store.fleet.log.append(OLD, "left", str(number))
    assert [one.message for one in store.fleet.log.page(OLD)[0]] == ["11", "10", "9", "8", "7"]
    assert len(store.fleet.log.page(NEW)[0]) == 1


def test_lines_of_a_kind_are_counted_since_a_time(store: Store, clock: Clock) -> None:
    store.fleet.log.append(OLD, "power", "cycled")
    clock.now_ns += 1000
    store.fleet.log.append(OLD, "power", "cycled")
    store.fleet.log.append(OLD, "boot", "booted")
    assert store.fleet.log.count_since(OLD, "power", clock.now_ns) == 1
    assert store.fleet.log.count_since(OLD, "power", 0) == 2


def test_three_crashes_in_a_row_quarantine_an_artifact_on_that_device(store: Store) -> None:
    quarantines = store.fleet.quarantines
    told = [quarantines.note_crash(OLD, digest(), key(index), "died of SIGSEGV") for index in range(3)]
    assert told[:2] == ["", ""]
    assert "3 workers crashed" in told[2]
    assert "SIGSEGV" in told[2]
    assert quarantines.reasons(OLD, [digest()]) == {digest(): told[2]}
    assert quarantines.reasons_by_device([digest()]) == {OLD: {digest(): told[2]}}
    assert quarantines.reasons_by_device([]) == {}
    assert quarantines.reasons(NEW, [digest()]) == {}


def test_how_many_crashes_quarantine_an_artifact_is_a_setting(store: Store) -> None:
    quarantines = store.fleet.quarantines
    told = [quarantines.note_crash(OLD, digest(), key(index), "died", crash_limit=2) for index in range(2)]
    assert told[0] == ""
    assert told[1].startswith("2 workers crashed")


def test_the_same_round_counts_once_however_often_it_arrives(store: Store) -> None:
    for _ in range(5):
        assert store.fleet.quarantines.note_crash(OLD, digest(), key(0), "died") == ""
    assert store.fleet.quarantines.reasons(OLD, [digest()]) == {}


def test_a_block_that_runs_well_ends_the_row_of_crashes(store: Store) -> None:
    quarantines = store.fleet.quarantines
    for index in range(2):
        quarantines.note_crash(OLD, digest(), key(index), "died")
    assert quarantines.crashed(OLD) == {digest()}
    quarantines.note_success(OLD, digest())
    assert quarantines.crashed(OLD) == frozenset()
    for index in range(2, 4):
        assert quarantines.note_crash(OLD, digest(), key(index), "died") == ""


@pytest.fixture
def quarantined(store: Store) -> Callable[..., Store]:
    """Quarantine the artifact on some devices."""

    def make(*device_ids: str) -> Store:
        store.put_artifact(messages.artifact())
        for device_id in device_ids:
            for index in range(3):
                store.fleet.quarantines.note_crash(device_id, digest(), key(index), "died")
        return store

    return make


def test_quarantines_are_listed_with_names_and_lifted_one_by_one(quarantined: Callable[..., Store]) -> None:
    quarantines = quarantined(OLD, NEW).fleet.quarantines
    (newest, oldest), _ = quarantines.page("")
    assert (newest.device_name, oldest.device_name) == ("name-of-dev-new", "name-of-dev-old")
    assert (oldest.artifact_name, oldest.crash_count) == (messages.artifact().name, 3)
    assert [one.device_id for one in quarantines.lift(OLD, digest())] == [OLD]
    assert [one.device_id for one in quarantines.page("")[0]] == [NEW]
    assert quarantines.page(OLD) == ([], "")


def test_after_a_quarantine_was_lifted_the_crashes_are_counted_anew(quarantined: Callable[..., Store]) -> None:
    quarantines = quarantined(OLD).fleet.quarantines
    assert len(quarantines.lift(OLD)) == 1
    assert quarantines.note_crash(OLD, digest(), key(7), "died") == ""
    assert quarantines.reasons(OLD, [digest()]) == {}


def test_devices_that_cannot_be_trusted_are_listed_with_their_reason(store: Store, clock: Clock) -> None:
    store.fleet.rules.set_quarantine(NEW, "the sentinel drifted")
    (told,) = store.fleet.quarantines.devices()
    assert (told.device_id, told.reason, told.artifact_digest) == (NEW, "the sentinel drifted", "")
    assert told.since.ToNanoseconds() == clock.now_ns
    assert store.fleet.quarantines.devices(OLD) == []

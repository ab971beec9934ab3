"""Who has the device next, on a clock that the tests move."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard_agent.jobs.claims import CLAIM_TTL_S, Claim, Claims
from steelyard_agent.jobs.lease import LeaseKeeper
from steelyard_agent.state.identity import IdentityFile
from steelyard_protocol.v1.common_pb2 import JOB_PRIORITY_INTERACTIVE, JOB_PRIORITY_NIGHTLY, JOB_PRIORITY_NORMAL

TTL_MS = 45_000


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def claim(job_id: str, priority: int = JOB_PRIORITY_NORMAL, controller_id: str = "") -> Claim:
    return Claim(job_id=job_id, controller_id=controller_id, priority=priority, nudge=lambda: None)


def first_of(claims: Claims) -> str:
    found = claims.first()
    return found.job_id if found is not None else ""


def test_the_more_urgent_goes_first_and_among_equals_who_asked_first() -> None:
    claims = Claims(clock_s=Clock())
    assert claims.first() is None
    for one in (claim("night", JOB_PRIORITY_NIGHTLY), claim("a"), claim("b"), claim("now", JOB_PRIORITY_INTERACTIVE)):
        claims.put(one)
    order = []
    while found := claims.first():
        order.append(found.job_id)
        claims.drop(found.key)
    assert order == ["now", "a", "b", "night"]


def test_a_claim_that_is_made_again_keeps_its_place_and_one_that_is_not_lapses() -> None:
    clock = Clock()
    claims = Claims(clock_s=clock)
    claims.put(claim("a"))
    claims.put(claim("b"))
    clock.now_s += CLAIM_TTL_S - 1
    claims.put(claim("b"))
    claims.put(claim("a"))
    assert first_of(claims) == "a"
    clock.now_s += CLAIM_TTL_S - 1
    claims.put(claim("b"))
    clock.now_s += 2
    assert first_of(claims) == "b"


def test_the_same_job_id_of_two_controllers_is_two_claims() -> None:
    claims = Claims(clock_s=Clock())
    claims.put(claim("job", controller_id="one"))
    claims.put(claim("job", controller_id="two"))
    claims.drop(("one", "job"))
    found = claims.first()
    assert found is not None
    assert found.controller_id == "two"


@pytest.fixture
def leases(tmp_path: Path) -> LeaseKeeper:
    return LeaseKeeper(IdentityFile(tmp_path / "device.json"), clock_s=Clock())


def test_a_free_device_is_given_to_whose_turn_it_is_and_nobody_slips_in(leases: LeaseKeeper) -> None:
    nudged: list[str] = []
    assert leases.grant("night", 1, TTL_MS, priority=JOB_PRIORITY_NIGHTLY) is not None
    assert leases.grant("a", 1, TTL_MS, priority=JOB_PRIORITY_NORMAL, nudge=lambda: nudged.append("a")) is None
    leases.release()
    assert nudged == ["a"]
    assert leases.grant("night", 1, TTL_MS, priority=JOB_PRIORITY_NIGHTLY) is None
    held = leases.grant("a", 1, TTL_MS, priority=JOB_PRIORITY_NORMAL)
    assert held is not None
    assert held.epoch == 2
    assert leases.newest_epoch == 2


def test_only_a_more_urgent_job_calls_the_holder_back(leases: LeaseKeeper) -> None:
    leases.grant("holder", 1, TTL_MS, priority=JOB_PRIORITY_NORMAL)
    leases.grant("equal", 1, TTL_MS, priority=JOB_PRIORITY_NORMAL)
    leases.grant("night", 1, TTL_MS, priority=JOB_PRIORITY_NIGHTLY)
    assert leases.more_urgent() is None
    assert not leases.contended.is_set()
    leases.grant("now", 1, TTL_MS, priority=JOB_PRIORITY_INTERACTIVE)
    found = leases.more_urgent()
    assert found is not None
    assert found.job_id == "now"
    assert leases.contended.is_set()
    leases.withdraw("now")
    assert leases.more_urgent() is None


def test_a_job_that_is_refused_while_the_device_is_free_is_not_first_for_long(leases: LeaseKeeper) -> None:
    leases.grant("holder", 1, TTL_MS)
    leases.grant("dead", 1, TTL_MS)
    leases.release()
    assert leases.grant("alive", 1, TTL_MS) is None
    clock = leases._clock_s
    assert isinstance(clock, Clock)
    clock.now_s += CLAIM_TTL_S + 1
    assert leases.grant("alive", 1, TTL_MS) is not None

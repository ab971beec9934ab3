from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import datetime, timedelta, timezone

import pytest

from steelyard.identity.authority import certificate_pem, make_authority, sign_client
from steelyard.identity.errors import IdentityError
from steelyard.identity.roles import Role
from steelyard.identity.subjects import Subject
from steelyard.membership.access_list import AccessList
from steelyard.membership.caller import Caller
from steelyard.membership.live_calls import LiveCalls
from steelyard.store.access_rows import AccessSnapshot

CONTROLLER = "c0ffee" * 5 + "00"
NOW = datetime(2026, 11, 28, 12, tzinfo=timezone.utc)
DEVICE_ID = "0b6cf94a-3b35-4c36-9d1c-3a1b8f2c7f10"


class Clock:
    def __init__(self) -> None:
        self.ns = int(NOW.timestamp()) * 1_000_000_000

    def __call__(self) -> int:
        return self.ns


def signed(kind: str = "device", name: str = DEVICE_ID, *, days: float = 7) -> tuple[AccessList, bytes, Clock]:
    authority = make_authority(CONTROLLER, NOW)
    subject = Subject(controller_id=CONTROLLER, kind="user" if kind == "user" else "device", name=name)
    certificate = sign_client(authority, subject, authority.key.public_key(), not_after=NOW + timedelta(days=days))
    clock = Clock()
    access = AccessList(CONTROLLER, clock)
    access.trust([authority.certificate])
    return access, certificate_pem(certificate), clock


def reason_of(access: AccessList, pem: bytes) -> str:
    with pytest.raises(IdentityError) as caught:
        access.judge(pem)
    return caught.value.reason


def test_a_certificate_is_good_until_its_last_second_and_not_in_the_one_after() -> None:
    access, pem, clock = signed(days=7)
    end_ns = access.judge(pem).not_after_ns
    clock.ns = end_ns - 1
    assert access.judge(pem).subject.name == DEVICE_ID
    clock.ns = end_ns
    assert reason_of(access, pem) == "certificate_expired"


def test_a_person_may_what_the_list_says_now() -> None:
    access, pem, _ = signed("user", "ada")
    assert reason_of(access, pem) == "user_removed"
    access.set_role("ada", Role.RUN)
    assert access.judge(pem).role is Role.RUN
    access.set_role("ada", None)
    assert reason_of(access, pem) == "user_removed"


def test_what_the_store_held_counts_after_a_restart() -> None:
    access, pem, _ = signed()
    serial = access.judge(pem).serial
    access.load(AccessSnapshot(revoked=frozenset(), standing={DEVICE_ID: "suspended"}, roles={"ada": 3}))
    assert reason_of(access, pem) == "device_suspended"
    access.load(AccessSnapshot(revoked=frozenset({serial}), standing={DEVICE_ID: "enrolled"}, roles={}))
    assert reason_of(access, pem) == "certificate_revoked"


def test_an_authority_that_is_trusted_no_more_takes_its_certificates_with_it() -> None:
    access, pem, _ = signed()
    access.judge(pem)
    access.trust([make_authority(CONTROLLER, NOW).certificate])
    assert reason_of(access, pem) == "unknown_authority"


def test_nothing_is_no_certificate() -> None:
    access, _, _ = signed()
    assert reason_of(access, b"") == "no_certificate"
    assert reason_of(access, b"-----BEGIN") == "invalid_certificate"


async def test_calls_end_by_themselves_each_with_its_own_refusal() -> None:
    access, pem, clock = signed()
    caller: Caller = access.judge(pem)
    calls = LiveCalls(clock)
    task = asyncio.create_task(asyncio.sleep(60))
    call = calls.begin(caller, task)
    assert calls.end_expired() == 0
    clock.ns = caller.not_after_ns
    assert calls.end_expired() == 1
    assert call.refusal is not None
    assert call.refusal.reason == "certificate_expired"
    # The first reason stays: the task is being cancelled already.
    assert calls.end(lambda _: True, IdentityError("device_removed", "removed")) == 0
    with pytest.raises(asyncio.CancelledError):
        await task
    calls.finish(call)
    assert len(calls) == 0


def test_a_controller_on_loopback_alone_imports_no_cryptography() -> None:
    script = "import sys, steelyard.control.controller; print('cryptography' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"

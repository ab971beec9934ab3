"""What a device keeps of the controllers that it joined, and when it has its certificates renewed."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.enrollment.lifetime import due_in_s, is_due, is_over
from steelyard_agent.enrollment.membership import (
    Membership,
    forget,
    membership_folder,
    membership_folders,
    with_clock,
)
from steelyard_agent.state.errors import StateError

DAY_S = 24 * 3600.0
# 2026-11-28, by the controller's clock.
ISSUED_S = 1_795_867_200.0
MEMBERSHIP = Membership(
    controller_id="c1",
    controller_name="c1.steelyard",
    device_name="pi",
    addresses=("10.0.0.1:7443", "laptop.local:7443"),
    enrollment_addresses=("10.0.0.1:7444",),
    issued_at_s=ISSUED_S,
    not_after_s=ISSUED_S + 6 * DAY_S,
    clock_offset_s=0.0,
)


def kept(root: Path, membership: Membership = MEMBERSHIP) -> None:
    folder = membership_folder(root, membership.controller_id)
    folder.prepare()
    folder.keep(membership, certificate="C", authorities="A", enrollment="E")


def test_what_was_kept_is_read_again_from_a_folder_for_its_owner_alone(tmp_path: Path) -> None:
    kept(tmp_path)
    kept(tmp_path, replace(MEMBERSHIP, controller_id="c2"))
    first, second = membership_folders(tmp_path)
    assert (first.read(), second.read().controller_id) == (MEMBERSHIP, "c2")
    assert stat.S_IMODE(first.path.stat().st_mode) == 0o700
    assert [first.pem(name) for name in ("certificate", "authorities", "enrollment")] == [b"C", b"A", b"E"]


def test_an_enrollment_that_was_cut_short_is_none(tmp_path: Path) -> None:
    folder = membership_folder(tmp_path, "c1")
    folder.prepare()
    folder.key.write_bytes(b"key")
    assert membership_folders(tmp_path) == ()


def test_a_controller_that_is_forgotten_leaves_nothing(tmp_path: Path) -> None:
    kept(tmp_path)
    forget(membership_folder(tmp_path, "c1"))
    assert list((tmp_path / "controllers").iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"schema_version": 9}', b"\xff"])
def test_a_damaged_record_is_told_with_the_next_step(tmp_path: Path, content: bytes) -> None:
    kept(tmp_path)
    (tmp_path / "controllers" / "c1" / "controller.json").write_bytes(content)
    with pytest.raises(StateError, match="controllers forget c1") as caught:
        membership_folder(tmp_path, "c1").read()
    assert caught.value.reason == "controller_damaged"


@pytest.mark.parametrize("controller_id", ["", "..", "a/b", "../c", ".hidden", "x" * 101])
def test_no_id_leads_out_of_the_folder(tmp_path: Path, controller_id: str) -> None:
    with pytest.raises(StateError):
        membership_folder(tmp_path, controller_id)


@pytest.mark.parametrize(
    "change",
    [{"addresses": ()}, {"addresses": ("nowhere",)}, {"controller_name": "a b"}, {"not_after_s": ISSUED_S}],
    ids=str,
)
def test_what_cannot_be_dialled_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"addresses|HOST:PORT|certificate"):
        replace(MEMBERSHIP, **change)  # type: ignore[arg-type]


def test_the_last_good_address_is_dialled_first_and_also_when_it_is_named_no_more() -> None:
    assert MEMBERSHIP.dialling_order() == MEMBERSHIP.addresses
    second_good = replace(MEMBERSHIP, last_good_address="laptop.local:7443")
    assert second_good.dialling_order() == ("laptop.local:7443", "10.0.0.1:7443")
    moved = replace(MEMBERSHIP, last_good_address="old:1")
    assert moved.dialling_order() == ("old:1", *MEMBERSHIP.addresses)


@pytest.mark.parametrize("device_now_s", [0.0, ISSUED_S, 2_208_988_800.0], ids=["1970", "right", "2040"])
@pytest.mark.parametrize(("age_days", "due", "over"), [(3.9, False, False), (4.1, True, False), (6.1, True, True)])
def test_a_wrong_clock_moves_no_renewal(device_now_s: float, age_days: float, due: bool, over: bool) -> None:
    membership = with_clock(MEMBERSHIP, controller_now_s=ISSUED_S + age_days * DAY_S, device_now_s=device_now_s)
    assert is_due(membership, device_now_s=device_now_s) is due
    assert is_over(membership, device_now_s=device_now_s) is over


@given(st.floats(0, 4e9), st.floats(0, 6 * DAY_S))
def test_the_time_until_the_renewal_and_the_renewal_agree(device_now_s: float, age_s: float) -> None:
    membership = with_clock(MEMBERSHIP, controller_now_s=ISSUED_S + age_s, device_now_s=device_now_s)
    wait_s = due_in_s(membership, device_now_s=device_now_s)
    assert (wait_s == 0) == is_due(membership, device_now_s=device_now_s)
    assert is_due(membership, device_now_s=device_now_s + wait_s + 0.01)

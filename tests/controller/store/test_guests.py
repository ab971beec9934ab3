"""The guests' lock: a host leaves after its last guest, and lets nobody in while it does."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard.errors import UsageError
from steelyard.store.guests import GUESTS_NAME, GuestLock


def test_a_host_cannot_leave_while_a_guest_is_here(tmp_path: Path) -> None:
    guest, other, host = GuestLock(tmp_path), GuestLock(tmp_path), GuestLock(tmp_path)
    assert guest.try_enter()
    assert other.try_enter()
    assert not host.try_leave()
    guest.release()
    assert not host.try_leave()
    other.release()
    assert host.try_leave()
    host.release()


def test_nobody_comes_in_while_the_host_leaves(tmp_path: Path) -> None:
    host, late = GuestLock(tmp_path), GuestLock(tmp_path)
    assert host.try_leave()
    assert not late.try_enter()
    host.release()
    host.release()
    assert late.try_enter()
    late.release()


def test_a_host_waits_for_its_last_guest(tmp_path: Path) -> None:
    guest = GuestLock(tmp_path)
    assert guest.try_enter()
    looks: list[float] = []

    def leave_at_the_third_look(pause_s: float) -> None:
        looks.append(pause_s)
        if len(looks) == 3:
            guest.release()

    host = GuestLock(tmp_path, sleep=leave_at_the_third_look)
    host.wait_for_guests()
    assert len(looks) == 3
    host.release()


def test_a_folder_in_the_place_of_the_lock_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / GUESTS_NAME).mkdir()
    with pytest.raises(UsageError, match=GUESTS_NAME):
        GuestLock(tmp_path)

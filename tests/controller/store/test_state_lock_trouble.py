"""A state directory that cannot hold its lock: a full disk, a folder in the way."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from steelyard.errors import EXIT_INFRASTRUCTURE, UsageError
from steelyard.store import lock
from steelyard.store.errors import StoreError
from steelyard.store.lock import LOCK_NAME, StateLock, lock_holder


def test_a_full_disk_is_said_and_the_next_try_takes_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int, _holder: lock.Holder) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(lock, "_write", full)
        with pytest.raises(StoreError, match="free space") as caught:
            StateLock(tmp_path).acquire()
    assert caught.value.exit_code == EXIT_INFRASTRUCTURE
    assert str(tmp_path) in str(caught.value)
    with StateLock(tmp_path):
        assert lock_holder(tmp_path) is not None


def test_a_folder_in_the_place_of_the_lock_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).mkdir()
    with pytest.raises(UsageError, match="state directory"):
        lock_holder(tmp_path)
    with pytest.raises(UsageError, match="state directory"):
        StateLock(tmp_path).acquire()

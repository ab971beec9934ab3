from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard.errors import EXIT_INFRASTRUCTURE, UsageError
from steelyard.store import lock as lock_module
from steelyard.store.errors import StoreError
from steelyard.store.lock import LOCK_NAME, StateLock, StateLockedError, lock_holder

HOLD_UNTIL_KILLED = """
import sys
from pathlib import Path
from steelyard.store.lock import StateLock
StateLock(Path(sys.argv[1]), socket="/s", agent_address="127.0.0.1:7433").acquire()
print("held", flush=True)
sys.stdin.read()
"""


def no_sleep(_duration_s: float) -> None:
    """A test has no time to wait for somebody who only looks."""


def locked_out(state_directory: Path) -> StateLockedError:
    with pytest.raises(StateLockedError) as caught:
        StateLock(state_directory, sleep=no_sleep).acquire()
    return caught.value


def test_the_second_controller_is_told_who_the_first_one_is(tmp_path: Path) -> None:
    with StateLock(tmp_path, socket="/s", agent_address="127.0.0.1:7433"):
        error = locked_out(tmp_path)
    assert error.exit_code == EXIT_INFRASTRUCTURE
    assert f"process {os.getpid()} (`steelyard serve`, since " in str(error)
    assert f"is the controller of {tmp_path}; use that one" in str(error)


def test_a_holder_is_read_without_taking_the_lock(tmp_path: Path) -> None:
    assert lock_holder(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    with StateLock(tmp_path, socket="/s", agent_address="127.0.0.1:7433", temporary=True) as held:
        holder = lock_holder(tmp_path)
        assert holder is not None
        assert (holder.pid, holder.socket, holder.agent_address) == (os.getpid(), "/s", "127.0.0.1:7433")
        assert holder.temporary
        assert "a steelyard command" in str(locked_out(tmp_path))
        held.publish(socket="/a/longer/socket", agent_address="[::1]:7433")
        held.publish(socket="/t", agent_address="[::1]:7433")
        holder = lock_holder(tmp_path)
        assert holder is not None
        assert (holder.socket, holder.agent_address) == ("/t", "[::1]:7433")
    assert lock_holder(tmp_path) is None


def test_a_released_lock_can_be_taken_again(tmp_path: Path) -> None:
    lock = StateLock(tmp_path)
    lock.acquire()
    lock.release()
    lock.release()
    with StateLock(tmp_path):
        pass
    with pytest.raises(StoreError, match="acquire it first"):
        lock.publish(socket="", agent_address="")


def test_a_killed_controller_leaves_a_record_but_no_lock(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD_UNTIL_KILLED, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert f"process {process.pid}" in str(locked_out(tmp_path))
        process.kill()
    assert json.loads((tmp_path / LOCK_NAME).read_text())["pid"] == process.pid
    assert lock_holder(tmp_path) is None
    with StateLock(tmp_path):
        holder = lock_holder(tmp_path)
        assert holder is not None
        assert holder.pid == os.getpid()


def test_somebody_who_only_looks_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).touch()
    descriptor = os.open(tmp_path / LOCK_NAME, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)

    def stop_looking(_duration_s: float) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)

    with StateLock(tmp_path, sleep=stop_looking):
        assert lock_holder(tmp_path) is not None
    os.close(descriptor)


@pytest.mark.parametrize(
    "record", [b"", b"nonsense", b"[]", b"{}", b'{"pid": 0}', b"\xff\xfe", b'{"pid": true, "started": 1}']
)
def test_a_record_that_no_controller_wrote_is_nobody(tmp_path: Path, record: bytes) -> None:
    with StateLock(tmp_path):
        (tmp_path / LOCK_NAME).write_bytes(record)
        assert lock_holder(tmp_path) is None
        assert "another process is the controller" in str(locked_out(tmp_path))


def test_a_record_with_nonsense_in_its_fields_is_nobody(tmp_path: Path) -> None:
    with StateLock(tmp_path):
        record = {"pid": -1, "started": "", "socket": "", "agent_address": "", "temporary": False}
        (tmp_path / LOCK_NAME).write_text(json.dumps(record))
        assert lock_holder(tmp_path) is None


def test_the_state_directory_is_made_for_this_user_only(tmp_path: Path) -> None:
    with StateLock(tmp_path / "deep" / "state"):
        assert (tmp_path / "deep" / "state").stat().st_mode & 0o077 == 0
        assert (tmp_path / "deep" / "state" / LOCK_NAME).stat().st_mode & 0o077 == 0


def test_a_state_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(UsageError, match=f"the state directory {tmp_path / 'state'} cannot be used"):
        StateLock(tmp_path / "state").acquire()
    assert lock_holder(tmp_path / "state") is None


def test_a_lock_file_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).symlink_to(tmp_path / LOCK_NAME)
    with pytest.raises(UsageError, match="cannot be used"):
        lock_holder(tmp_path)


@pytest.mark.parametrize(("number", "expected"), [(errno.ENOLCK, StoreError), (errno.EBADF, OSError)])
def test_a_file_system_without_locks_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, expected: type[Exception]
) -> None:
    class FakeFcntl:
        LOCK_EX, LOCK_NB, LOCK_SH = fcntl.LOCK_EX, fcntl.LOCK_NB, fcntl.LOCK_SH

        @staticmethod
        def flock(_descriptor: int, _operation: int) -> None:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(lock_module, "fcntl", FakeFcntl)
    with pytest.raises(expected) as caught:
        StateLock(tmp_path).acquire()
    assert ("on a local disk" in str(caught.value)) == (expected is StoreError)

"""A blob on its way: written and hashed by a thread, without losing its order, its errors or its end."""

from __future__ import annotations

import errno
import hashlib
import threading
from pathlib import Path

import pytest

from steelyard_agent.state.partial_file import PartialFile, appending

PIECES = [bytes([number]) * (number * 1000) for number in range(1, 40)]


def test_what_was_written_is_there_in_its_order_and_its_hash_is_known(tmp_path: Path) -> None:
    with appending(tmp_path / "one") as file:
        for piece in PIECES:
            file.write(piece)
        file.write(b"")
        assert file.tell() == sum(map(len, PIECES))
    content = b"".join(PIECES)
    assert (tmp_path / "one").read_bytes() == content
    assert file.digest == hashlib.sha256(content).hexdigest()


def test_what_goes_on_behind_an_earlier_try_is_not_hashed(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"earlier ")
    with appending(tmp_path / "one") as file:
        assert file.tell() == 8
        file.write(b"later")
    assert (tmp_path / "one").read_bytes() == b"earlier later"
    assert file.digest == ""


def test_no_thread_is_left_whatever_ended_it(tmp_path: Path) -> None:
    def breaks() -> None:
        with appending(tmp_path / "one") as file:
            file.write(b"half")
            raise KeyError("the link broke")

    with pytest.raises(KeyError):
        breaks()
    assert (tmp_path / "one").read_bytes() == b"half"
    assert [one.name for one in threading.enumerate() if one.name == "partial-file"] == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_full_disk_is_told_to_who_writes_or_closes_and_keeps_nobody_waiting() -> None:
    file = PartialFile(Path("/dev/full"))

    def fill() -> None:
        # More than may wait, so that one who is not told would wait for ever.
        for _ in range(100):
            file.write(bytes(100_000))
        file.close()

    with pytest.raises(OSError, match="space") as full:
        fill()
    assert full.value.errno == errno.ENOSPC
    with pytest.raises(OSError, match="space"):
        file.close()
    assert file.digest == ""

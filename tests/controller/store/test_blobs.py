from __future__ import annotations

import errno
import hashlib
import itertools
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.errors import NotFoundError, UsageError
from steelyard.store import durable
from steelyard.store.blobs import BlobStore
from steelyard.store.durable import RESERVE_BYTES
from steelyard.store.errors import StoreError

CONTENT = bytes(range(256)) * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class FakeDisk:
    """A disk with room for so many bytes; it takes 1000 at a time, as a real one may."""

    def __init__(self, room_bytes: int) -> None:
        self.room_bytes = room_bytes

    def write(self, descriptor: int, chunk: memoryview) -> int:
        if self.room_bytes == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = os.write(descriptor, chunk[: min(1000, self.room_bytes)])
        self.room_bytes -= written
        return written


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_bytes_come_back_under_their_digest(blobs: BlobStore) -> None:
    assert blobs.put_bytes(CONTENT) == DIGEST
    assert blobs.has(DIGEST)
    assert blobs.size(DIGEST) == len(CONTENT)
    assert blobs.read_bytes(DIGEST) == CONTENT
    assert blobs.path(DIGEST) == blobs.folder / DIGEST[:2] / DIGEST[2:4] / DIGEST
    assert blobs.put_bytes(CONTENT) == DIGEST
    assert files_in(blobs.folder) == [DIGEST]


def test_a_file_is_copied_under_its_digest(blobs: BlobStore, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(CONTENT)
    assert blobs.put_file(tmp_path / "model.onnx") == DIGEST
    assert blobs.put_file(tmp_path / "model.onnx") == DIGEST
    assert blobs.read_bytes(DIGEST) == CONTENT
    assert (tmp_path / "model.onnx").read_bytes() == CONTENT


def test_a_file_that_cannot_be_read_is_named(blobs: BlobStore, tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.onnx", tmp_path):
        with pytest.raises(UsageError, match=f"{path} cannot be read"):
            blobs.put_file(path)


@given(content=st.binary(max_size=2000), cuts=st.lists(st.integers(0, 2000), max_size=4), offset=st.integers(0, 2000))
def test_whatever_is_sent_in_whatever_pieces_comes_back_from_every_offset(
    content: bytes, cuts: list[int], offset: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    blobs = BlobStore(tmp_path_factory.getbasetemp() / "any-blobs")
    digest = hashlib.sha256(content).hexdigest()
    edges = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    for start, end in itertools.pairwise(edges):
        with blobs.begin(digest, len(content)) as upload:
            if not upload.complete:
                assert upload.offset == start
                upload.write(content[start:end])
    with blobs.begin(digest, len(content)) as upload:
        assert upload.finish() == digest
    offset = min(offset, len(content))
    assert b"".join(blobs.open(digest, offset, lambda: 100)) == content[offset:]


@given(text=st.text(max_size=70).filter(lambda text: not text.isalnum()))
def test_no_text_that_is_not_a_digest_becomes_a_path(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    blobs = BlobStore(tmp_path_factory.getbasetemp() / "any-blobs")
    for use in (blobs.has, blobs.path, blobs.size, blobs.read_bytes, blobs.received_bytes):
        with pytest.raises(UsageError, match="is not a SHA-256"):
            use(text)


@pytest.mark.parametrize(
    "text", ["../../../etc/passwd", "a" * 63 + "/", "A" * 64, "a" * 64 + "\n", "a" * 65, "", "\0" * 64]
)
def test_a_digest_that_would_leave_the_folder_is_refused(blobs: BlobStore, text: str) -> None:
    for use in (blobs.has, blobs.path, lambda digest: blobs.begin(digest, 1)):
        with pytest.raises(UsageError, match="is not a SHA-256"):
            use(text)


def test_an_owner_that_would_leave_the_folder_stays_in_it(blobs: BlobStore) -> None:
    with blobs.begin(DIGEST, len(CONTENT), owner="../../../etc/cron.d/x") as upload:
        upload.write(b"x")
    assert len(files_in(blobs.folder / "partial")) == 1


def test_a_blob_that_is_not_there_is_said(blobs: BlobStore) -> None:
    for use in (blobs.path, blobs.size, blobs.read_bytes):
        with pytest.raises(NotFoundError, match="upload it first"):
            use(DIGEST)
    with pytest.raises(NotFoundError):
        blobs.open(DIGEST)


def test_an_offset_outside_the_blob_is_refused(blobs: BlobStore) -> None:
    blobs.put_bytes(CONTENT)
    assert list(blobs.open(DIGEST, len(CONTENT))) == []
    for offset in (-1, len(CONTENT) + 1):
        with pytest.raises(UsageError, match=f"offset {offset}"):
            blobs.open(DIGEST, offset)


def test_a_blob_that_changed_on_the_disk_is_moved_aside(blobs: BlobStore) -> None:
    blobs.put_bytes(CONTENT)
    blobs.path(DIGEST).write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(StoreError, match=f"was moved to .*damaged/{DIGEST}") as caught:
        blobs.read_bytes(DIGEST)
    assert caught.value.reason == "blob_damaged"
    assert not blobs.has(DIGEST)
    blobs.put_bytes(CONTENT)
    assert blobs.read_bytes(DIGEST) == CONTENT


def test_a_finished_upload_is_done_before_it_begins(blobs: BlobStore) -> None:
    blobs.put_bytes(CONTENT)
    upload = blobs.begin(DIGEST, len(CONTENT))
    assert (upload.complete, upload.offset, upload.finish()) == (True, len(CONTENT), DIGEST)
    assert blobs.received_bytes(DIGEST) == len(CONTENT)


def test_an_upload_goes_on_after_a_restart(blobs: BlobStore) -> None:
    with blobs.begin(DIGEST, len(CONTENT), owner="pi5") as upload:
        upload.write(CONTENT[:1000])
    assert blobs.received_bytes(DIGEST) == 0
    assert blobs.received_bytes(DIGEST, owner="pi5") == 1000
    restarted = BlobStore(blobs.folder)
    with restarted.begin(DIGEST, len(CONTENT), owner="pi5") as upload:
        assert upload.offset == 1000
        assert upload.write(CONTENT[1000:]) == len(CONTENT)
        assert upload.finish() == DIGEST
        assert upload.complete
    assert restarted.read_bytes(DIGEST) == CONTENT
    assert files_in(blobs.folder / "partial") == []


def test_an_upload_of_other_bytes_than_announced_is_refused_and_forgotten(blobs: BlobStore) -> None:
    upload = blobs.begin(DIGEST, len(CONTENT))
    upload.write(b"x" * len(CONTENT))
    with pytest.raises(UsageError, match="send it again from the start") as caught:
        upload.finish()
    assert caught.value.reason == "digest_mismatch"
    assert files_in(blobs.folder) == []
    assert blobs.begin(DIGEST, len(CONTENT)).offset == 0


def test_more_bytes_than_announced_are_refused_and_the_others_stay(blobs: BlobStore) -> None:
    with blobs.begin(DIGEST, len(CONTENT)) as upload:
        upload.write(CONTENT)
        with pytest.raises(UsageError, match=f"with {len(CONTENT)} bytes, but {len(CONTENT) + 1} came"):
            upload.write(b"x")
        assert upload.finish() == DIGEST


def test_fewer_bytes_than_announced_are_not_finished(blobs: BlobStore) -> None:
    with blobs.begin(DIGEST, len(CONTENT)) as upload:
        upload.write(CONTENT[:10])
        with pytest.raises(UsageError, match=f"has 10 of its {len(CONTENT)} bytes"):
            upload.finish()
        upload.write(CONTENT[10:])
        assert upload.finish() == DIGEST


def test_a_negative_size_is_refused(blobs: BlobStore) -> None:
    with pytest.raises(UsageError, match="-1 bytes"):
        blobs.begin(DIGEST, -1)


def test_what_a_sender_of_another_size_left_is_dropped(blobs: BlobStore) -> None:
    with blobs.begin(DIGEST, 10**9) as upload:
        upload.write(b"x" * (len(CONTENT) + 1))
    with blobs.begin(DIGEST, len(CONTENT)) as upload:
        assert upload.offset == 0


def test_a_sender_that_comes_again_supersedes_its_own_lost_connection(blobs: BlobStore) -> None:
    lost = blobs.begin(DIGEST, len(CONTENT), owner="pi5")
    lost.write(CONTENT[:500])
    again = blobs.begin(DIGEST, len(CONTENT), owner="pi5")
    with pytest.raises(StoreError, match="went on in another connection"):
        lost.write(CONTENT[500:600])
    lost.pause()
    assert again.offset == 500
    again.write(CONTENT[500:])
    assert again.finish() == DIGEST


def test_a_discarded_upload_leaves_nothing(blobs: BlobStore) -> None:
    upload = blobs.begin(DIGEST, len(CONTENT))
    upload.write(CONTENT[:500])
    upload.discard()
    assert files_in(blobs.folder) == []


def test_many_senders_of_one_blob_at_once_all_succeed(blobs: BlobStore) -> None:
    finished: list[str] = []

    def send(owner: str) -> None:
        with blobs.begin(DIGEST, len(CONTENT), owner=owner) as upload:
            while upload.offset < len(CONTENT):
                upload.write(CONTENT[upload.offset : upload.offset + 10_000])
            finished.append(upload.finish())

    threads = [threading.Thread(target=send, args=(f"device-{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert finished == [DIGEST] * 8
    assert blobs.read_bytes(DIGEST) == CONTENT


def test_connections_of_one_sender_at_once_never_mix_their_bytes(blobs: BlobStore) -> None:
    """Each resumes where it finds the file and loses it to the next; the last one brings it home."""
    refusals: list[str] = []

    def send() -> None:
        try:
            with blobs.begin(DIGEST, len(CONTENT), owner="pi5") as upload:
                while upload.offset < len(CONTENT):
                    upload.write(CONTENT[upload.offset : upload.offset + 1_000])
                upload.finish()
        except StoreError as error:
            refusals.append(error.reason)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    send()
    assert blobs.read_bytes(DIGEST) == CONTENT
    assert set(refusals) <= {"upload_paused"}


def test_what_would_not_leave_the_reserve_is_refused_up_front(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(CONTENT)
    free_bytes = RESERVE_BYTES + len(CONTENT) - 1
    blobs = BlobStore(tmp_path / "blobs", free_bytes=lambda _folder: free_bytes)
    puts: list[Callable[[], object]] = [
        lambda: blobs.put_bytes(CONTENT),
        lambda: blobs.put_file(tmp_path / "model.onnx"),
        lambda: blobs.begin(DIGEST, len(CONTENT)),
    ]
    for put in puts:
        with pytest.raises(StoreError, match=f"{len(CONTENT)} bytes .* where {free_bytes} are free") as caught:
            put()
        assert caught.value.reason == "disk_full"
    assert not blobs.has(DIGEST)


def test_an_upload_that_is_nearly_done_needs_only_its_rest(tmp_path: Path) -> None:
    free_bytes = RESERVE_BYTES + len(CONTENT)
    blobs = BlobStore(tmp_path / "blobs", free_bytes=lambda _folder: free_bytes)
    with blobs.begin(DIGEST, len(CONTENT)) as upload:
        upload.write(CONTENT[:-10])
    free_bytes = RESERVE_BYTES + 10
    with blobs.begin(DIGEST, len(CONTENT)) as upload:
        upload.write(CONTENT[-10:])
        assert upload.finish() == DIGEST


def test_a_disk_that_fills_up_keeps_whole_chunks_to_go_on_from(tmp_path: Path) -> None:
    disk = FakeDisk(room_bytes=12_500)
    blobs = BlobStore(tmp_path / "blobs", write=disk.write)
    with blobs.begin(DIGEST, len(CONTENT)) as upload:
        upload.write(CONTENT[:10_000])
        with pytest.raises(StoreError, match="goes on where it stopped") as caught:
            upload.write(CONTENT[10_000:20_000])
        assert caught.value.reason == "disk_full"
        assert upload.offset == 10_000
    disk.room_bytes = 10**9
    with blobs.begin(DIGEST, len(CONTENT)) as upload:
        assert upload.offset == 10_000
        upload.write(CONTENT[10_000:])
        assert upload.finish() == DIGEST


def test_a_disk_that_fills_up_under_a_put_leaves_nothing(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path / "blobs", write=FakeDisk(room_bytes=1500).write)
    with pytest.raises(StoreError) as caught:
        blobs.put_bytes(CONTENT)
    assert caught.value.reason == "disk_full"
    assert files_in(blobs.folder) == []


def test_a_folder_that_cannot_be_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_bytes(b"a file")
    with pytest.raises(StoreError, match=f"{tmp_path / 'blobs'} failed") as caught:
        BlobStore(tmp_path / "blobs")
    assert caught.value.reason == "blob_io_error"


def test_a_partial_file_that_is_no_file_is_said(blobs: BlobStore) -> None:
    with blobs.begin(DIGEST, len(CONTENT)) as upload:
        upload.write(b"x")
    (partial,) = (blobs.folder / "partial").iterdir()
    partial.unlink()
    partial.mkdir()
    with pytest.raises(StoreError, match="check that it is there and writable"):
        blobs.begin(DIGEST, len(CONTENT))


def test_a_partial_file_that_cannot_be_read_again_is_said(blobs: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_descriptor: int, _size: int, _offset: int) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(StoreError, match="Input/output error"):
        blobs.begin(DIGEST, len(CONTENT))


def test_partial_files_are_dropped_a_week_after_the_last_byte(blobs: BlobStore) -> None:
    for owner in ("old", "new"):
        with blobs.begin(DIGEST, len(CONTENT), owner=owner) as upload:
            upload.write(b"x")
    old = blobs.folder / "partial" / f"{DIGEST}.{hashlib.sha256(b'old').hexdigest()[:16]}"
    eight_days_ago_s = time.time() - 8 * 24 * 3600
    os.utime(old, (eight_days_ago_s, eight_days_ago_s))
    reopened = BlobStore(blobs.folder)
    assert reopened.received_bytes(DIGEST, owner="old") == 0
    assert reopened.received_bytes(DIGEST, owner="new") == 1


def test_the_folders_are_for_this_user_only(blobs: BlobStore) -> None:
    blobs.put_bytes(CONTENT)
    for folder in (blobs.folder, blobs.folder / "partial", blobs.path(DIGEST).parent):
        assert folder.stat().st_mode & 0o077 == 0
    assert blobs.path(DIGEST).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("known", [True, False])
def test_macos_is_asked_to_flush_the_cache_of_the_drive_where_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    asked: list[int] = []

    class FakeFcntl:
        F_FULLFSYNC = 51

        @staticmethod
        def fcntl(_descriptor: int, command: int) -> None:
            asked.append(command)
            if not known:
                raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(durable, "fcntl", FakeFcntl)
    blobs = BlobStore(tmp_path / "blobs")
    assert blobs.read_bytes(blobs.put_bytes(b"x")) == b"x"
    assert asked == [51]

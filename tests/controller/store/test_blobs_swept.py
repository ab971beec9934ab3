"""Blobs that age, and those that are swept."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from steelyard.errors import NotFoundError
from steelyard.store.blobs import RENEW_S, BlobStore

CONTENT = b"content" * 100
DIGEST = hashlib.sha256(CONTENT).hexdigest()
DAY_S = 24 * 3600.0


class FakeClock:
    def __init__(self) -> None:
        self.now_s = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def blobs(tmp_path: Path, clock: FakeClock) -> BlobStore:
    return BlobStore(tmp_path / "blobs", clock_s=clock)


def test_an_old_blob_goes_and_says_how_large_it_was(blobs: BlobStore, clock: FakeClock) -> None:
    blobs.put_bytes(CONTENT)
    assert blobs.sweep(DIGEST, before_s=clock.now_s) == 0
    clock.now_s += DAY_S
    assert blobs.sweep(DIGEST, before_s=clock.now_s - 3600) == len(CONTENT)
    assert not blobs.has(DIGEST)
    assert blobs.sweep(DIGEST, before_s=clock.now_s) == 0
    with pytest.raises(NotFoundError):
        blobs.open(DIGEST)


@pytest.mark.parametrize("ask", ["has", "path", "size", "put_bytes", "put_file", "begin", "received_bytes"])
def test_whoever_may_be_about_to_name_a_blob_makes_it_young(
    ask: str, blobs: BlobStore, clock: FakeClock, tmp_path: Path
) -> None:
    blobs.put_bytes(CONTENT)
    clock.now_s += DAY_S
    (tmp_path / "file").write_bytes(CONTENT)
    arguments = {"put_bytes": [CONTENT], "put_file": [tmp_path / "file"], "begin": [DIGEST, len(CONTENT)]}
    getattr(blobs, ask)(*arguments.get(ask, [DIGEST]))
    assert blobs.sweep(DIGEST, before_s=clock.now_s - 3600) == 0
    assert blobs.has(DIGEST)


def test_reading_a_blob_leaves_it_as_old_as_it_is(blobs: BlobStore, clock: FakeClock) -> None:
    blobs.put_bytes(CONTENT)
    clock.now_s += DAY_S
    assert blobs.read_bytes(DIGEST) == CONTENT
    assert blobs.sweep(DIGEST, before_s=clock.now_s - 3600) == len(CONTENT)


def test_a_blob_that_is_asked_for_often_is_not_written_often(blobs: BlobStore, clock: FakeClock) -> None:
    blobs.put_bytes(CONTENT)
    brought = blobs.age(DIGEST)
    clock.now_s += RENEW_S
    assert blobs.has(DIGEST)
    assert blobs.age(DIGEST) == brought
    clock.now_s += 1
    assert blobs.has(DIGEST)
    assert blobs.age(DIGEST) == (clock.now_s, len(CONTENT))


def test_an_upload_that_took_days_is_young_when_it_ends(blobs: BlobStore, clock: FakeClock, tmp_path: Path) -> None:
    upload = blobs.begin(DIGEST, len(CONTENT))
    upload.write(CONTENT)
    (partial,) = (tmp_path / "blobs" / "partial").iterdir()
    os.utime(partial, (clock.now_s - 3 * DAY_S, clock.now_s - 3 * DAY_S))
    upload.finish()
    assert blobs.sweep(DIGEST, before_s=clock.now_s - DAY_S) == 0


def test_abandoned_uploads_go_but_never_one_that_is_open(blobs: BlobStore, clock: FakeClock) -> None:
    open_upload = blobs.begin(DIGEST, len(CONTENT))
    open_upload.write(CONTENT[:50])
    left = blobs.begin(hashlib.sha256(b"other").hexdigest(), 5)
    left.write(b"oth")
    left.pause()
    for partial in (blobs.folder / "partial").iterdir():
        os.utime(partial, (clock.now_s, clock.now_s))
    clock.now_s += 8 * DAY_S
    assert blobs.drop_abandoned() == 3
    open_upload.write(CONTENT[50:])
    assert open_upload.finish() == DIGEST


def test_only_blobs_are_listed(blobs: BlobStore) -> None:
    second = blobs.put_bytes(b"second")
    blobs.put_bytes(CONTENT)
    (blobs.path(DIGEST).parent / "note.txt").write_text("not ours")
    (blobs.path(DIGEST).parent / second).write_text("in the wrong folder")
    assert set(blobs.digests()) == {DIGEST, second}

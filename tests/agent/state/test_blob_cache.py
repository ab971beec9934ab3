import asyncio
import os
from pathlib import Path

import pytest

from steelyard_agent.state.blob_cache import BlobCache, DigestMismatchError
from steelyard_agent.state.errors import DISK_RESERVE_BYTES, DiskFullError
from tests.support.fake_controller import digest_of


class Disk:
    """As much room as a test says, less what lies in the folder."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes

    def free_bytes(self, folder: Path) -> int:
        return self.size_bytes - sum(path.stat().st_size for path in folder.iterdir())


def cache_of(folder: Path, room_bytes: int = 10**9) -> BlobCache:
    return BlobCache(folder, free_bytes=Disk(room_bytes + DISK_RESERVE_BYTES).free_bytes)


def put(cache: BlobCache, content: bytes) -> str:
    digest = digest_of(content)
    with cache.open_partial(digest) as file:
        file.write(content)
    cache.finish(digest)
    return digest


def test_a_blob_appears_only_when_it_was_verified(tmp_path: Path) -> None:
    cache = cache_of(tmp_path)
    digest = digest_of(b"model")
    assert not cache.verified(digest)
    with cache.open_partial(digest) as file:
        file.write(b"mod")
    assert cache.partial_size(digest) == 3
    assert not cache.verified(digest)
    with cache.open_partial(digest) as file:
        file.write(b"el")
    assert cache.finish(digest).read_bytes() == b"model"
    assert cache.verified(digest)
    assert cache.partial_size(digest) == 0


def test_other_bytes_are_refused_and_do_not_stay(tmp_path: Path) -> None:
    cache = cache_of(tmp_path)
    digest = digest_of(b"model")
    with cache.open_partial(digest) as file:
        file.write(b"other")
    with pytest.raises(DigestMismatchError):
        cache.finish(digest)
    assert list(tmp_path.iterdir()) == []


def test_what_was_hashed_on_its_way_is_not_believed_of_a_file_that_changed_since(tmp_path: Path) -> None:
    cache = cache_of(tmp_path)
    digest = digest_of(b"model")
    with cache.open_partial(digest) as file:
        file.write(b"model")
    with (tmp_path / f"{digest}.partial").open("ab") as other:
        other.write(b" and more")
    with pytest.raises(DigestMismatchError):
        cache.finish(digest)


def test_a_blob_that_changed_on_the_disk_is_not_used(tmp_path: Path) -> None:
    cache = cache_of(tmp_path)
    digest = put(cache, b"model")
    cache.path(digest).write_bytes(b"mode1")
    assert not cache.verified(digest)
    assert not cache.path(digest).exists()


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_what_is_no_digest_never_becomes_a_path(tmp_path: Path, digest: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        cache_of(tmp_path).path(digest)


def test_the_least_recently_used_blobs_make_room(tmp_path: Path) -> None:
    cache = cache_of(tmp_path, room_bytes=300)
    old, new, kept = put(cache, b"o" * 100), put(cache, b"n" * 100), put(cache, b"k" * 50)
    for age, digest in enumerate((new, old, kept)):
        os.utime(cache.path(digest), (1_000_000 - age, 1_000_000 - age))
    cache.make_room(120, keep={kept})
    assert (cache.verified(kept), cache.verified(old), cache.verified(new)) == (True, False, True)


def test_nothing_is_dropped_when_it_would_not_help(tmp_path: Path) -> None:
    cache = cache_of(tmp_path, room_bytes=300)
    digest = put(cache, b"o" * 100)
    with pytest.raises(DiskFullError, match="500 bytes are needed") as caught:
        cache.make_room(500, keep=())
    assert caught.value.reason == "disk_full"
    assert str(tmp_path) in str(caught.value)
    assert cache.verified(digest)


def test_a_full_disk_does_not_matter_when_nothing_is_needed(tmp_path: Path) -> None:
    BlobCache(tmp_path, free_bytes=lambda _folder: 0).make_room(0, keep=())


def test_what_is_kept_beyond_the_quota_goes_when_the_next_job_comes(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path, free_bytes=lambda _folder: 10**12, quota_bytes=250)
    old, new, kept = put(cache, b"o" * 100), put(cache, b"n" * 100), put(cache, b"k" * 100)
    for age, digest in enumerate((new, old, kept)):
        os.utime(cache.path(digest), (1_000_000 - age, 1_000_000 - age))
    cache.make_room(0, keep={kept})
    assert (cache.verified(kept), cache.verified(old), cache.verified(new)) == (True, False, True)


def test_a_job_that_needs_more_than_the_quota_gets_it(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path, free_bytes=lambda _folder: 10**12, quota_bytes=50)
    other, mine = put(cache, b"o" * 100), put(cache, b"m" * 100)
    cache.make_room(500, keep={mine, "d" * 64})
    assert (cache.verified(mine), cache.verified(other)) == (True, False)


async def test_only_one_fetches_and_the_others_find_it_here(tmp_path: Path) -> None:
    cache = cache_of(tmp_path)
    digest = digest_of(b"model")
    fetched = 0

    async def fetch() -> None:
        nonlocal fetched
        async with cache.only_one_fetches(digest) as is_here:
            if not is_here:
                fetched += 1
                await asyncio.sleep(0)
                put(cache, b"model")

    await asyncio.gather(*(fetch() for _ in range(5)))
    assert fetched == 1

"""Which blobs are offered as the base of a delta."""

from __future__ import annotations

import os
from pathlib import Path

from steelyard_agent.jobs.delta_bases import DeltaBases
from steelyard_agent.state.blob_cache import BlobCache
from tests.support.fake_controller import digest_of

MIB = 1024 * 1024


def _cache(folder: Path, *contents: bytes) -> BlobCache:
    cache = BlobCache(folder, free_bytes=lambda _folder: 10**12)
    for age, content in enumerate(contents):
        with cache.open_partial(digest_of(content)) as file:
            file.write(content)
        os.utime(cache.finish(digest_of(content)), (1_000_000 - age, 1_000_000 - age))
    return cache


def test_whole_blobs_of_a_fair_size_are_offered_the_last_used_first(tmp_path: Path) -> None:
    new, old = b"n" * MIB, b"o" * MIB
    cache = _cache(tmp_path, new, b"small", old)
    with cache.open_partial("d" * 64) as file:
        file.write(b"p" * MIB)
    bases = DeltaBases(cache=cache, available_bytes=lambda: 1 << 40)
    assert bases.offered(MIB) == (digest_of(new), digest_of(old))
    assert bases.offered(1000) == ()
    assert bases.offered(1 << 30) == ()


def test_what_the_memory_does_not_bear_is_not_offered(tmp_path: Path) -> None:
    cache = _cache(tmp_path, b"n" * MIB)
    # The base and a window of 2 MiB, from a quarter of what is available.
    assert DeltaBases(cache=cache, available_bytes=lambda: 12 * MIB).offered(MIB) != ()
    assert DeltaBases(cache=cache, available_bytes=lambda: 12 * MIB - 4).offered(MIB) == ()


def test_a_base_that_is_gone_or_changed_has_no_content(tmp_path: Path) -> None:
    content = b"n" * MIB
    cache = _cache(tmp_path, content)
    bases = DeltaBases(cache=cache)
    assert bases.content(digest_of(content)) == content
    cache.path(digest_of(content)).write_bytes(b"m" * MIB)
    assert bases.content(digest_of(content)) is None
    assert bases.content("d" * 64) is None
    assert bases.content("../../etc/passwd") is None

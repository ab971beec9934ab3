from __future__ import annotations

import os

import pytest

from steelyard_agent.state.prepared import PreparedCache, prepared_key


def filled(cache, key, size=10, used_at=0):
    (cache.begin(key) / "engine").write_bytes(b"x" * size)
    cache.finish(key, 5_000)
    os.utime(cache.folder(key).parent, ns=(used_at, used_at))


def test_a_build_counts_once_it_is_finished(tmp_path):
    cache = PreparedCache(tmp_path / "prepared")
    folder = cache.begin("k")
    assert folder.is_dir()
    assert cache.build_ns("k") is None
    cache.finish("k", 1234)
    assert cache.build_ns("k") == 1234
    assert cache.folder("k") == folder


def test_what_an_unfinished_build_left_is_wiped_before_the_next_and_a_finished_one_stays(tmp_path):
    cache = PreparedCache(tmp_path)
    (cache.begin("k") / "half").write_text("half an engine")
    assert list(cache.begin("k").iterdir()) == []
    (cache.folder("k") / "engine").write_text("whole")
    cache.finish("k", 1)
    assert (cache.begin("k") / "engine").read_text() == "whole"


def test_what_is_forgotten_is_gone(tmp_path):
    cache = PreparedCache(tmp_path)
    filled(cache, "k")
    cache.forget("k")
    cache.forget("never was")
    assert cache.build_ns("k") is None
    assert list(cache.folder("k").iterdir()) == []


def test_the_least_recently_used_go_first_beyond_the_quota(tmp_path):
    cache = PreparedCache(tmp_path, quota_bytes=400)
    for age, key in enumerate(("newest", "middle", "oldest")):
        filled(cache, key, size=100, used_at=10**18 - age)
    filled(cache, "now", size=150, used_at=10**18 + 1)
    assert [cache.build_ns(key) for key in ("now", "newest", "oldest")] == [5_000, 5_000, None]


def test_a_build_larger_than_the_quota_is_kept_all_the_same(tmp_path):
    cache = PreparedCache(tmp_path, quota_bytes=10)
    filled(cache, "k", size=1000)
    assert cache.build_ns("k") == 5_000


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"build_ns": "soon"}', '{"build_ns": 0}', '{"build_ns": true}'])
def test_a_note_that_makes_no_sense_is_no_build(tmp_path, text):
    cache = PreparedCache(tmp_path)
    cache.folder("k")
    (tmp_path / "k" / "prepared.json").write_text(text)
    assert cache.build_ns("k") is None


def test_the_key_follows_every_part_and_no_order(tmp_path):
    parts = {"model": "a", "options": {"threads": 1}}
    assert prepared_key(parts) == prepared_key(dict(reversed(parts.items())))
    assert len({prepared_key({**parts, "driver": driver}) for driver in ("1", "2")} | {prepared_key(parts)}) == 3

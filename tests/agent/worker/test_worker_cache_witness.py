from __future__ import annotations

import os

from steelyard_agent.worker.cache_witness import CacheWitness


def test_an_untouched_cache_proves_a_hit(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "engine").write_bytes(b"made earlier")
    before = CacheWitness.of(tmp_path)
    assert before.proves_hit(CacheWitness.of(tmp_path))


def test_an_empty_or_missing_cache_proves_nothing(tmp_path):
    assert not CacheWitness.of(tmp_path).proves_hit(CacheWitness.of(tmp_path))
    gone = CacheWitness.of(tmp_path / "missing")
    assert not gone.proves_hit(gone)


def test_a_file_that_was_added_or_written_again_proves_a_build(tmp_path):
    engine = tmp_path / "engine"
    engine.write_bytes(b"made")
    before = CacheWitness.of(tmp_path)
    (tmp_path / "second").write_bytes(b"")
    assert not before.proves_hit(CacheWitness.of(tmp_path))
    (tmp_path / "second").unlink()
    assert before.proves_hit(CacheWitness.of(tmp_path))
    os.utime(engine, ns=(1, 1))
    assert not before.proves_hit(CacheWitness.of(tmp_path))

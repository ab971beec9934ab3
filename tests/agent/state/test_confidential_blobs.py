"""Confidential blobs go with their job, also when the agent was killed."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from steelyard_agent.state.blob_cache import BlobCache
from steelyard_agent.state.confidential_blobs import BlobOwner, ConfidentialBlobs
from steelyard_agent.state.prepared import PreparedCache
from tests.support.fake_controller import digest_of

MINE = BlobOwner(controller_id="c1", job_id="job-1", attempt=1)
OTHER = BlobOwner(controller_id="c2", job_id="job-1", attempt=1)
SECRET, PLAIN, HALF = digest_of(b"secret"), digest_of(b"plain"), digest_of(b"half")


@pytest.fixture
def cache(tmp_path: Path) -> BlobCache:
    folder = tmp_path / "blobs"
    folder.mkdir()
    made = BlobCache(folder, free_bytes=lambda _folder: 10**12)
    for content in (b"secret", b"plain"):
        with made.open_partial(digest_of(content)) as file:
            file.write(content)
        made.finish(digest_of(content))
    with made.open_partial(HALF) as file:
        file.write(b"ha")
    return made


def test_what_was_marked_goes_whole_or_in_part_and_nothing_else(cache: BlobCache) -> None:
    cache.confidential.mark([SECRET, HALF], MINE)
    assert cache.confidential.removed("c1") == {}
    cache.confidential.remove(controller_id="c1", job_id="job-1")
    assert not cache.path(SECRET).exists()
    assert cache.partial_size(HALF) == 0
    assert cache.verified(PLAIN)
    assert cache.confidential.removed("c1") == {MINE: sorted([SECRET, HALF])}


def test_the_removal_is_known_until_the_controller_has_heard_of_it(cache: BlobCache) -> None:
    cache.confidential.mark([SECRET], MINE)
    cache.confidential.remove()
    restarted = BlobCache(cache.folder, free_bytes=lambda _folder: 10**12).confidential
    assert restarted.removed("c1") == {MINE: [SECRET]}
    assert restarted.removed("c2") == {}
    restarted.forget([SECRET], MINE)
    assert restarted.removed("c1") == {}
    assert [path.name for path in cache.folder.iterdir() if path.suffix == ".confidential"] == []


def test_another_controllers_job_of_the_same_name_keeps_its_own(cache: BlobCache) -> None:
    cache.confidential.mark([SECRET], OTHER)
    cache.confidential.remove(controller_id="c1", job_id="job-1")
    assert cache.verified(SECRET)


def test_a_blob_that_a_later_job_marked_is_that_jobs(cache: BlobCache) -> None:
    cache.confidential.mark([SECRET], MINE)
    later = BlobOwner(controller_id="c1", job_id="job-2", attempt=1)
    cache.confidential.mark([SECRET], later)
    cache.confidential.forget([SECRET], MINE)
    cache.confidential.remove(controller_id="c1", job_id="job-2")
    assert cache.confidential.removed("c1") == {later: [SECRET]}


def test_a_damaged_marker_still_makes_its_blob_go(cache: BlobCache) -> None:
    cache.confidential.mark([SECRET], MINE)
    (cache.folder / f"{SECRET}.confidential").write_bytes(b"{")
    cache.confidential.remove()
    assert not cache.path(SECRET).exists()


def test_room_is_never_made_by_removing_a_marker(cache: BlobCache) -> None:
    cache.confidential.mark([SECRET], MINE)
    BlobCache(cache.folder, free_bytes=lambda _folder: 10**12, quota_bytes=0).make_room(0, keep=())
    assert [path.name for path in cache.folder.iterdir()] == [f"{SECRET}.confidential"]


def test_what_was_compiled_of_a_confidential_model_goes_too(tmp_path: Path, cache: BlobCache) -> None:
    compiled = PreparedCache(tmp_path / "prepared")
    for key in ("secret", "plain"):
        (compiled.begin(key) / "engine").write_bytes(b"engine")
        compiled.finish(key, 1)
    compiled.mark_confidential("secret")
    cache.confidential.remove_compiled()
    assert compiled.build_ns("secret") is None
    assert compiled.build_ns("plain") == 1
    assert not list(tmp_path.rglob("secret/**/engine"))


def test_what_cannot_be_removed_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    blobs = ConfidentialBlobs(tmp_path, compiled=tmp_path / "none")
    blobs.mark([SECRET], MINE)
    # A folder where a file should be cannot be unlinked.
    (tmp_path / SECRET).mkdir()
    with caplog.at_level(logging.WARNING):
        blobs.remove()
    assert "could not be removed" in caplog.text
    assert blobs.removed("c1") == {}

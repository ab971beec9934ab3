"""A job brings what it may, and no more."""

from __future__ import annotations

import pytest

from steelyard.control.upload_quota import UploadQuota
from steelyard.fleet.blob_servicer import BlobRefusedError

ONE, TWO, THREE = ("1" * 64, "2" * 64, "3" * 64)


def test_bytes_are_counted_for_each_job_alone() -> None:
    quota = UploadQuota(most_bytes=100)
    quota.take("job", ONE, 60)
    with pytest.raises(BlobRefusedError, match="limit of 100 bytes") as refused:
        quota.take("job", TWO, 41)
    assert refused.value.reason == "upload_quota"
    quota.take("job", TWO, 40)
    quota.take("another", THREE, 100)


def test_a_blob_that_comes_again_counts_once_and_with_its_last_size() -> None:
    quota = UploadQuota(most_bytes=100, most_count=1)
    for _ in range(5):
        quota.take("job", ONE, 100)
    quota.take("job", ONE, 10)
    with pytest.raises(BlobRefusedError):
        quota.take("job", TWO, 0)


def test_a_refused_blob_takes_nothing() -> None:
    quota = UploadQuota(most_bytes=100)
    with pytest.raises(BlobRefusedError):
        quota.take("job", ONE, 101)
    quota.take("job", TWO, 100)


def test_what_is_no_digest_takes_no_more_memory_than_one() -> None:
    quota = UploadQuota()
    quota.take("job", "x" * 10**6, 1)
    ((kept,),) = [sizes.keys() for sizes in quota._sizes.values()]
    assert len(kept) == len(ONE)

"""What one job may bring in all: a device that lies must not fill the disk, however many jobs of its run."""

from __future__ import annotations

from collections import OrderedDict

from steelyard.fleet.blob_servicer import BlobRefusedError

# Outputs of a data set are bounded by the plan, rounds of samples are some 100 KiB: nothing honest comes near.
MAX_JOB_UPLOAD_BYTES = 16 * 1024**3
# One for each round, one for the outputs of each artifact.
MAX_JOB_UPLOAD_COUNT = 20_000
# Of jobs that run or have just ended.
_REMEMBERED_JOBS = 1_000
_DIGEST_LENGTH = 64


class UploadQuota:
    """Counts the blobs that each job brings since the controller started. Used from one event loop."""

    def __init__(self, *, most_bytes: int = MAX_JOB_UPLOAD_BYTES, most_count: int = MAX_JOB_UPLOAD_COUNT) -> None:
        self._most_bytes = most_bytes
        self._most_count = most_count
        self._sizes: OrderedDict[str, dict[str, int]] = OrderedDict()

    def take(self, job_id: str, digest: str, size_bytes: int) -> None:
        """Count a blob of a job; one that comes again, or in pieces, counts once.

        Raises:
            BlobRefusedError: ``upload_quota``; nothing was counted.
        """
        # More characters are no digest, which the store says in a moment.
        digest = digest[:_DIGEST_LENGTH]
        sizes = self._sizes.setdefault(job_id, {})
        self._sizes.move_to_end(job_id)
        if len(self._sizes) > _REMEMBERED_JOBS:
            self._sizes.popitem(last=False)
        total_bytes = sum(sizes.values()) - sizes.get(digest, 0) + size_bytes
        if total_bytes > self._most_bytes or (digest not in sizes and len(sizes) >= self._most_count):
            raise BlobRefusedError(
                "upload_quota",
                f"job {job_id[:12]} brought {len(sizes)} blobs; one more of {size_bytes} bytes is past the limit of "
                f"{self._most_bytes} bytes in {self._most_count} blobs: measure fewer samples or models at once",
            )
        sizes[digest] = size_bytes

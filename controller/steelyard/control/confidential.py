"""What a device's history says of confidential models."""

from __future__ import annotations

from steelyard.store.names import is_digest
from steelyard_protocol.v1 import session_pb2

_MOST_NAMED = 16


def removal_text(removed: session_pb2.BlobsRemoved) -> str:
    """Return the line about a removal; what is no digest is not repeated."""
    digests = [digest for digest in removed.digests if is_digest(digest)]
    named = ", ".join(digest[:12] for digest in digests[:_MOST_NAMED])
    more = f" and {len(digests) - _MOST_NAMED} more" if len(digests) > _MOST_NAMED else ""
    return f"removed confidential files of job {removed.job_id[:12]}: {named}{more}"

"""Whether operators and rates that a device sent can be some."""

from __future__ import annotations

import math
from collections.abc import Iterator

from steelyard_protocol.v1 import result_pb2

# The largest models have some thousands of nodes; analysis and reports walk over all of them.
_MOST_OPERATORS = 50_000
_MOST_OUTPUTS = 1_000
_MOST_RATES = 100
_LARGEST = 2**53


def profile_nonsense(block: result_pb2.BlockResult) -> Iterator[str]:
    """Yield what makes no sense of a block's operators and rates, in words; nothing for a good one."""
    profile = block.operators
    if len(profile.operators) > _MOST_OPERATORS:
        yield f"{len(profile.operators)} operators, more than {_MOST_OPERATORS}"
    if not 0 <= profile.wall_ns <= _LARGEST:
        yield f"wall_ns {profile.wall_ns} of its profile"
    if profile.operators and not profile.inference_count:
        yield "operators of no inference"
    for one in profile.operators:
        if not 0 <= one.total_ns <= _LARGEST or len(one.outputs) > _MOST_OUTPUTS:
            yield f"operator {one.name[:40]!r} with {one.total_ns} ns and {len(one.outputs)} outputs"
            return
    if len(block.roofline) > _MOST_RATES:
        yield f"{len(block.roofline)} rates, more than {_MOST_RATES}"
    for rate in block.roofline:
        if not (math.isfinite(rate.rate_per_s) and rate.rate_per_s >= 0):
            yield f"a rate {rate.name[:40]!r} of {rate.rate_per_s}"
            return

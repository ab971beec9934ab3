"""Whether a round that a device sent is one of its plan: what nobody asked for is not recorded."""

from __future__ import annotations

from collections.abc import Iterator

from steelyard.errors import SteelyardError
from steelyard_protocol.v1 import plan_pb2, result_pb2

_IDLE = frozenset({result_pb2.BLOCK_ROLE_IDLE_BEFORE, result_pb2.BLOCK_ROLE_IDLE_AFTER})
# The blocks, beside those of models, that a pass may have.
_ROLES = {
    result_pb2.PASS_ENERGY: _IDLE,
    result_pb2.PASS_ROOFLINE: frozenset({result_pb2.BLOCK_ROLE_DEVICE}),
}


def refuse_unplanned(result: result_pb2.RoundResult, plan: plan_pb2.Plan) -> None:
    """Refuse a round whose blocks are not those of its plan.

    Raises:
        SteelyardError: ``bad_round``, with the block.
    """
    for nonsense in _unplanned(result, plan):
        raise SteelyardError(
            "bad_round", f"round {result.round_index} is not one of its plan ({nonsense}): update the agent there"
        )


def _unplanned(result: result_pb2.RoundResult, plan: plan_pb2.Plan) -> Iterator[str]:
    if not result.blocks and result.pass_kind != result_pb2.PASS_PREPARATION:
        # Only what needs no preparation leaves a round empty; whether anything runs is read off the last one's blocks.
        yield "it has no block"
    labels = {artifact.label for artifact in plan.artifacts}
    seen = set()
    for block in result.blocks:
        if block.role and block.role not in _ROLES.get(result.pass_kind, ()):
            yield f"{block.label[:80]!r} has role {block.role}, which its pass does not have"
        if not block.role and block.label not in labels:
            yield f"{block.label[:80]!r} is no artifact of it"
        # Two blocks of one artifact would count as one, and which one would be up to their order.
        key = block.role or block.label
        if key in seen:
            yield f"{block.label[:80]!r} comes twice"
        seen.add(key)
        if result.pass_kind == result_pb2.PASS_LATENCY:
            yield from _wrong_steps(block, plan.mode)


def _wrong_steps(block: result_pb2.BlockResult, mode: plan_pb2.ModeSpec) -> Iterator[str]:
    planned = max(mode.step_counts, default=0)
    for sequence in block.sequences:
        if len(sequence.step_ns) != planned:
            yield f"{block.label[:80]!r} has a sequence of {len(sequence.step_ns)} steps, and {planned} are planned"

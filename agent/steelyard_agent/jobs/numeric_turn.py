"""The numeric pass: what a plan says of it becomes a block, and what it names is checked and staged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from steelyard_agent.worker.block import Block
from steelyard_protocol.v1.plan_pb2 import Plan, PlannedArtifact
from steelyard_protocol.v1.result_pb2 import PASS_NUMERIC, Pass

_MOST_SAMPLES = 65_536
_MOST_QUOTA_BYTES = 64 * 1024**3


def as_numeric(block: Block, plan: Plan, artifact: PlannedArtifact, path_of: Callable[[str], str]) -> Block:
    """Return a block of the numeric pass with what the plan says of it; 0 stands for the agent's default."""
    return replace(
        block,
        output_quota_bytes=plan.numeric.output_quota_bytes or block.output_quota_bytes,
        layers_path=path_of(artifact.layers_digest),
        batch_size=artifact.batch_size,
    )


def numeric_blobs(plan: Plan) -> dict[str, int]:
    """Return the size in bytes of every blob that the numeric pass of a plan needs, by digest."""
    blobs = {one.layers_digest: one.layers_size_bytes for one in plan.artifacts if one.layers_digest}
    if plan.numeric.data_digest:
        blobs[plan.numeric.data_digest] = plan.numeric.data_size_bytes
    return blobs


def check_numeric(plan: Plan, check_blob: Callable[[str, str, int], None]) -> None:
    """Refuse blobs, counts and quotas that make no sense; ``check_blob`` checks a blob's name.

    Raises:
        ValueError: the sentence names the first value.
    """
    spec = plan.numeric
    if spec.data_digest:
        check_blob("the data of the numeric check", spec.data_digest, spec.data_size_bytes)
    for name, value, most in (
        ("sample_count", spec.sample_count, _MOST_SAMPLES),
        ("output_quota_bytes", spec.output_quota_bytes, _MOST_QUOTA_BYTES),
    ):
        if not 0 <= value <= most:
            raise ValueError(f"{name} of the numeric check is {value}, not between 0 and {most}")
    for one in plan.artifacts:
        if one.layers_digest:
            check_blob(f"the layers of {one.label!r}", one.layers_digest, one.layers_size_bytes)


def check_numeric_grant(pass_kind: Pass.ValueType, plan: Plan) -> None:
    """Refuse a round of the numeric pass that the plan has no data for.

    Raises:
        ValueError: the sentence says so.
    """
    if pass_kind == PASS_NUMERIC and not plan.numeric.data_digest:
        raise ValueError("a numeric round was granted but the plan names no data for it")

"""Which passes a measurement has beside its timed rounds."""

from __future__ import annotations

from steelyard_protocol.v1 import plan_pb2, result_pb2


def passes_before(plan: plan_pb2.Plan, *, prepares: bool) -> tuple[result_pb2.Pass.ValueType, ...]:
    """Return the passes of one round that come before anything is timed; ``prepares``: the device compiles a model."""
    wanted = (
        (result_pb2.PASS_PREPARATION, prepares),
        (result_pb2.PASS_EVALUATION, plan.HasField("evaluation")),
    )
    return tuple(pass_kind for pass_kind, is_wanted in wanted if is_wanted)


def passes_after(plan: plan_pb2.Plan) -> tuple[result_pb2.Pass.ValueType, ...]:
    """Return the passes of one round that come after everything that is timed: profilers and probes heat a device."""
    wanted = (
        (result_pb2.PASS_NUMERIC, bool(plan.numeric.data_digest)),
        (result_pb2.PASS_OPERATORS, plan.HasField("operators")),
        (result_pb2.PASS_ROOFLINE, plan.HasField("roofline")),
    )
    return tuple(pass_kind for pass_kind, is_wanted in wanted if is_wanted)

"""Checks what a plan says of operators and of the roofline probe."""

from __future__ import annotations

from collections.abc import Callable

from steelyard_protocol.v1.plan_pb2 import Plan, RuntimeSpec
from steelyard_protocol.v1.result_pb2 import PASS_OPERATORS, PASS_ROOFLINE, Pass

_MOST_WINDOW_MS = 60_000
_MOST_MODELS = 8
_MOST_MACS = 2**50
_MOST_THREADS = 1024
_LONGEST_NAME = 100


def check_profile(
    plan: Plan, check_blob: Callable[[str, str, int], None], check_runtime: Callable[[str, RuntimeSpec], None]
) -> None:
    """Refuse windows, models and threads that make no sense; the callables check a blob's name and a runtime.

    Raises:
        ValueError: the sentence names the first value.
    """
    if not 0 <= plan.operators.window_ms <= _MOST_WINDOW_MS:
        raise ValueError(
            f"window_ms of the operators is {plan.operators.window_ms}, not between 0 and {_MOST_WINDOW_MS}"
        )
    roofline = plan.roofline
    for name, value, most in (
        ("window_ms of the roofline probe", roofline.window_ms, _MOST_WINDOW_MS),
        ("thread_count of the roofline probe", roofline.thread_count, _MOST_THREADS),
        ("the number of models of the roofline probe", len(roofline.models), _MOST_MODELS),
    ):
        if not 0 <= value <= most:
            raise ValueError(f"{name} is {value}, not between 0 and {most}")
    for model in roofline.models:
        name = model.name
        if not (0 < len(name) <= _LONGEST_NAME and name.isprintable()):
            raise ValueError(f"the name {name[:80]!r} of a model of the roofline probe is not a short line")
        if not 0 < model.mac_count <= _MOST_MACS:
            raise ValueError(
                f"mac_count of {name!r} of the roofline probe is {model.mac_count}, not between 1 and {_MOST_MACS}"
            )
        check_blob(f"model {name!r} of the roofline probe", model.artifact_digest, model.size_bytes)
        check_runtime(name, model.runtime)


def check_profile_grant(pass_kind: Pass.ValueType, plan: Plan) -> None:
    """Refuse a round of a pass that the plan says nothing of.

    Raises:
        ValueError: the sentence names the pass.
    """
    if pass_kind == PASS_OPERATORS and not plan.HasField("operators"):
        raise ValueError("an operators round was granted but the plan asks for none")
    if pass_kind == PASS_ROOFLINE and not plan.HasField("roofline"):
        raise ValueError("a roofline round was granted but the plan asks for none")

"""Settings that only some runtimes have: asked of another they are refused, never silently ignored."""

from __future__ import annotations

from steelyard_agent.worker.contract import RuntimeOptions
from steelyard_agent.worker.failure import BlockFailure, BlockStatus


def refuse_foreign_settings(options: RuntimeOptions, runtime_name: str, *, takes_options: bool = False) -> None:
    """Refuse ONNX Runtime's settings for a runtime that has none of them; ``takes_options``: but it takes options.

    Raises:
        BlockFailure: USER_ERROR naming the first one.
    """
    foreign = {
        "inter_op_thread_count": options.inter_op_thread_count is not None,
        "graph_optimization": options.graph_optimization is not None,
        "spinning": options.spinning is not None,
        "arena": options.arena is not None,
        "options": bool(options.options) and not takes_options,
    }
    if named := [name for name, is_set in foreign.items() if is_set]:
        raise BlockFailure(
            BlockStatus.USER_ERROR,
            "foreign_option",
            f"{runtime_name} has no setting {named[0]!r}; leave it out with this runtime",
        )

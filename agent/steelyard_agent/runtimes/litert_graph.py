"""Which part of a TFLite graph a delegate took over, read from the interpreter's nodes."""

from __future__ import annotations

from typing import Any

_DELEGATE = "DELEGATE"


def is_wholly_delegated(interpreter: Any) -> tuple[bool, bool]:
    """Return whether a delegate runs part of the graph, and whether delegates run all of it.

    Replaced nodes stay in the list, so the question is asked from the outputs: all that a caller or a delegate needs
    must come from a delegate, or from no node at all (an input or a constant).
    """
    # The wrapper has no public way to list nodes; its own profiling tools use this one.
    nodes = interpreter._get_ops_details()  # noqa: SLF001
    delegates = [node for node in nodes if node["op_name"] == _DELEGATE]
    made_by_delegates = {index for node in delegates for index in _indices(node["outputs"])}
    made_by_others = {
        index for node in nodes if node["op_name"] != _DELEGATE for index in _indices(node["outputs"])
    } - made_by_delegates
    needed = {detail["index"] for detail in interpreter.get_output_details()}
    needed |= {index for node in delegates for index in _indices(node["inputs"])}
    return bool(delegates), not needed & made_by_others


def _indices(tensors: Any) -> list[int]:
    return [int(index) for index in tensors]

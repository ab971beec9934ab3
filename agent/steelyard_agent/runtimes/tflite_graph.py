"""Which part of a TFLite graph a delegate took over, read from the interpreter's nodes."""

from __future__ import annotations

from typing import Any

_DELEGATE = "DELEGATE"


def node_counts(interpreter: Any) -> tuple[int, int]:
    """Return how many of the model's nodes delegates run, and how many are left to the built-in kernels.

    Replaced nodes stay in the list, so the question is asked from the outputs: what a delegate makes comes from it,
    and a node that is reached on the way to an output without passing a delegate is one that runs by itself.
    """
    # The wrapper has no public way to list nodes; its own profiling tools use this one.
    nodes = interpreter._get_ops_details()  # noqa: SLF001
    plain = [node for node in nodes if node["op_name"] != _DELEGATE]
    makers = {index: node for node in plain for index in _indices(node["outputs"])}
    makers |= {index: node for node in nodes if node["op_name"] == _DELEGATE for index in _indices(node["outputs"])}
    waiting = [int(detail["index"]) for detail in interpreter.get_output_details()]
    seen: set[int] = set()
    # Nodes without an output (assignments to variables) are never reached from one, and no delegate replaces them.
    left = {id(node) for node in plain if not _indices(node["outputs"])}
    while waiting:
        tensor = waiting.pop()
        node = makers.get(tensor)
        if tensor in seen or node is None:
            continue
        seen.add(tensor)
        waiting += _indices(node["inputs"])
        if node["op_name"] != _DELEGATE:
            left.add(id(node))
    has_delegate = len(plain) < len(nodes)
    # Without a delegate every node runs, also one that no output needs.
    return (len(plain) - len(left), len(left)) if has_delegate else (0, len(plain))


def _indices(tensors: Any) -> list[int]:
    return [int(index) for index in tensors]

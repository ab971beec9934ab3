"""Names of nodes: every one has its own, and settings choose nodes by patterns of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from steelyard.compress.errors import CompressionInputError
from steelyard.spelling import meant

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_SHOWN_NAMES = 5


def name_nodes(model: ModelProto) -> None:
    """Give nodes of the top graph without a name, or with one that is taken, a name made of operator and output."""
    taken: set[str] = set()
    for node in model.graph.node:
        output = next((name for name in node.output if name), "")
        name = node.name if node.name and node.name not in taken else f"{node.op_type}_{output}"
        number, found = 2, name
        while found in taken:
            found, number = f"{name}_{number}", number + 1
        node.name = found
        taken.add(found)


def matching_nodes(nodes: Iterable[NodeProto], patterns: Sequence[str], *, kind: str, key: str) -> frozenset[str]:
    """Return the names of nodes whose name or operator a pattern matches ("head*", "Softmax"); case matters.

    Raises:
        CompressionInputError: unmatched_pattern: one that matches nothing; ``kind`` and ``key`` name step and setting.
    """
    nodes = tuple(nodes)
    found: set[str] = set()
    for pattern in patterns:
        matched = {node.name for node in nodes if fnmatchcase(node.name, pattern) or fnmatchcase(node.op_type, pattern)}
        if not matched:
            near = difflib.get_close_matches(pattern, [node.name for node in nodes], n=_SHOWN_NAMES)
            known = {node.op_type for node in nodes} | set(near)
            raise CompressionInputError(
                "unmatched_pattern",
                f"{kind}: {key} has {pattern!r}, which is neither a node nor an operator of this model; "
                f"{meant(pattern, known)}",
            )
        found |= matched
    return frozenset(found)

"""What a recipe has behind it: a step that is done, with the model that it made."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

from steelyard_protocol.v1 import control_pb2

_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedStep:
    """The model after a step, in ``path``, and the step as lineage keeps it; what the recipe's first model scored."""

    path: Path
    message: control_pb2.LineageStep
    parent_evaluation: control_pb2.StepEvaluation | None = None


def deflated_bytes(content: bytes) -> int:
    """Return the size of ``content`` under DEFLATE, what a download or a package takes."""
    squeezer = zlib.compressobj(6)
    size = sum(len(squeezer.compress(content[at : at + _PIECE_BYTES])) for at in range(0, len(content), _PIECE_BYTES))
    return size + len(squeezer.flush())

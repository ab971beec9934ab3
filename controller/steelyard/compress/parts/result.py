"""What became of a model in parts."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.compress.parts.part_tasks import PartTask
from steelyard.compress.parts.scores import WholeScores
from steelyard_protocol.v1 import control_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressedPart:
    """A part with its own task and what was made of it."""

    name: str
    original: control_pb2.Artifact
    task: control_pb2.Task
    variant: control_pb2.Artifact
    calls: PartTask


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressedParts:
    """What became of a model in parts; parts without a recipe stay as they were and are not listed."""

    name: str
    parts: tuple[CompressedPart, ...]
    scores: WholeScores

"""What compression gives back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from steelyard_protocol.v1 import control_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressionResult:
    """A variant that loads and whose outputs are finite, with what made it; ``path`` is named by ``digest``."""

    path: Path
    digest: str
    size_bytes: int
    lineage: control_pb2.Lineage
    notes: tuple[str, ...] = ()

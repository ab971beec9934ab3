"""What the process that runs a model here is told, and what it answers: a line of JSON each."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceRequest:
    """Run this model on this data; ``format`` is a number of ``ArtifactFormat``, ``layers_path`` may be ""."""

    model_path: str
    layers_path: str
    data_path: str
    format: int
    batch_size: int
    out_path: str

    def to_line(self) -> str:
        """Return the request as a line."""
        return json.dumps(asdict(self)) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceAnswer:
    """What ran the model ("onnxruntime 1.32.0"), or why nothing did: one of the two is ""."""

    runtime: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuse an answer that is neither."""
        if bool(self.runtime) == bool(self.reason):
            raise ValueError(f"an answer with runtime {self.runtime!r} and reason {self.reason!r}")

    def to_line(self) -> str:
        """Return the answer as a line."""
        return json.dumps(asdict(self)) + "\n"


def parse_request(line: str) -> ReferenceRequest:
    """Return the request of a line."""
    return ReferenceRequest(**json.loads(line))


def parse_answer(line: str) -> ReferenceAnswer:
    """Return the answer of a line.

    Raises:
        ValueError: the line is no answer.
    """
    try:
        return ReferenceAnswer(**json.loads(line))
    except TypeError as error:
        raise ValueError(f"{line[:120]!r} is no answer: {error}") from error

"""What travels between a program and its compression process: one JSON line in, JSON lines out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from steelyard.compress.finished_step import FinishedStep
from steelyard.compress.result import CompressionResult
from steelyard.errors import SteelyardError, first_line
from steelyard_protocol.v1 import control_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringFiles:
    """Samples that models are scored by: files of packed inputs and of truth, "" for none, and the metric."""

    split: str
    inputs_path: str
    metric: str
    truth_path: str = ""
    metric_settings_json: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningFiles:
    """What steps that learn are given, as ``steelyard.compress.learning.Learning`` has it, in files."""

    training: ScoringFiles | None = None
    artifacts: Mapping[str, Path] = field(default_factory=dict)
    checkpoints: Path | None = None
    training_digest: str = ""
    choice_digest: str = ""
    latency_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressionRequest:
    """The request, a JSON object with these keys; ``calibration_path`` is a file of packed samples, "" for none.

    ``work_dir`` is a folder for intermediate files that the caller removes, "" to let the process make its own.
    ``reported`` and ``chosen_by`` are what models are scored by, after each step and where a step chooses. ``finished``
    are the first steps of the recipe, done before: the model's path, and the step as JSON. ``known_scores`` has what
    models scored in ``reported`` before: the digest, and the score as JSON. ``plugin_paths`` are files of plugins.
    ``training``, ``artifacts`` (name and path), ``checkpoints``, ``training_digest``, ``choice_digest`` and
    ``latency_key`` are for steps that learn, see ``steelyard.compress.learning.Learning``. ``waits`` says that the
    child waits for a line after each step; ``measures`` that it may ask for latencies.
    """

    model_path: str
    recipe_toml: str
    out_dir: str
    calibration_path: str = ""
    seed: int = 0
    processor_features: tuple[str, ...] = ()
    work_dir: str = ""
    reported: ScoringFiles | None = None
    chosen_by: ScoringFiles | None = None
    finished: tuple[tuple[str, str], ...] = ()
    known_scores: tuple[tuple[str, str], ...] = ()
    plugin_paths: tuple[str, ...] = ()
    training: ScoringFiles | None = None
    artifacts: tuple[tuple[str, str], ...] = ()
    checkpoints: str = ""
    training_digest: str = ""
    choice_digest: str = ""
    latency_key: str = ""
    waits: bool = False
    measures: bool = False

    def to_line(self) -> str:
        """Return the request as one line of JSON."""
        return json.dumps(asdict(self)) + "\n"

    def finished_steps(self) -> tuple[FinishedStep, ...]:
        """Return the steps that were done before."""
        return tuple(
            FinishedStep(path=Path(path), message=json_format.Parse(text, control_pb2.LineageStep()))
            for path, text in self.finished
        )

    def scores(self) -> dict[str, control_pb2.StepEvaluation]:
        """Return what models scored before, by digest."""
        return {digest: json_format.Parse(text, control_pb2.StepEvaluation()) for digest, text in self.known_scores}


def parse_request(line: str) -> CompressionRequest:
    """Return the request in a line.

    Raises:
        SteelyardError: a line that is no request.
    """
    try:
        fields: dict[str, Any] = json.loads(line)
        for name in ("processor_features", "plugin_paths"):
            fields[name] = tuple(str(one) for one in fields.get(name, ()))
        for name in ("finished", "known_scores", "artifacts"):
            fields[name] = tuple((str(first), str(second)) for first, second in fields.get(name, ()))
        for name in ("reported", "chosen_by", "training"):
            fields[name] = _scoring(fields.get(name))
        return CompressionRequest(**fields)
    except (ValueError, TypeError, AttributeError) as error:
        raise SteelyardError(
            "invalid_request", f"the request {line[:200]!r} is none ({error}); write one line of JSON"
        ) from error


def _scoring(fields: dict[str, Any] | None) -> ScoringFiles | None:
    return None if fields is None else ScoringFiles(**fields)


def step_event(done: FinishedStep) -> dict[str, Any]:
    """Return the event of a step that is done; the file lasts until the process ends."""
    event = {"event": "step", "path": str(done.path), "step": _plain(done.message)}
    return event if done.parent_evaluation is None else {**event, "parent": _plain(done.parent_evaluation)}


def parse_step(event: Mapping[str, Any]) -> FinishedStep:
    """Return the step that a step event tells of."""
    return FinishedStep(
        path=Path(event["path"]),
        message=json_format.ParseDict(event["step"], control_pb2.LineageStep()),
        parent_evaluation=json_format.ParseDict(event["parent"], control_pb2.StepEvaluation())
        if "parent" in event
        else None,
    )


def measure_event(candidate: Path, reference: Path, what: str) -> dict[str, Any]:
    """Return the event of a child that asks for a latency; the answer is one line to it (``latency_line``)."""
    return {"event": "measure", "candidate": str(candidate), "reference": str(reference), "what": what}


def latency_line(latency: control_pb2.StepLatency) -> str:
    """Return the answer to a measure event."""
    return json.dumps(_plain(latency)) + "\n"


def parse_latency(line: str) -> control_pb2.StepLatency:
    """Return the latency that an answer tells.

    Raises:
        SteelyardError: a line that tells none.
    """
    try:
        return json_format.Parse(line, control_pb2.StepLatency())
    except json_format.ParseError as error:
        raise SteelyardError(
            "invalid_answer", f"the answer {line[:200]!r} is no latency ({first_line(error)}); write one line of JSON"
        ) from error


def _plain(message: Message) -> dict[str, Any]:
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def progress_event(message: str, done: int, total: int) -> dict[str, Any]:
    """Return the event of work that goes on."""
    return {"event": "progress", "message": message, "done": done, "total": total}


def failure_event(reason: str, message: str, exit_code: int) -> dict[str, Any]:
    """Return the event of an error; ``exit_code`` is what a command ends with."""
    return {"event": "failure", "reason": reason, "message": message, "exit_code": exit_code}


def result_event(result: CompressionResult) -> dict[str, Any]:
    """Return the event of a variant."""
    return {
        "event": "result",
        "path": str(result.path),
        "digest": result.digest,
        "size_bytes": result.size_bytes,
        "lineage": _plain(result.lineage),
        "notes": list(result.notes),
    }


def parse_result(event: Mapping[str, Any]) -> CompressionResult:
    """Return the variant that a result event tells of."""
    return CompressionResult(
        path=Path(event["path"]),
        digest=event["digest"],
        size_bytes=event["size_bytes"],
        lineage=json_format.ParseDict(event["lineage"], control_pb2.Lineage()),
        notes=tuple(event["notes"]),
    )

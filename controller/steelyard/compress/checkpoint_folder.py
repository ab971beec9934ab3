"""Where a step that learns keeps how far it came, a folder named by all that its result depends on; what it read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from steelyard.compress.contract import Ancestor, Step, StepContext
from steelyard.compress.learning import Learning, Learns, named_artifacts
from steelyard.compress.registry import step_plugin
from steelyard.compress.step_key import StepInputs, step_key
from steelyard_protocol.v1 import control_pb2


def checkpoint_folder(
    step: Step, ancestors: Sequence[Ancestor], context: StepContext, learning: Learning
) -> Path | None:
    """Return the folder of a step, None for one that does not learn or where nothing is to be kept.

    It has the name of the step's key, as the controller knows it.
    """
    if learning.checkpoints is None or not isinstance(step, Learns):
        return None
    inputs = StepInputs(
        seed=context.seed,
        processor_features=context.processor_features,
        calibration_digest="" if context.calibration is None else context.calibration.digest,
        choice_digest=learning.choice_digest,
        training_digest=learning.training_digest,
        latency_key=learning.latency_key,
        artifact_digests={one.name: one.digest for one in read_models(step, learning)},
    )
    digests = [_file_digest(one.path) for one in ancestors]
    return learning.checkpoints / step_key(step, digests, inputs, plugin=step_plugin(step.kind)).key


def read_models(step: Step, learning: Learning) -> tuple[control_pb2.ReadModel, ...]:
    """Return the models that a step reads by name, with the digests that the names stand for now."""
    paths = {name: learning.artifacts.get(name) for name in named_artifacts([step])}
    return tuple(
        control_pb2.ReadModel(name=name, digest=_file_digest(path)) for name, path in paths.items() if path is not None
    )


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

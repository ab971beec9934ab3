"""Run a recipe on a model: step by step, each model checked, scored and told before the next step begins.

Libraries called here may print to standard output and use all memory: programs call ``compress_in_process``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from google.protobuf.timestamp_pb2 import Timestamp

from steelyard.artifacts import read_artifact
from steelyard.compress.applying import apply_step
from steelyard.compress.calibration import CalibrationData, open_calibration, read_calibration
from steelyard.compress.checkpoint_folder import checkpoint_folder, read_models
from steelyard.compress.contract import Ancestor, Progress, Step, StepContext, StepReport
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.evaluation import EvaluationSet, HostEvaluator, step_evaluation
from steelyard.compress.finished_step import FinishedStep, deflated_bytes
from steelyard.compress.latency import LatencyOracle
from steelyard.compress.learning import Learning
from steelyard.compress.model_kind import ModelKind
from steelyard.compress.recipe import Recipe
from steelyard.compress.recipe_start import refuse_other_form, refuse_other_format
from steelyard.compress.registry import step_plugin
from steelyard.compress.result import CompressionResult
from steelyard.compress.tools import disk_errors
from steelyard.errors import SteelyardError
from steelyard_protocol.v1 import control_pb2

WORK_PREFIX = ".compress-"
# What a step's model is called in the work folder.
_STEP_FILE = re.compile(r"\S*step-([0-9]+)(?:-raw|-[0-9a-f]{64})\.(?:onnx|tflite)")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """What models are scored by: ``reported`` after each step, ``chosen_by`` where a step chooses; None: not at all.

    ``known`` has what models scored before in ``reported``, by their digest.
    """

    reported: EvaluationSet | None = None
    chosen_by: EvaluationSet | None = None
    known: Mapping[str, control_pb2.StepEvaluation] = dataclasses.field(default_factory=dict)


def compress(
    model_path: Path,
    recipe: Recipe,
    *,
    calibration: bytes | Path | None,
    seed: int,
    processor_features: Collection[str],
    out_dir: Path,
    progress: Progress | None = None,
    work_dir: Path | None = None,
    scoring: Scoring | None = None,
    learning: Learning | None = None,
    latency: LatencyOracle | None = None,
    finished: Sequence[FinishedStep] = (),
    on_step: Callable[[FinishedStep], None] | None = None,
) -> CompressionResult:
    """Make the variant ``out_dir/DIGEST.onnx`` of a model; the model is never touched, nothing half-written is left.

    Args:
        model_path: an ONNX or a TFLite model.
        recipe: what to do.
        calibration: packed samples (``steelyard.tasks.packing``), for recipes that need them; of a file no more is in
            memory than is needed.
        seed: for the inputs drawn to check a variant made without calibration data; recorded.
        processor_features: of the device that the variant is for; empty when unknown.
        out_dir: where the variant goes; made when missing.
        progress: told what is being done, work done and work in all.
        work_dir: for intermediate files, on the disk of ``out_dir``; the caller removes it. None: one of our own.
        scoring: what models are scored by on this machine.
        learning: what steps learn from.
        latency: measures for steps that ask for a latency.
        finished: the first steps of the recipe where they were done before; they are not run again.
        on_step: told of each step that is done; the file in ``path`` lasts as long as ``work_dir``.

    Raises:
        InvalidModelError, TaskError, CompressionInputError: an input that this recipe cannot work with.
        CompressionError: a tool failed, the disk is full, or the variant does not work.
    """
    with disk_errors(out_dir):
        out_dir.mkdir(parents=True, exist_ok=True)
        own = tempfile.TemporaryDirectory(prefix=WORK_PREFIX, dir=out_dir)
        with own if work_dir is None else nullcontext(work_dir) as folder:
            context = StepContext(
                work_dir=Path(folder),
                progress=progress or (lambda message, done, total: None),
                seed=seed,
                processor_features=frozenset(processor_features),
                calibration=_read_calibration(recipe, calibration),
                latency=latency,
            )
            job = _Job(
                model_path, recipe, context, scoring or Scoring(), learning or Learning(), on_step or (lambda one: None)
            )
            return job.run(out_dir, finished)


def _read_calibration(recipe: Recipe, content: bytes | Path | None) -> CalibrationData | None:
    if content is None and recipe.needs_calibration:
        raise CompressionInputError(
            "no_calibration_data",
            f"recipe {recipe.name!r} needs calibration data; give a task with a calibration split",
        )
    if isinstance(content, Path):
        return open_calibration(content)
    return None if content is None else read_calibration(content)


class _Job:
    """One run of a recipe."""

    def __init__(
        self,
        model_path: Path,
        recipe: Recipe,
        context: StepContext,
        scoring: Scoring,
        learning: Learning,
        on_step: Callable[[FinishedStep], None],
    ) -> None:
        self._created_at = Timestamp()
        self._created_at.GetCurrentTime()
        self._start_s = time.monotonic()
        self._recipe = recipe
        self._on_step = on_step
        self._progress = context.progress
        # Begins whatever is told: "step 2 of 4, static-int8: ".
        self._where = ""
        self._parent = read_artifact(model_path, work_dir=context.work_dir)
        self._kind = ModelKind.of(self._parent)
        self._context = dataclasses.replace(context, model_format=self._kind.name, progress=self._tell)
        self._known_scores = scoring.known
        self._evaluator = self._evaluator_of(scoring.reported)
        self._chooser = self._evaluator_of(scoring.chosen_by)
        if self._chooser is not None:
            self._context = dataclasses.replace(self._context, evaluate=self._chooser.evaluate)
        self._learning = learning
        _refuse_without_training(recipe, learning)
        chosen = scoring.chosen_by
        self._context = dataclasses.replace(
            self._context,
            training=learning.training,
            # Nothing is learnt by looking at the evaluation samples.
            validation=chosen if chosen is not None and chosen.split == "validation" else None,
            artifacts=learning.artifacts,
        )

    def run(self, out_dir: Path, finished: Sequence[FinishedStep]) -> CompressionResult:
        ancestors = [Ancestor(path=self._parent.bytes_path, form=self._checked_form())]
        forms = self._recipe.forms(ancestors[0].form)
        parent_evaluation = self._score(self._parent.bytes_path, self._parent.digest, "the model")
        steps: list[control_pb2.LineageStep] = []
        for number, (step, form) in enumerate(zip(self._recipe.step_list, forms, strict=True), start=1):
            self._where = f"step {number} of {len(forms)}, {step.kind}: "
            if number <= len(finished):
                message = self._rescored(finished[number - 1])
                done = FinishedStep(path=finished[number - 1].path, message=message)
            else:
                with _steps_by_number():
                    done = self._do(number, step, tuple(ancestors), parent_evaluation)
                self._on_step(done)
            steps.append(done.message)
            ancestors.append(Ancestor(path=done.path, form=form, step=step, report=_report(done.message)))
        self._where = ""
        return self._keep(ancestors[-1].path, steps, parent_evaluation, out_dir)

    def _tell(self, message: str, done: int, total: int) -> None:
        self._progress(f"{self._where}{message}", done, total)

    def _evaluator_of(self, chosen: EvaluationSet | None) -> HostEvaluator | None:
        if chosen is None:
            return None
        return HostEvaluator(
            chosen,
            parent_path=self._parent.bytes_path,
            model_format=self._kind.name,
            progress=self._context.progress,
        )

    def _checked_form(self) -> str:
        """Refuse a model that the steps cannot start from, before anything runs, and return its numeric form."""
        path = self._parent.bytes_path
        refuse_other_format(self._recipe, self._kind.name, path)
        form = self._kind.form_of(path)
        refuse_other_form(self._recipe, form, path)
        self._kind.check_runs(path, self._context)
        return form

    def _do(
        self,
        number: int,
        step: Step,
        ancestors: tuple[Ancestor, ...],
        parent_evaluation: control_pb2.StepEvaluation | None,
    ) -> FinishedStep:
        start_s = time.monotonic()
        stem = f"step-{number}"
        raw_path = self._context.work_dir / f"{stem}-raw{self._kind.suffix}"
        context = dataclasses.replace(
            self._context,
            ancestors=ancestors,
            checkpoints=checkpoint_folder(step, ancestors, self._context, self._learning),
        )
        choice_count = 0 if self._chooser is None else self._chooser.call_count
        report = apply_step(step, ancestors[-1].path, raw_path, context)
        content = self._kind.final_bytes(raw_path)
        raw_path.unlink()
        digest = hashlib.sha256(content).hexdigest()
        path = self._context.work_dir / f"{stem}-{digest}{self._kind.suffix}"
        path.write_bytes(content)
        context.progress("checking the variant", 0, 1)
        unchecked = self._kind.verify(path, self._parent.bytes_path, calibration=context.calibration, seed=context.seed)
        message = control_pb2.LineageStep(
            kind=step.kind,
            plugin=step_plugin(step.kind),
            settings_json=json.dumps(dict(report.settings), sort_keys=True),
            tool_versions=report.tool_versions,
            output_digest=digest,
            output_size_bytes=len(content),
            output_deflated_bytes=deflated_bytes(content),
            notes=(*report.notes, *self._flattered(choice_count), *unchecked),
            duration_s=time.monotonic() - start_s,
            evaluation=self._score(path, digest, "the variant"),
            read_models=read_models(step, self._learning),
        )
        return FinishedStep(path=path, message=message, parent_evaluation=parent_evaluation)

    def _flattered(self, choice_count: int) -> tuple[str, ...]:
        """Return the note on a step that chose by the samples that it is scored by."""
        chooser = self._chooser
        if chooser is None or chooser.call_count == choice_count or chooser.split != "evaluation":
            return ()
        return ("it chose by the evaluation samples, so that their score flatters; give the task a validation split",)

    def _rescored(self, done: FinishedStep) -> control_pb2.LineageStep:
        message = control_pb2.LineageStep()
        message.CopyFrom(done.message)
        evaluation = self._score(done.path, message.output_digest, "the variant")
        if evaluation is not None:
            message.evaluation.CopyFrom(evaluation)
        return message

    def _score(self, path: Path, digest: str, what: str) -> control_pb2.StepEvaluation | None:
        if self._evaluator is None:
            return None
        if digest in self._known_scores:
            return self._known_scores[digest]
        self._tell(f"scoring {what}", 0, 1)
        return step_evaluation(self._evaluator, path)

    def _keep(
        self,
        made: Path,
        steps: list[control_pb2.LineageStep],
        parent_evaluation: control_pb2.StepEvaluation | None,
        out_dir: Path,
    ) -> CompressionResult:
        digest = steps[-1].output_digest
        finished = self._context.work_dir / f"{digest}{self._kind.suffix}"
        finished.write_bytes(made.read_bytes())
        target = out_dir / finished.name
        finished.replace(target)
        self._context.progress("checking the variant", 1, 1)
        return CompressionResult(
            path=target,
            digest=digest,
            size_bytes=target.stat().st_size,
            lineage=self._lineage(steps, parent_evaluation),
            notes=(*self._parent.notes, *(note for step in steps for note in step.notes)),
        )

    def _lineage(
        self, steps: list[control_pb2.LineageStep], parent_evaluation: control_pb2.StepEvaluation | None
    ) -> control_pb2.Lineage:
        data = self._context.calibration if self._recipe.needs_calibration else None
        training = self._context.training if self._recipe.needs_training else None
        return control_pb2.Lineage(
            parent_digest=self._parent.digest,
            recipe_name=self._recipe.name,
            recipe_toml=self._recipe.to_toml(),
            steps=steps,
            calibration_digest=data.digest if data else "",
            calibration_sample_count=data.sample_count if data else 0,
            training_digest=training.data.digest if training else "",
            training_sample_count=training.sample_count if training else 0,
            seed=self._context.seed,
            created_at=self._created_at,
            duration_s=time.monotonic() - self._start_s,
            parent_evaluation=parent_evaluation,
        )


def _refuse_without_training(recipe: Recipe, learning: Learning) -> None:
    if recipe.needs_training and learning.training is None:
        raise CompressionInputError(
            "no_training_data",
            f"recipe {recipe.name!r} learns from samples; give a task with a training split",
        )


@contextmanager
def _steps_by_number() -> Iterator[None]:
    """Let errors call the models between by the number of their step: their files are gone when somebody reads it."""
    try:
        yield
    except SteelyardError as error:
        told = _STEP_FILE.sub(r"the model of step \1", str(error))
        if told == str(error):
            raise
        raise type(error)(error.reason, told) from error


def _report(message: control_pb2.LineageStep) -> StepReport:
    """Return what a step reported, as later steps are told of it."""
    return StepReport(
        settings=json.loads(message.settings_json or "{}"),
        tool_versions=tuple(message.tool_versions),
        notes=tuple(message.notes),
    )

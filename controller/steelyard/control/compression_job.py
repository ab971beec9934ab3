"""One compression: in a process of its own, each step's model registered as an artifact with its lineage at once."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from steelyard.compress.errors import CompressionError, CompressionInputError
from steelyard.compress.evaluation import metric_of
from steelyard.compress.finished_step import FinishedStep
from steelyard.compress.learning import Learns, named_artifacts
from steelyard.compress.messages import LearningFiles, ScoringFiles
from steelyard.compress.process import compress_in_process
from steelyard.compress.recipe import Recipe
from steelyard.compress.recipe_text import parse_recipe
from steelyard.compress.registry import step_plugin
from steelyard.compress.step_key import StepInputs, StepKey, score_key, step_key, why_other_bytes
from steelyard.compress.tools import disk_errors
from steelyard.control.job_world import JobWorld
from steelyard.control.latency_oracle import DeviceLatency, Measurements, MeasuringJob
from steelyard.control.old_checkpoints import forget_old
from steelyard.plugins.files import plugin_files
from steelyard.store.finished_steps import StepRecord
from steelyard.store.names import MAX_NAME_LENGTH
from steelyard.store.store import Store
from steelyard.tasks.metrics.registry import metric_plugins
from steelyard_protocol.v1 import control_pb2

_LOGGER = logging.getLogger(__name__)
_SHOWN_DIGITS = 12
# Each line of a job's log is a transaction of the store; calibration and scoring tell every sample.
_TELL_EVERY_S = 0.25


async def compress_job(
    world: JobWorld,
    job_id: str,
    request: control_pb2.SubmitCompressionRequest,
    *,
    jobs: Measurements,
    heard: Callable[[], None] = lambda: None,
) -> None:
    """Compress an artifact and end the job with the variant's digest; ``heard`` is called at each sign of progress.

    ``jobs`` take in what the compression measures.

    Raises:
        SteelyardError: It cannot be made.
        JobEnd: a latency that a step asked for could not be measured.
    """
    parent = await world.store.call(Store.find_artifact, request.artifact_digest)
    with plugin_files(request.plugin_paths):
        await _compress(world, MeasuringJob(job_id=job_id, request=request, parent=parent), jobs, heard)


async def _compress(
    world: JobWorld,
    asked: MeasuringJob,
    jobs: Measurements,
    heard: Callable[[], None],
) -> None:
    with disk_errors(world.work_directory):
        world.work_directory.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(dir=world.work_directory, prefix="compress-")
    with folder as work:
        job = _CompressionJob(world=world, asked=asked, jobs=jobs, work=Path(work), heard=heard)
        variant = await job.run()
    count = len(job.steps)
    await world.store.call(
        Store.transition,
        asked.job_id,
        control_pb2.JOB_STATE_RECORDED,
        message=f"made {variant.name} ({variant.digest[:_SHOWN_DIGITS]}, {variant.size_bytes:,} bytes)",
        variant_digest=variant.digest,
        steps=job.steps,
        done=count,
        total=count,
    )


class _CompressionJob:
    """The steps of one recipe on one model."""

    def __init__(
        self,
        *,
        world: JobWorld,
        asked: MeasuringJob,
        jobs: Measurements,
        work: Path,
        heard: Callable[[], None],
    ) -> None:
        request = asked.request
        self.recipe: Recipe = parse_recipe(request.recipe_toml)
        self._world = world
        self._job_id = asked.job_id
        self._request = request
        self._parent = asked.parent
        self._latency = DeviceLatency(world, jobs, asked, tell=self._progress, heard=heard)
        self._work = work
        self._heard = heard
        self._inputs = StepInputs(seed=request.seed)
        self._task = control_pb2.Task()
        self.steps: list[control_pb2.LineageStep] = []
        self._notes: set[asyncio.Task[object]] = set()
        self._told = ("", 0.0)

    async def run(self) -> control_pb2.Artifact:
        """Run what was not run before and return the variant."""
        features = await self._world.devices.processor_features(self._request.device)
        self._progress(f"{self.recipe.name} of {self._parent.name}", 0, len(self.recipe.step_list))
        if self._request.task_id:
            self._task = await self._world.store.call(Store.get_task, self._request.task_id)
        task = self._task
        others = await self._named_artifacts()
        self._inputs = StepInputs(
            seed=self._request.seed,
            processor_features=features,
            calibration_digest=task.calibration_digest,
            choice_digest=_choice(task),
            training_digest=_training(task),
            latency_key=await self._latency.key() if self.recipe.needs_latency else "",
            artifact_digests=others,
        )
        finished = await self._known_steps()
        calibration = self._file(task.calibration_digest, "calibration.npz")
        path = self._world.blobs.path(self._parent.digest)
        with _named(path, self._parent.name):
            result = await compress_in_process(
                path,
                self.recipe,
                calibration_path=calibration,
                seed=self._request.seed,
                processor_features=features,
                out_dir=self._work,
                progress=self._progress,
                reported=self._scoring(task) if self._request.evaluate_steps else None,
                chosen_by=self._choosing(task),
                learning=self._learning(task),
                finished=finished,
                known_scores=await self._known_scores(),
                on_step=self._keep,
                waits=self._request.measure_steps,
                measure=self._latency.measure if self.recipe.needs_latency else None,
            )
        await asyncio.to_thread(self._world.blobs.put_file, result.path)
        lineage = result.lineage
        await self._keep_score(self._parent.digest, lineage.parent_evaluation)
        for step, returned in zip(self.steps, lineage.steps, strict=True):
            # Steps that were done before are scored by the child.
            if returned.HasField("evaluation"):
                step.evaluation.CopyFrom(returned.evaluation)
                await self._keep_score(step.output_digest, step.evaluation)
        lineage.parent_digest, lineage.task_id = self._parent.digest, self._request.task_id
        del lineage.steps[:]
        lineage.steps.extend(self.steps)
        return await self._register(result.digest, len(self.steps), lineage)

    async def _named_artifacts(self) -> dict[str, str]:
        """Return the digests of other models that steps read, by the names that the recipe has for them."""
        found = {}
        for name in named_artifacts(self.recipe.step_list):
            found[name] = (await self._world.store.call(Store.find_artifact, name)).digest
        return found

    # -- steps --------------------------------------------------------------------------------------------------

    async def _known_steps(self) -> list[FinishedStep]:
        """Return the first steps whose outputs are known and still there."""
        finished: list[FinishedStep] = []
        while not self._request.without_cache and len(finished) < len(self.recipe.step_list):
            record = await self._world.store.call(Store.find_step, self._key(len(finished)).key)
            if record is None or not self._world.blobs.has(record.message.output_digest):
                break
            record.message.reused = True
            self.steps.append(record.message)
            finished.append(
                FinishedStep(path=self._world.blobs.path(record.message.output_digest), message=record.message)
            )
            self._progress(f"step {len(finished)} was run before", len(finished), len(self.recipe.step_list))
            await self._measure_step()
        return finished

    async def _keep(self, done: FinishedStep) -> None:
        """Keep the model of a step that was run: the recipe can go on from it whatever happens next."""
        number = len(self.steps)
        key = self._key(number)
        done.message.output_digest = await asyncio.to_thread(self._world.blobs.put_file, done.path)
        note = await self._why_other(key, done.message.output_digest)
        if note:
            done.message.notes.append(note)
        self.steps.append(done.message)
        recipe = Recipe(self.recipe.step_list[: number + 1], name=self.recipe.prefix_name(number + 1))
        lineage = control_pb2.Lineage(
            parent_digest=self._parent.digest,
            recipe_name=recipe.name,
            recipe_toml=recipe.to_toml(),
            steps=self.steps,
            calibration_digest=self._inputs.calibration_digest if recipe.needs_calibration else "",
            calibration_sample_count=self._task.calibration_sample_count if recipe.needs_calibration else 0,
            training_digest=self._task.training_digest if recipe.needs_training else "",
            training_sample_count=self._task.training_sample_count if recipe.needs_training else 0,
            parent_evaluation=done.parent_evaluation,
            seed=self._request.seed,
            duration_s=sum(step.duration_s for step in self.steps),
            task_id=self._request.task_id,
        )
        lineage.created_at.GetCurrentTime()
        is_last = number + 1 == len(self.recipe.step_list)
        # The last one is registered with the whole, unless it is measured first: that may take long, or be cancelled.
        if not is_last or self._request.measure_steps:
            await self._register(done.message.output_digest, number + 1, lineage)
        await self._keep_score(self._parent.digest, lineage.parent_evaluation)
        await self._keep_score(done.message.output_digest, done.message.evaluation)
        # What it scored is kept apart: another task scores the same model otherwise.
        bare = control_pb2.LineageStep()
        bare.CopyFrom(done.message)
        bare.ClearField("evaluation")
        bare.ClearField("latency")
        record = StepRecord(key=key.key, loose_key=key.loose_key, tools=key.tools, message=bare)
        await self._world.store.call(Store.record_step, record)
        # What it kept on its way is behind it now.
        await asyncio.to_thread(shutil.rmtree, self._world.checkpoint_directory / key.key, ignore_errors=True)
        await self._measure_step()
        if done.message.HasField("latency") and not is_last:
            lineage.steps[-1].CopyFrom(done.message)
            await self._register(done.message.output_digest, number + 1, lineage)

    async def _measure_step(self) -> None:
        """Measure the model of the last step that is done, where that was asked for: nothing else runs meanwhile."""
        step, number = self.steps[-1], len(self.steps)
        # A step that only looked left the first model as it was.
        if not self._request.measure_steps or step.output_digest == self._parent.digest:
            return
        told = await self._latency.of_step(step.output_digest, f"step {number} ({step.kind})", name=self._name(number))
        step.latency.CopyFrom(told)

    def _key(self, number: int) -> StepKey:
        digests = [self._parent.digest, *(step.output_digest for step in self.steps)]
        step = self.recipe.step_list[number]
        return step_key(step, digests, self._inputs, plugin=step_plugin(step.kind))

    async def _why_other(self, key: StepKey, digest: str) -> str:
        for before in await self._world.store.call(Store.steps_alike, key.loose_key):
            if before.message.output_digest != digest:
                other = before.message.output_digest[:_SHOWN_DIGITS]
                return f"other bytes than before ({other}): {why_other_bytes(before.tools, key.tools)}"
        return ""

    async def _register(self, digest: str, step_count: int, lineage: control_pb2.Lineage) -> control_pb2.Artifact:
        return await self._world.models.create_artifact(digest, self._name(step_count), lineage)

    def _name(self, step_count: int) -> str:
        return f"{self._parent.name}-{self.recipe.prefix_name(step_count)}"[:MAX_NAME_LENGTH]

    # -- scores -------------------------------------------------------------------------------------------------

    async def _known_scores(self) -> dict[str, control_pb2.StepEvaluation]:
        """Return what the first model and those of finished steps scored before."""
        known = {}
        for digest in (self._parent.digest, *(step.output_digest for step in self.steps)):
            score = await self._world.store.call(Store.find_score, self._score_key(digest))
            if score is not None and self._request.evaluate_steps:
                known[digest] = score
        return known

    async def _keep_score(self, digest: str, score: control_pb2.StepEvaluation) -> None:
        if score.HasField("value"):
            await self._world.store.call(Store.record_score, self._score_key(digest), score)

    def _score_key(self, digest: str) -> str:
        reported = f"{self._task.evaluation_digest}/{self._task.labels_digest}/{_metric(self._task)}"
        return score_key(digest, self._parent.digest, reported)

    # -- data ---------------------------------------------------------------------------------------------------

    def _file(self, digest: str, name: str) -> Path | None:
        if not digest:
            return None
        path = self._work / name
        content = self._world.blobs.read_bytes(digest)
        with disk_errors(self._work):
            path.write_bytes(content)
        return path

    def _scoring(self, task: control_pb2.Task) -> ScoringFiles | None:
        """Return what each step's model is scored by; None without samples."""
        inputs = self._file(task.evaluation_digest, "evaluation.npz")
        if inputs is None:
            return None
        return _files("evaluation", inputs, self._file(task.labels_digest, "truth.npz"), task)

    def _choosing(self, task: control_pb2.Task) -> ScoringFiles | None:
        """Return what steps choose by: the validation samples, or the evaluation samples where there are none."""
        inputs = self._file(task.validation_digest, "validation.npz")
        if inputs is not None:
            return _files("validation", inputs, self._file(task.validation_labels_digest, "validation-truth.npz"), task)
        return self._scoring(task)

    def _learning(self, task: control_pb2.Task) -> LearningFiles:
        """Return what steps that learn are given; nothing is unpacked for others."""
        if not any(isinstance(step, Learns) for step in self.recipe.step_list):
            return LearningFiles()
        forget_old(self._world.checkpoint_directory, now_s=time.time())
        inputs = self._file(task.training_digest, "training.npz")
        truth = self._file(task.training_labels_digest, "training-truth.npz")
        return LearningFiles(
            training=None if inputs is None else _files("training", inputs, truth, task),
            artifacts={name: self._world.blobs.path(digest) for name, digest in self._inputs.artifact_digests.items()},
            checkpoints=self._world.checkpoint_directory,
            training_digest=self._inputs.training_digest,
            choice_digest=self._inputs.choice_digest,
            latency_key=self._inputs.latency_key,
        )

    # -- progress -----------------------------------------------------------------------------------------------

    def _progress(self, message: str, done: int, total: int) -> None:
        """Note progress in the job's log; of work that is told sample by sample, a few times a second are enough."""
        self._heard()
        now_s = time.monotonic()
        if message == self._told[0] and done < total and now_s - self._told[1] < _TELL_EVERY_S:
            return
        self._told = (message, now_s)
        running = control_pb2.JOB_STATE_RUNNING
        work = self._world.store.call(Store.transition, self._job_id, running, message=message, done=done, total=total)
        note = asyncio.ensure_future(work)
        self._notes.add(note)
        note.add_done_callback(self._noted)

    def _noted(self, note: asyncio.Task[object]) -> None:
        """Forget a note; one that could not be kept (the disk is full, say) changes nothing that is made."""
        self._notes.discard(note)
        error = None if note.cancelled() else note.exception()
        if error is not None:
            _LOGGER.info("progress of job %s is not in its log: %s", self._job_id, error)


@contextmanager
def _named(path: Path, name: str) -> Iterator[None]:
    """Let errors of the compression call the model by its name: a blob's path says nothing to anybody."""
    try:
        yield
    except (CompressionError, CompressionInputError) as error:
        told = str(error).replace(str(path), name).replace(path.name, name)
        raise type(error)(error.reason, told) from error


def _choice(task: control_pb2.Task) -> str:
    """Return what steps choose by, in one word for keys."""
    samples = task.validation_digest or task.evaluation_digest
    truth = task.validation_labels_digest if task.validation_digest else task.labels_digest
    return f"{samples}/{truth}/{_metric(task)}" if samples else ""


def _training(task: control_pb2.Task) -> str:
    """Return what steps learn from, in one word for keys."""
    return f"{task.training_digest}/{task.training_labels_digest}/{_metric(task)}" if task.training_digest else ""


def _metric(task: control_pb2.Task) -> str:
    settings = task.metric_settings_json
    plugins = metric_plugins(metric_of(task.metric, settings)) if task.metric else ()
    return "/".join((task.metric, settings, *plugins))


def _files(split: str, inputs: Path, truth: Path | None, task: control_pb2.Task) -> ScoringFiles:
    return ScoringFiles(
        split=split,
        inputs_path=str(inputs),
        truth_path="" if truth is None else str(truth),
        metric=task.metric or "cosine",
        metric_settings_json=task.metric_settings_json,
    )

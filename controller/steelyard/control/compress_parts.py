"""Compress a model in parts: what each part is really fed with becomes its own task, then ordinary jobs do the rest."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from steelyard.compress.contract import ONNX, TFLITE
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.model_kind import ModelKind
from steelyard.compress.parts.chain import Chain, PartModel
from steelyard.compress.parts.part_tasks import CallLimits, make_part_tasks
from steelyard.compress.parts.parts_file import PartsFile, load_parts
from steelyard.compress.parts.result import CompressedPart, CompressedParts
from steelyard.compress.parts.scores import score_variants
from steelyard.errors import UsageError
from steelyard.spelling import meant
from steelyard.tasks.load import load_task
from steelyard_protocol.v1 import common_pb2, control_pb2

if TYPE_CHECKING:
    from steelyard.compress.contract import Progress
    from steelyard.compress.parts.part_tasks import PartTask
    from steelyard.control.client import Client
    from steelyard.control.job_handle import JobHandle

# "encoder=static-int8": the part's name ends at the first "=".
_NAMED = re.compile(r"([\w-]+)=(.+)")


def recipes_by_part(file: PartsFile, recipes: Sequence[str]) -> dict[str, str]:
    """Return each part's recipe: of "PART=RECIPE", or of "RECIPE", which is for every part that has none of its own.

    Raises:
        UsageError: a name that no part has, or two recipes for one part.
    """
    names = [part.name for part in file.parts]
    named: dict[str, str] = {}
    common: str | None = None
    for text in recipes:
        match = _NAMED.fullmatch(text)
        if match is None:
            if common is not None:
                raise UsageError("two_recipes", f"{common!r} and {text!r} are both for every part; give PART=RECIPE")
            common = text
            continue
        name, recipe = match.groups()
        if name not in names:
            raise UsageError("unknown_part", f"{text!r} is for no part; {meant(name, names)}")
        if name in named:
            raise UsageError(
                "two_recipes", f"the part {name!r} has the recipes {named[name]!r} and {recipe!r}; keep one"
            )
        named[name] = recipe
    return {name: named.get(name, common) or "" for name in names if named.get(name, common)}


def compress_parts(
    client: Client,
    parts_path: Path,
    recipes: Sequence[str],
    *,
    task_path: Path,
    device: str = "",
    tasks_dir: Path | None = None,
    limits: CallLimits | None = None,
    follow: Callable[[JobHandle, str], object] | None = None,
    progress: Progress | None = None,
) -> CompressedParts:
    """Compress the parts that ``parts_path`` names, and score the whole with them.

    The parts run here, on the machine of the caller; devices measure one part at a time, by the task made for it.

    Args:
        client: of the controller that compresses.
        parts_path: a parts file (docs/parts.md).
        recipes: "PART=RECIPE" each, or one "RECIPE" for every part that has none of its own.
        task_path: a task of the whole, with a calibration split.
        device: the device that the variants are for; "" for none.
        tasks_dir: where the tasks of the parts are kept, "PART.toml" each, for measuring; None: nowhere.
        limits: how many calls of each part are kept; its seed is that of the recipes, too.
        follow: waits for a job, told its title; None: quietly.
        progress: told how many samples the parts have run on.

    Raises:
        SteelyardError: a file that makes no sense, parts that cannot be run or compressed, a whole without a score.
    """
    file = load_parts(parts_path)
    wanted = recipes_by_part(file, recipes)
    task = load_task(task_path)
    if task.fixed or task.is_whole:
        raise CompressionInputError(
            "invalid_parts",
            f"{task_path} has [fixed] or whole inferences; give fixed values in {parts_path.name} instead",
        )
    limits, progress = limits or CallLimits(), progress or (lambda message, done, total: None)
    with tempfile.TemporaryDirectory(prefix="steelyard-parts-") as work:
        folder = Path(work)
        originals = {part.name: client.add_model(part.file, name=f"{file.name}-{part.name}") for part in file.parts}
        models = {name: _fetched(client, one, one, folder) for name, one in originals.items()}
        made, answers = make_part_tasks(
            Chain(file, models),
            file,
            task,
            folder / "calls",
            out_dir=tasks_dir or folder / "tasks",
            limits=limits,
            progress=progress,
        )
        jobs = _PartJobs(client=client, seed=limits.seed, device=device, follow=follow)
        parts = [jobs.compressed(name, recipe, originals[name], made[name]) for name, recipe in wanted.items()]
        variants = {one.name: _fetched(client, one.variant, one.original, folder) for one in parts}
        scores = score_variants(file, task, models, variants, answers, progress=progress)
    return CompressedParts(name=file.name, parts=tuple(parts), scores=scores)


@dataclass(frozen=True, slots=True, kw_only=True)
class _PartJobs:
    """What the jobs of all parts have in common."""

    client: Client
    seed: int
    device: str
    follow: Callable[[JobHandle, str], object] | None

    def compressed(self, name: str, recipe: str, original: control_pb2.Artifact, calls: PartTask) -> CompressedPart:
        """Compress one part with its own task, and wait for it."""
        task = self.client.add_task(calls.path, original)
        handle = self.client.compress(original, recipe, task=task, seed=self.seed, device=self.device)
        if self.follow is None:
            handle.wait()
        else:
            self.follow(handle, f"{name} {recipe}")
        return CompressedPart(name=name, original=original, task=task, variant=handle.variant(), calls=calls)


def _fetched(client: Client, artifact: control_pb2.Artifact, original: control_pb2.Artifact, folder: Path) -> PartModel:
    """Return a model in a file of its own; what its inputs take is as the original has it."""
    kind = ModelKind(name=TFLITE if artifact.format == common_pb2.ARTIFACT_FORMAT_TFLITE else ONNX)
    path = folder / f"{artifact.digest}{kind.suffix}"
    path.write_bytes(client.download(artifact.digest))
    return PartModel(path=path, format=kind.name, signature=original.signature)

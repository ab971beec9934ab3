"""Run a recipe on a model: step by step in a work folder, the result checked, then renamed into place.

Libraries called here may print to standard output and use all memory: programs call ``compress_in_process``.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Collection
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from steelyard.artifacts import read_artifact
from steelyard.compress.calibration import CalibrationData, read_calibration
from steelyard.compress.contract import Progress, StepContext, StepReport
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.finishing import final_bytes
from steelyard.compress.recipe import Recipe
from steelyard.compress.result import CompressionResult
from steelyard.compress.tools import disk_errors
from steelyard_protocol.v1 import common_pb2, control_pb2

WORK_PREFIX = ".compress-"


def compress(
    model_path: Path,
    recipe: Recipe,
    *,
    calibration: bytes | None,
    seed: int,
    processor_features: Collection[str],
    out_dir: Path,
    progress: Progress | None = None,
    work_dir: Path | None = None,
) -> CompressionResult:
    """Make the variant ``out_dir/DIGEST.onnx`` of a model; the model is never touched, nothing half-written is left.

    Args:
        model_path: an ONNX model.
        recipe: what to do.
        calibration: packed samples (``steelyard.tasks.packing``), for recipes that need them.
        seed: for the inputs drawn to check a variant made without calibration data; recorded.
        processor_features: of the device that the variant is for; empty when unknown.
        out_dir: where the variant goes; made when missing.
        progress: told what is being done, work done and work in all.
        work_dir: for intermediate files, on the disk of ``out_dir``; the caller removes it. None: one of our own.

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
            )
            return _Job(model_path, recipe, context).run(out_dir)


def _read_calibration(recipe: Recipe, content: bytes | None) -> CalibrationData | None:
    if content is None and recipe.needs_calibration:
        raise CompressionInputError(
            "no_calibration_data",
            f"recipe {recipe.name!r} needs calibration data; give a task with a calibration split",
        )
    return None if content is None else read_calibration(content)


class _Job:
    """One run of a recipe."""

    def __init__(self, model_path: Path, recipe: Recipe, context: StepContext) -> None:
        self._created_at = Timestamp()
        self._created_at.GetCurrentTime()
        self._start_s = time.monotonic()
        self._recipe = recipe
        self._context = context
        self._parent = read_artifact(model_path, work_dir=context.work_dir)

    def run(self, out_dir: Path) -> CompressionResult:
        session = self._checked_parent()
        reports: list[StepReport] = []
        current = self._parent.bytes_path
        for number, step in enumerate(self._recipe.steps, start=1):
            following = self._context.work_dir / f"step-{number}.onnx"
            reports.append(step.apply(current, following, self._context))
            current = following
        return self._keep(current, reports, session, out_dir)

    def _checked_parent(self) -> Any:
        """Refuse a model that the first step cannot start from, and return a session of it."""
        from steelyard.artifact_formats.onnx_file import parse_onnx
        from steelyard.compress.model_form import numeric_form, refuse_nan_weights
        from steelyard.compress.sessions import check_calibration, first_feed, open_session, run_bounded

        path = self._parent.bytes_path
        if self._parent.format != common_pb2.ARTIFACT_FORMAT_ONNX:
            raise CompressionInputError(
                "unsupported_format", f"{path} is a TFLite model, and recipes work on ONNX; give the ONNX export of it"
            )
        model = parse_onnx(path, path.read_bytes())
        form, step = numeric_form(model), self._recipe.steps[0]
        if form not in step.accepts:
            raise CompressionInputError(
                "already_compressed",
                f"{path} is already {form}, and {step.kind} starts from {' or '.join(sorted(step.accepts))}; give the "
                "model that it was made from",
            )
        refuse_nan_weights(path, model)
        session = open_session(path)
        if self._context.calibration is not None:
            check_calibration(session, self._context.calibration)
        # Quantizers run the model for calibration with no limit of their own: one that never returns stops here.
        feed = first_feed(session, calibration=self._context.calibration, seed=self._context.seed)
        if not isinstance(feed, str):
            self._context.progress("checking the model", 0, 1)
            run_bounded(session, feed)
        return session

    def _keep(self, made: Path, reports: list[StepReport], parent_session: Any, out_dir: Path) -> CompressionResult:
        from steelyard.compress.verification import verify_variant

        content = final_bytes(made)
        digest = hashlib.sha256(content).hexdigest()
        finished = self._context.work_dir / f"{digest}.onnx"
        finished.write_bytes(content)
        self._context.progress("checking the variant", 0, 1)
        notes = verify_variant(finished, parent_session, calibration=self._context.calibration, seed=self._context.seed)
        target = out_dir / finished.name
        finished.replace(target)
        self._context.progress("checking the variant", 1, 1)
        return CompressionResult(
            path=target,
            digest=digest,
            size_bytes=len(content),
            lineage=self._lineage(reports),
            notes=self._parent.notes + tuple(note for report in reports for note in report.notes) + notes,
        )

    def _lineage(self, reports: list[StepReport]) -> control_pb2.Lineage:
        data = self._context.calibration if self._recipe.needs_calibration else None
        return control_pb2.Lineage(
            parent_digest=self._parent.digest,
            recipe_name=self._recipe.name,
            recipe_toml=self._recipe.to_toml(),
            steps=[
                control_pb2.LineageStep(
                    kind=step.kind,
                    settings_json=json.dumps(dict(report.settings), sort_keys=True),
                    tool_versions=report.tool_versions,
                )
                for step, report in zip(self._recipe.steps, reports, strict=True)
            ],
            calibration_digest=data.digest if data else "",
            calibration_sample_count=data.sample_count if data else 0,
            seed=self._context.seed,
            created_at=self._created_at,
            duration_s=time.monotonic() - self._start_s,
        )

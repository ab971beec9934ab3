"""Make each quantizer's file of a model: the same calibration samples for all, each run in a fresh process."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.compression.compress_process import QuantizerError, Taken, run_quantizer
from benchmarks.compression.kernels import kernels_of
from benchmarks.compression.peers import ONNX, Quantizer, python_of
from steelyard.artifacts import read_artifact
from steelyard.compress.calibration import open_calibration, read_calibration
from steelyard.compress.evaluation import EvaluationSet, HostEvaluator
from steelyard.compress.folding import opset_of
from steelyard.compress.model_form import op_counts
from steelyard.compress.model_kind import ModelKind
from steelyard.tasks.checks import check_fits
from steelyard.tasks.load import load_task
from steelyard.tasks.materialise import materialise
from steelyard.tasks.metrics.contract import Metric

PER_CHANNEL_OPSET = 13


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A model with its samples in files: ``packed`` as our compressor reads them, ``samples`` as the peers do.

    ``peer_model_path`` is the model in opset 13 at least: below it there are no scales a channel, our recipes convert
    such models themselves, and the documentation of most peers asks for it. ``is_transformer``: it attends more than
    once, which NNCF wants to be told. ``input_shapes`` are those of one sample, of inputs with open sizes.
    """

    model_path: Path
    peer_model_path: Path
    model_format: str
    packed: Path
    samples: Path
    is_transformer: bool
    input_shapes: Mapping[str, tuple[int, ...]]
    calibration_count: int
    metric: Metric
    evaluator: HostEvaluator


def prepare(model_path: Path, task_path: Path, work: Path) -> Prepared:
    """Write a task's calibration samples for everybody, and return them with who scores by its evaluation samples.

    Raises:
        SteelyardError: the model or the task cannot be read, or they do not fit.
        QuantizerError: the task has no calibration samples.
    """
    work.mkdir(parents=True, exist_ok=True)
    artifact = read_artifact(model_path, work_dir=work)
    kind = ModelKind.of(artifact)
    task = load_task(task_path)
    made = materialise(task, check_fits(task, artifact.signature))
    if made.calibration is None:
        raise QuantizerError(f"{task_path.name} has no calibration samples")
    packed = work / "calibration.npz"
    packed.write_bytes(made.calibration.inputs)
    chosen = EvaluationSet(
        split="evaluation",
        metric=task.metric,
        data=read_calibration(made.evaluation.inputs),
        truth=task.evaluation.truth,
    )
    return Prepared(
        model_path=artifact.bytes_path,
        peer_model_path=_converted(artifact.bytes_path, work) if kind.name == ONNX else artifact.bytes_path,
        model_format=kind.name,
        is_transformer=kind.name == ONNX and _softmax_count(artifact.bytes_path) > 1,
        packed=packed,
        samples=_write_samples(packed, work / "samples"),
        input_shapes={
            spec.name: (1, *open_calibration(packed).inputs[spec.name].values.shape[1:])
            for spec in artifact.signature.inputs
            if any(not size.HasField("size") for size in spec.dimensions[1:])
        },
        calibration_count=made.calibration.sample_count,
        metric=task.metric,
        evaluator=HostEvaluator(
            chosen, parent_path=artifact.bytes_path, model_format=kind.name, progress=lambda what, done, total: None
        ),
    )


def _softmax_count(model_path: Path) -> int:
    import onnx

    return op_counts(onnx.load_model(model_path))["Softmax"]


def _converted(model_path: Path, work: Path) -> Path:
    """Return the model in opset 13 where it is in an older one, as it is where onnx cannot convert it."""
    import onnx
    from onnx import version_converter

    model = onnx.load_model(model_path)
    if opset_of(model) >= PER_CHANNEL_OPSET:
        return model_path
    out = work / model_path.name
    try:
        onnx.save_model(version_converter.convert_version(model, PER_CHANNEL_OPSET), out)
    except RuntimeError:
        return model_path
    return out


def _write_samples(packed: Path, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    data = open_calibration(packed)
    arrays = data.feed(0, data.sample_count)
    (folder / "inputs.json").write_text(json.dumps(list(arrays)))
    for index, array in enumerate(arrays.values()):
        np.save(folder / f"{index}.npy", array)
    return folder


def make_all(
    quantizers: Sequence[Quantizer], prepared: Prepared, folder: Path, work: Path
) -> dict[str, dict[str, Any]]:
    """Let every quantizer make its file where ``file_of`` says, and return what it is, or why there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    return {one.name: _made(one, prepared, folder, work) for one in quantizers}


def launch_in_turn(
    quantizers: Sequence[Quantizer], prepared: Prepared, work: Path, *, launch_count: int
) -> dict[str, dict[str, list[float]]]:
    """Return the seconds and the peaks of memory of ``launch_count`` launches of each quantizer, in turn.

    Raises:
        QuantizerError: one fails that made a file before.
    """
    found: dict[str, dict[str, list[float]]] = {one.name: {"seconds": [], "peak_rss_bytes": []} for one in quantizers}
    for _ in range(launch_count):
        for quantizer in quantizers:
            taken = _launch(quantizer, prepared, work, work)
            found[quantizer.name]["seconds"].append(round(taken.seconds, 3))
            found[quantizer.name]["peak_rss_bytes"].append(taken.peak_rss_bytes)
    return found


def file_of(name: str, prepared: Prepared, folder: Path) -> Path:
    """Return where a quantizer's file is kept."""
    return folder / f"{name.replace(' ', '_')}{prepared.model_path.suffix}"


def _made(quantizer: Quantizer, prepared: Prepared, folder: Path, work: Path) -> dict[str, Any]:
    out = file_of(quantizer.name, prepared, folder)
    try:
        _launch(quantizer, prepared, folder, work)
        kernels = kernels_of(out) if prepared.model_format == ONNX else None
    except QuantizerError as error:
        return {"failed": str(error)}
    return {
        "file_bytes": out.stat().st_size,
        "kernels": None if kernels is None else [kernels.integer, kernels.in_float, kernels.conversions],
    }


def _launch(quantizer: Quantizer, prepared: Prepared, folder: Path, work: Path) -> Taken:
    request = {
        "model": str(prepared.model_path if quantizer.is_ours else prepared.peer_model_path),
        "samples": str(prepared.samples),
        "packed": str(prepared.packed),
        "out": str(file_of(quantizer.name, prepared, folder)),
        "settings": dict(quantizer.settings),
        "is_transformer": prepared.is_transformer,
    }
    return run_quantizer(python_of(quantizer), quantizer.program, request, work=work)

"""Export a trained network to one ONNX file that says where it came from, and prove that it computes the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import torch
from torch import nn

OPSET_VERSION = 20
PARITY_TOLERANCE = 1e-5
PARITY_BATCH_SIZES = (1, 64)

Float32Array = npt.NDArray[np.float32]


def export_onnx(model: nn.Module, path: Path) -> None:
    """Write `model` to `path`: input `image` float32 [batch,1,28,28], output `logits` [batch,10], weights inside."""
    nn.utils.convert_conv2d_weight_memory_format(model, torch.contiguous_format)
    program = torch.onnx.export(
        model.eval(),
        (torch.zeros(2, 1, 28, 28),),
        input_names=["image"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        opset_version=OPSET_VERSION,
        dynamo=True,
        verbose=False,
    )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program; is this torch >= 2.9?")
    exported = program.model_proto
    _strip_exporter_notes(exported.graph)
    exported.graph.name = path.stem
    onnx.checker.check_model(exported, full_check=True)
    left_over = {node.op_type for node in exported.graph.node} & {"BatchNormalization", "Identity", "Dropout"}
    if left_over:
        raise RuntimeError(f"{path.name} still holds {sorted(left_over)}; export the network in eval mode.")
    onnx.save(exported, path)


def set_metadata(path: Path, metadata: Mapping[str, str]) -> None:
    """Write `metadata` into the file's `metadata_props`, in place of what was there."""
    exported = onnx.load(path)
    onnx.helper.set_model_props(exported, dict(metadata))
    onnx.save(exported, path)


def onnx_logits(path: Path, images: Float32Array, *, batch_size: int) -> Float32Array:
    """Run the file on `images`, float32 [N,1,28,28], in batches on one thread; return the logits [N,10]."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    batches = [
        np.asarray(session.run(["logits"], {"image": images[start : start + batch_size]})[0])
        for start in range(0, len(images), batch_size)
    ]
    return np.concatenate(batches)


def check_parity(model: nn.Module, path: Path, images: Float32Array) -> float:
    """Return the largest difference between the file's and the network's logits over the batch sizes.

    Raises:
        ValueError: the difference is above `PARITY_TOLERANCE`.
    """
    with torch.no_grad():
        expected = model.eval()(torch.from_numpy(images)).numpy()
    difference = max(
        float(np.abs(onnx_logits(path, images, batch_size=size) - expected).max()) for size in PARITY_BATCH_SIZES
    )
    if difference > PARITY_TOLERANCE:
        raise ValueError(f"{path.name} differs from torch by {difference:.2e}, allowed is {PARITY_TOLERANCE:.0e}.")
    return difference


def _strip_exporter_notes(graph: onnx.GraphProto) -> None:
    """Drop the exporter's per-node notes: they hold stack traces with folder names of the training machine."""
    entries = (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer, graph)
    for entry in entries:
        entry.ClearField("metadata_props")
        entry.ClearField("doc_string")

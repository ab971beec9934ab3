"""Small ONNX files to lift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOATS, WHOLES = TensorProto.FLOAT, TensorProto.INT64


def node(kind: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    """A node; names are separated by spaces, and "-" is one that is left out."""
    names = [["" if name == "-" else name for name in text.split()] for text in (inputs, outputs)]
    return helper.make_node(kind, *names, name=f"/{names[1][0]}/{kind}", **attributes)


def write(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[Any]],
    outputs: Mapping[str, Sequence[Any]],
    stored: Mapping[str, Any] | None = None,
    *,
    opset: int = 17,
    whole: Sequence[str] = (),
) -> Path:
    """Write a model; inputs named in ``whole`` are int64, everything else is float32."""

    def told(names: Mapping[str, Sequence[Any]]) -> list[onnx.ValueInfoProto]:
        return [
            helper.make_tensor_value_info(name, WHOLES if name in whole else FLOATS, shape)
            for name, shape in names.items()
        ]

    arrays = [numpy_helper.from_array(np.asarray(values), name) for name, values in (stored or {}).items()]
    graph = helper.make_graph(list(nodes), "small", told(inputs), told(outputs), arrays)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save_model(model, path)
    return path


def drawn(*shape: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Seeded float32 values."""
    return np.random.default_rng(seed + len(shape) + sum(shape)).standard_normal(shape).astype(np.float32)

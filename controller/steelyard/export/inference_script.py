"""The script of an export: about ten lines that load the model, give it an input and show its outputs."""

from __future__ import annotations

from collections.abc import Mapping

from steelyard.export.signature import model_file_name
from steelyard_protocol.v1 import common_pb2, control_pb2

_ONNX = '''\
"""Run the model once: python infer.py [INPUTS.npz], an array an input by name. Needs: pip install onnxruntime."""

import sys
from pathlib import Path

import numpy as np
import onnxruntime

rng = np.random.default_rng(0)
session = onnxruntime.InferenceSession({file}, providers=["CPUExecutionProvider"])
given = np.load(sys.argv[1]) if len(sys.argv) > 1 else None
inputs = {{one.name: given[one.name] for one in session.get_inputs()}} if given else {{
{inputs}
}}
for output, value in zip(session.get_outputs(), session.run(None, inputs)):
    print(output.name, value.dtype, value.shape, value.ravel()[:10])
'''
_TFLITE = '''\
"""Run the model once: python infer.py [INPUTS.npz], an array an input by name. Needs: pip install ai-edge-litert."""

import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

rng = np.random.default_rng(0)
interpreter = Interpreter(model_path=str({file}))
given = np.load(sys.argv[1]) if len(sys.argv) > 1 else None
inputs = {{one["name"]: given[one["name"]] for one in interpreter.get_input_details()}} if given else {{
{inputs}
}}
for detail in interpreter.get_input_details():
    interpreter.resize_tensor_input(detail["index"], inputs[detail["name"]].shape)
interpreter.allocate_tensors()
for detail in interpreter.get_input_details():
    interpreter.set_tensor(detail["index"], inputs[detail["name"]])
interpreter.invoke()
for detail in interpreter.get_output_details():
    value = interpreter.get_tensor(detail["index"])
    print(detail["name"], value.dtype, value.shape, value.ravel()[:10])
'''


def inference_script(artifact: control_pb2.Artifact, *, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Return the script.

    Args:
        artifact: whose signature the inputs are drawn by.
        shapes: sizes for dynamic inputs, by input name; a dynamic dimension without one is drawn as 1.
    """
    template = _TFLITE if artifact.format == common_pb2.ARTIFACT_FORMAT_TFLITE else _ONNX
    # Names come out of model files: repr keeps whatever they hold inside a string of the script.
    lines = [f"    {spec.name!r}: {_draw(spec, shapes)}," for spec in artifact.signature.inputs]
    if artifact.format == common_pb2.ARTIFACT_FORMAT_ONNX:
        file = f'str(Path(__file__).with_name("{model_file_name(artifact)}"))'
    else:
        file = f'Path(__file__).with_name("{model_file_name(artifact)}")'
    return template.format(file=file, inputs="\n".join(lines))


def _draw(spec: common_pb2.TensorSpec, shapes: Mapping[str, tuple[int, ...]]) -> str:
    declared = tuple(one.size if one.WhichOneof("kind") == "size" else 1 for one in spec.dimensions)
    shape = shapes.get(spec.name, declared)
    if spec.dtype == "bool":
        return f"rng.integers(0, 2, {shape}).astype(bool)"
    if spec.dtype.startswith(("int", "uint")) and spec.dtype.removeprefix("u").removeprefix("int").isdigit():
        # Indices and masks are what whole numbers mostly are: 0 and 1 are valid in nearly every model.
        return f"rng.integers(0, 2, {shape}).astype(np.{spec.dtype})"
    if spec.dtype in {"float16", "float32", "float64"}:
        return f"rng.standard_normal({shape}).astype(np.{spec.dtype})"
    return f"np.zeros({shape}, dtype={spec.dtype!r})"

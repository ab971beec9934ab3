"""Write a module as ONNX through torch's exporter, and hold the file against the module."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.errors import first_line
from steelyard.train.errors import ExportError
from steelyard.train.export.example import BATCHES, Interface, example_feed, interface_of
from steelyard.train.export.graph_names import put_in, stand_ins
from steelyard.train.export.program import trace
from steelyard.train.export.quiet import quiet_exporters
from steelyard.train.extras import need
from steelyard.train.parity import file_outputs, largest_difference, module_outputs

if TYPE_CHECKING:
    from onnx import ModelProto

    from steelyard.train.lift.lifted import LiftedModel

# torch's own default (2.13); asked for an older one it silently writes 18.
OPSET = 20
# As a share of the largest output; kernels add up in other orders.
TOLERANCE = 1e-4
# float16 has 11 bits, and torch and onnxruntime round to them in other places.
HALF_TOLERANCE = 1e-2


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedOnnx:
    """A written file: the largest relative difference to the module over several batches, and the opset."""

    path: Path
    difference: float
    opset: int


def export_lifted(lifted: LiftedModel, path: Path, *, opset: int = OPSET, folded: bool = True) -> ExportedOnnx:
    """Write a lifted (and then trained or pruned) model as ``export_onnx`` does."""
    return export_onnx(lifted.module, interface_of(lifted), path, opset=opset, folded=folded)


def export_onnx(
    module: Any, interface: Interface, path: Path, *, opset: int = OPSET, folded: bool = True
) -> ExportedOnnx:
    """Write a module in evaluation mode as one ONNX file with its names and open axes, and check its numbers.

    With ``folded`` the graph is what quantization begins with (BatchNorm folded, constants folded, every node named).

    Raises:
        ExportError: not_traceable, axis_fixed, unknown_torch_op, outputs_differ.
        ExtraMissingError: the exporter's packages are not installed.
    """
    need("onnxscript", what="writing ONNX")
    program = trace(module.eval(), interface)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made.onnx"
        convert(program, interface, made, opset=opset)
        if folded:
            _fold(made)
        difference = check_file(made, module, interface)
        path.write_bytes(made.read_bytes())
    return ExportedOnnx(path=path, difference=difference, opset=opset)


def convert(program: Any, interface: Interface, path: Path, *, opset: int = OPSET) -> None:
    """Write an ExportedProgram as ONNX, with the names and open axes of the interface.

    Raises:
        ExportError: unknown_torch_op, naming the operator and the line that calls it.
    """
    import onnx
    import torch

    inputs = stand_ins(interface.input_names, "input")
    outputs = stand_ins(interface.output_names, "output")
    with _conversion_errors(program), quiet_exporters():
        made = torch.onnx.export(
            program,
            (),
            dynamo=True,
            opset_version=opset,
            input_names=inputs,
            output_names=outputs,
            external_data=False,
            verbose=False,
        )
        made.save(str(path))
    model = onnx.load_model(path)
    named = (*interface.input_names, *interface.output_names)
    put_in(model.graph, dict(zip((*inputs, *outputs), named, strict=True)))
    _name_axes(model, interface)
    _strip(model)
    onnx.save_model(model, path)


def check_file(path: Path, module: Any, interface: Interface) -> float:
    """Return the largest relative difference between a file and its module, over several batches.

    Raises:
        ExportError: outputs_differ.
    """
    worst, allowed = 0.0, TOLERANCE
    for batch in BATCHES if interface.open_batch else (None,):
        feed = example_feed(interface, batch=batch)
        expected = module_outputs(module, feed, inputs=interface.input_names, outputs=interface.output_names)
        worst = max(worst, largest_difference(file_outputs(path, feed), expected))
        if any(one.dtype == "float16" for one in expected.values()):
            allowed = HALF_TOLERANCE
    if worst > allowed:
        raise ExportError(
            "outputs_differ",
            f"the exported file gives other outputs than the module, by {worst:.1e} of the largest where "
            f"{allowed:.0e} is allowed; report it with this model",
        )
    return worst


@contextmanager
def _conversion_errors(program: Any) -> Iterator[None]:
    from torch.onnx import OnnxExporterError

    try:
        yield
    # Its passes over the graph raise RuntimeErrors of their own.
    except (OnnxExporterError, RuntimeError) as error:
        told = _root_cause(error)
        found = re.search(r"OpOverload\(op='([\w.]+)'(?:, overload='(\w+)')?", told)
        if found is None:
            raise ExportError(
                "not_convertible", f"the module cannot be written as ONNX ({first_line(error)}: {told[:200]})"
            ) from error
        name, place = _called_at(program, found.group(1))
        raise ExportError(
            "unknown_torch_op", f"ONNX has no form of the operator {name}, called at {place}; write it with others"
        ) from error


def _root_cause(error: BaseException) -> str:
    texts = [str(error)]
    cause = error.__cause__ or error.__context__
    while cause is not None:
        texts.append(str(cause))
        cause = cause.__cause__ or cause.__context__
    return " ".join(text for text in texts if text)


def _called_at(program: Any, name: str) -> tuple[str, str]:
    """Return the operator as the program calls it, and "file.py:12: the code" of its first call.

    ``name`` may be what torch makes of it on the way (aten.special_bessel_j0 becomes prims.bessel_j0).
    """
    last = name.rpartition(".")[2]
    for node in program.graph.nodes:
        if node.op == "call_function" and last in str(node.target):
            lines = str(node.meta.get("stack_trace", "")).strip().splitlines()
            places = re.findall(r'File "([^"]+)", line (\d+)', "\n".join(lines))
            if places:
                file, line = places[-1]
                return str(node.target), f"{file}:{line}: {lines[-1].strip()}"
    return name, "a line that torch does not tell"


def _fold(path: Path) -> None:
    from steelyard.compress.folding import fold

    folded = path.with_name("folded.onnx")
    fold(path, folded)
    folded.replace(path)


def _name_axes(model: ModelProto, interface: Interface) -> None:
    """Give open axes the names of the interface; torch numbers them (s40, and s40*2 where one follows another)."""
    names: dict[str, str] = {}
    by_name = {value.name: value for value in model.graph.input}
    for one, axes in zip(interface.inputs, interface.open_axes(), strict=True):
        value = by_name.get(one.name)
        for axis, name in axes.items():
            dimension = value.type.tensor_type.shape.dim[axis] if value is not None else None
            if dimension is not None and dimension.dim_param and name:
                names[dimension.dim_param] = name
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param:
                dimension.dim_param = _renamed(dimension.dim_param, names)


def _renamed(text: str, names: Mapping[str, str]) -> str:
    return re.sub(r"[A-Za-z_]\w*", lambda found: names.get(found.group(), found.group()), text)


def _strip(model: ModelProto) -> None:
    """Take out what torch notes of each node: paths and lines of this machine's Python files."""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.ClearField("doc_string")
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        del value.metadata_props[:]
    for tensor in model.graph.initializer:
        del tensor.metadata_props[:]
    del model.graph.metadata_props[:]

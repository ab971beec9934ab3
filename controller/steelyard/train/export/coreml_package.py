"""Write a module as Core ML through coremltools, which converts on Linux and runs what it made on macOS only."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.errors import first_line
from steelyard.train.errors import ExportError
from steelyard.train.export.example import Interface, example_feed
from steelyard.train.export.program import trace
from steelyard.train.export.quiet import quiet_exporters
from steelyard.train.extras import need
from steelyard.train.parity import largest_difference, module_outputs

# As a share of the largest output, in float32.
TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedCoreml:
    """A written package. ``difference`` is None where it could not be run, and ``reason`` says why."""

    path: Path
    difference: float | None
    reason: str = ""


def export_coreml(module: Any, interface: Interface, path: Path) -> ExportedCoreml:
    """Write a module in evaluation mode as an ``.mlpackage`` in float32, checked where Core ML is (macOS).

    Raises:
        ExportError: not_traceable, not_convertible, outputs_differ.
        ExtraMissingError: coremltools is not installed.
    """
    with quiet_exporters():
        need("coremltools", what="writing Core ML")
    module = module.eval()
    fixed = Interface(inputs=interface.inputs, output_names=interface.output_names, open_batch=False)
    model = _converted(trace(module, fixed), fixed)
    model.save(str(path))
    if sys.platform != "darwin":
        return ExportedCoreml(
            path=path, difference=None, reason=f"Core ML runs on macOS only, and this is {sys.platform}"
        )
    feed = example_feed(fixed)
    expected = module_outputs(module, feed, inputs=fixed.input_names, outputs=fixed.output_names)
    difference = largest_difference(model.predict(feed), expected)
    if difference > TOLERANCE:
        raise ExportError(
            "outputs_differ",
            f"the Core ML package gives other outputs than the module, by {difference:.1e} of the largest where "
            f"{TOLERANCE:.0e} is allowed; report it with this model",
        )
    return ExportedCoreml(path=path, difference=difference)


def _converted(program: Any, interface: Interface) -> Any:
    import coremltools

    try:
        with quiet_exporters():
            return coremltools.convert(
                program.run_decompositions({}),
                outputs=[coremltools.TensorType(name=name) for name in interface.output_names],
                compute_precision=coremltools.precision.FLOAT32,
                minimum_deployment_target=coremltools.target.iOS16,
            )
    except Exception as error:
        raise ExportError(
            "not_convertible",
            f"coremltools cannot write this module as Core ML ({type(error).__name__}: {first_line(error)}); write "
            "ONNX instead, or take out the operator that it names",
        ) from error

"""Write a module as TFLite through litert-torch: channels last at its inputs, and held against the module."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.errors import first_line
from steelyard.train.errors import ExportError
from steelyard.train.export.example import Interface, as_arguments, example_feed
from steelyard.train.export.quiet import quiet_exporters
from steelyard.train.extras import need
from steelyard.train.parity import module_outputs, relative_difference

# As a share of the largest output.
TOLERANCE = 1e-4
_IMAGE_RANK = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedTflite:
    """A written file. ``channels_last`` names the inputs that the file takes as [N,H,W,C]."""

    path: Path
    difference: float
    channels_last: tuple[str, ...]


def export_tflite(
    module: Any, interface: Interface, path: Path, *, batch: int = 1, turn: bool = True
) -> ExportedTflite:
    """Write a module in evaluation mode as float TFLite with a fixed batch, and check its numbers.

    Inputs and outputs of four axes are [N,C,H,W] in the module and [N,H,W,C] in the file, as TFLite's kernels want
    them (litert-torch, ``to_channel_last_io``). Without ``turn`` they stay as they are: for modules that take channels
    last themselves.

    Raises:
        ExportError: not_convertible, outputs_differ.
        ExtraMissingError: litert-torch is not installed.
    """
    with quiet_exporters():
        need("litert_torch", what="writing TFLite")
    module = module.eval()
    feed = example_feed(interface, batch=batch)
    expected = module_outputs(module, feed, inputs=interface.input_names, outputs=interface.output_names)
    images = [at for at, name in enumerate(interface.input_names) if turn and feed[name].ndim == _IMAGE_RANK]
    made_images = [at for at, name in enumerate(interface.output_names) if turn and expected[name].ndim == _IMAGE_RANK]
    converted = _converted(module, interface, feed, images, made_images)
    arguments = [_last(feed[name]) if at in images else feed[name] for at, name in enumerate(interface.input_names)]
    wanted = [
        _last(expected[name]) if at in made_images else expected[name] for at, name in enumerate(interface.output_names)
    ]
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made.tflite"
        with quiet_exporters():
            converted.export(str(made))
        difference = _difference(made, arguments, wanted)
        if difference > TOLERANCE:
            raise ExportError(
                "outputs_differ",
                f"the TFLite file gives other outputs than the module, by {difference:.1e} of the largest where "
                f"{TOLERANCE:.0e} is allowed; report it with this model",
            )
        path.write_bytes(made.read_bytes())
    return ExportedTflite(
        path=path, difference=difference, channels_last=tuple(interface.input_names[at] for at in images)
    )


def _converted(
    module: Any, interface: Interface, feed: dict[str, NDArray[Any]], images: list[int], made_images: list[int]
) -> Any:
    import litert_torch

    arguments = list(as_arguments(interface, feed))
    wrapped = module
    if images or made_images:
        wrapped = litert_torch.to_channel_last_io(module, args=images or None, outputs=made_images or None)
        for at in images:
            arguments[at] = arguments[at].permute(0, 2, 3, 1).contiguous()
    try:
        with quiet_exporters():
            return litert_torch.convert(wrapped.eval(), tuple(arguments))
    except Exception as error:
        raise ExportError(
            "not_convertible",
            f"litert-torch cannot write this module as TFLite ({type(error).__name__}: {first_line(error)}); "
            "write ONNX instead, or take out the operator that it names",
        ) from error


def _difference(path: Path, arguments: list[NDArray[Any]], wanted: list[NDArray[Any]]) -> float:
    from steelyard.compress.tflite.sessions import open_session

    session = open_session(path)
    # litert-torch names its inputs serving_default_args_0:0 and so on, and the interpreter lists them in any order.
    places = sorted(session.inputs, key=lambda place: _numbers(place.name))
    made = session.run({place.name: np.ascontiguousarray(one) for place, one in zip(places, arguments, strict=True)})
    by_name = sorted(zip(session.outputs, made, strict=True), key=lambda pair: _numbers(pair[0].name))
    return max(relative_difference(given, one) for (_, given), one in zip(by_name, wanted, strict=True))


def _numbers(name: str) -> list[int]:
    """Return the numbers in a name: as text, the tenth would stand before the second."""
    return [int(one) for one in re.findall(r"[0-9]+", name)]


def _last(values: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(values.transpose(0, 2, 3, 1))

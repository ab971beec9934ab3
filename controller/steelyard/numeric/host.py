"""Running a model here for the numeric check: in a process of its own, which ``reference.py`` starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.sessions import open_session, run_bounded
from steelyard.errors import first_line
from steelyard.numeric.drawing import Feed
from steelyard.numeric.errors import NotCheckableError
from steelyard.numeric.feeds import joined, read_feeds
from steelyard.numeric.messages import ReferenceRequest
from steelyard.numeric.outputs import LAYER, OUTPUT
from steelyard.tasks.npz import write_npz
from steelyard_protocol.v1 import common_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    """A model here: how many axes each input has, the first axis where it is fixed, and a call for one inference."""

    runtime: str
    ranks: Mapping[str, int]
    fixed_batch: int | None
    run: Callable[[Feed], dict[str, NDArray[Any]]]


def run_reference(request: ReferenceRequest) -> str:
    """Write the outputs of the request's model to its ``out_path`` and return what ran it ("onnxruntime 1.32.0").

    Raises:
        NotCheckableError: the format has no runtime here, or an output is no number.
        SteelyardError: the model cannot be loaded or run here.
    """
    load = _load_tflite if request.format == common_pb2.ARTIFACT_FORMAT_TFLITE else _load_onnx
    model = load(Path(request.model_path))
    content = Path(request.data_path).read_bytes()
    feeds = read_feeds(content, model.ranks, model.fixed_batch, request.batch_size)
    arrays = _outputs(model, feeds, OUTPUT)
    if request.layers_path:
        # Of the first input alone, as on the device.
        arrays |= _outputs(load(Path(request.layers_path)), feeds[:1], LAYER)
    Path(request.out_path).write_bytes(write_npz(arrays))
    return model.runtime


def _outputs(model: _Loaded, feeds: list[Feed], prefix: str) -> dict[str, NDArray[Any]]:
    parts: dict[str, list[NDArray[Any]]] = {}
    for feed in feeds:
        for name, values in model.run(feed).items():
            if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiub":
                raise NotCheckableError(f"output {name!r} is no array of numbers, which alone can be compared")
            parts.setdefault(prefix + name, []).append(values)
    return {name: joined(each) for name, each in parts.items()}


def _load_onnx(path: Path) -> _Loaded:
    import onnxruntime

    session = open_session(path)
    inputs = session.get_inputs()
    names = [one.name for one in session.get_outputs()]
    fixed = [one.shape[0] for one in inputs if one.shape and isinstance(one.shape[0], int)]
    return _Loaded(
        runtime=f"onnxruntime {onnxruntime.__version__}",
        ranks={one.name: len(one.shape) for one in inputs},
        fixed_batch=max(fixed, default=None),
        run=lambda feed: dict(zip(names, run_bounded(session, feed), strict=True)),
    )


def _load_tflite(path: Path) -> _Loaded:
    try:
        import ai_edge_litert
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise NotCheckableError(
            f"LiteRT is not installed beside the controller ({first_line(error)}); pip install 'steelyard[litert]'"
        ) from error
    try:
        interpreter = Interpreter(model_path=str(path), num_threads=1)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise NotCheckableError(f"LiteRT cannot load the model on the controller: {first_line(error)}") from error
    details = interpreter.get_input_details()

    def run(feed: Feed) -> dict[str, NDArray[Any]]:
        try:
            _resize(interpreter, details, feed)
            for one in details:
                interpreter.set_tensor(one["index"], feed[one["name"]])
            interpreter.invoke()
        except (RuntimeError, ValueError, KeyError) as error:
            raise NotCheckableError(f"LiteRT cannot run the model on the controller: {first_line(error)}") from error
        return {one["name"]: interpreter.get_tensor(one["index"]) for one in interpreter.get_output_details()}

    sizes = [one["shape_signature"].tolist() or one["shape"].tolist() for one in details]
    return _Loaded(
        runtime=f"LiteRT {ai_edge_litert.__version__}",
        ranks={one["name"]: len(size) for one, size in zip(details, sizes, strict=True)},
        fixed_batch=max((size[0] for size in sizes if size and size[0] > 0), default=None),
        run=run,
    )


def _resize(interpreter: Any, details: list[dict[str, Any]], feed: Feed) -> None:
    changed = [one for one in details if tuple(one["shape"]) != feed[one["name"]].shape]
    for one in changed:
        interpreter.resize_tensor_input(one["index"], feed[one["name"]].shape)
        one["shape"] = np.array(feed[one["name"]].shape)
    if changed:
        interpreter.allocate_tensors()

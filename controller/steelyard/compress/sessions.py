"""Sessions of onnxruntime on this machine: to check a model, and to see what it takes and gives."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.calibration import CalibrationData
from steelyard.compress.errors import CompressionError, CompressionInputError
from steelyard.compress.tool_words import tool_words
from steelyard.compress.tools import tool_errors

# Type names of onnxruntime that differ from numpy's.
_DTYPES = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(string)": "object"}
ONLY_ERRORS = 3
# What onnxruntime says when its arena or the C++ library cannot allocate.
_OUT_OF_MEMORY = ("BFCArena::AllocateRaw", "bad_alloc", "Failed to allocate memory")
# A whole inference of one batch; the largest models that fit one ONNX file (2 GiB) take seconds on one core.
RUN_LIMIT_S = 120.0


def open_session(path: Path) -> Any:
    """Return a session with one thread and the default optimizations.

    Raises:
        CompressionInputError: model_not_loadable: onnxruntime cannot run this model.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = ONLY_ERRORS
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        words = tool_words(error)
        told = f"onnxruntime {onnxruntime.__version__} cannot load {path.name} ({words}); "
        if "same node name" in words:
            raise CompressionInputError(
                "model_not_loadable", told + "give each of its nodes a name of its own"
            ) from error
        raise CompressionInputError(
            "model_not_loadable",
            told + "export it in float32, without operators of custom domains, for a version that it knows",
        ) from error


def run_bounded(session: Any, feed: dict[str, NDArray[Any]], *, limit_s: float = RUN_LIMIT_S) -> list[Any]:
    """Return the outputs of one inference; a model that does not return is stopped at its next node.

    Raises:
        CompressionInputError: model_never_returned: after ``limit_s`` seconds; model_out_of_memory.
        CompressionError: tool_failed: onnxruntime could not run it.
    """
    import onnxruntime

    options = onnxruntime.RunOptions()
    timer = threading.Timer(limit_s, setattr, (options, "terminate", True))
    timer.daemon = True
    timer.start()
    try:
        with tool_errors("running the model"):
            return list(session.run(None, feed, options))
    except CompressionError as error:
        if any(sign in str(error) for sign in _OUT_OF_MEMORY):
            raise CompressionInputError(
                "model_out_of_memory",
                "one inference needs more memory than this machine has free; look for a Loop without an end, or "
                "compress a smaller model",
            ) from error
        if not options.terminate:
            raise
        raise CompressionInputError(
            "model_never_returned",
            f"one inference did not end within {limit_s:.0f} s on this machine; look for a Loop without an end, or "
            "compress a smaller model",
        ) from error
    finally:
        timer.cancel()


def dtype_name(onnxruntime_type: str) -> str:
    """Return the numpy dtype name of "tensor(float)" and the like."""
    return _DTYPES.get(onnxruntime_type, onnxruntime_type.removeprefix("tensor(").removesuffix(")"))


def as_taken(session: Any, feed: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return a feed of the parent's inputs as a variant takes it: float16 where a step made its inputs that."""
    halves = {spec.name for spec in session.get_inputs() if dtype_name(spec.type) == "float16"}
    return {name: value.astype(np.float16) if name in halves else value for name, value in feed.items()}


def batch_size(session: Any) -> int:
    """Return the fixed first dimension of the inputs, or 1 where it is dynamic."""
    sizes = [spec.shape[0] for spec in session.get_inputs() if spec.shape and isinstance(spec.shape[0], int)]
    return max([1, *sizes])


def check_calibration(session: Any, data: CalibrationData) -> None:
    """Refuse calibration data that does not fit the model's inputs.

    Raises:
        CompressionInputError: invalid_calibration, naming the input with what it takes and what it was given.
    """
    specs = {spec.name: spec for spec in session.get_inputs()}
    if set(specs) != set(data.inputs):
        raise CompressionInputError(
            "invalid_calibration",
            f"the model has the inputs {', '.join(sorted(specs))} and the calibration data is for "
            f"{', '.join(sorted(data.inputs))}; give data for every input",
        )
    for name, spec in specs.items():
        given = (data.inputs[name].dtype, data.shown_shape(name))
        wanted = dtype_name(spec.type)
        # "N" is the batch: as many samples are fed as the model takes.
        fits = len(given[1]) == len(spec.shape) and all(
            not isinstance(size, int) or have in ("N", size) for size, have in zip(spec.shape, given[1], strict=True)
        )
        if given[0] != wanted or not fits:
            raise CompressionInputError(
                "invalid_calibration",
                f"the model's input {name!r} takes {wanted} {spec.shape} and the calibration data is {given[0]} "
                f"{given[1]}; prepare the data as the model takes it",
            )


def first_feed(session: Any, *, calibration: CalibrationData | None, seed: int) -> dict[str, NDArray[Any]] | str:
    """Return one batch of the calibration data, or a drawn one, or the reason why there is none."""
    if calibration is None:
        return drawn_feed(session, seed)
    return calibration.first_feed(batch_size(session))


def drawn_feed(session: Any, seed: int) -> dict[str, NDArray[Any]] | str:
    """Return one batch drawn by signature, or the reason why none can be drawn."""
    rng = np.random.default_rng(seed)
    feed: dict[str, NDArray[Any]] = {}
    for spec in session.get_inputs():
        open_sizes = [size for size in spec.shape[1:] if not isinstance(size, int)]
        dtype = dtype_name(spec.type)
        if open_sizes or dtype == "object":
            return f"the input {spec.name!r} has the shape {spec.shape} of {dtype}, which cannot be drawn"
        shape = [size if isinstance(size, int) else 1 for size in spec.shape]
        drawn = rng.standard_normal(shape) if np.dtype(dtype).kind == "f" else rng.integers(0, 2, shape)
        feed[spec.name] = np.asarray(drawn).astype(dtype)
    return feed

"""Interpreters of LiteRT on this machine: to check a model, and to see what it takes and gives.

Inputs and outputs are known by the names of their tensors, as in the artifact's signature.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.calibration import CalibrationData
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.tool_words import tool_words
from steelyard.compress.tools import tool_errors

# A whole inference of one batch; the largest models that fit one file (2 GiB) take seconds on one core.
RUN_LIMIT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorPlace:
    """An input or output: its name, numpy dtype name and shape, -1 for a dimension that is open."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    index: int


class TfliteSession:
    """A model in an interpreter with one thread; not to be used by two threads at once."""

    def __init__(self, interpreter: Any) -> None:
        self.interpreter = interpreter
        self.inputs = tuple(_place(detail) for detail in interpreter.get_input_details())
        self.outputs = tuple(_place(detail) for detail in interpreter.get_output_details())

    def run(self, feed: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the outputs of one inference, in their order.

        Raises:
            CompressionError: tool_failed: LiteRT could not run it.
        """
        with tool_errors("running the model"):
            self.bind(feed)
            self.interpreter.invoke()
            return [self.interpreter.get_tensor(place.index) for place in self.outputs]

    def bind(self, feed: Mapping[str, NDArray[Any]]) -> None:
        """Set the inputs, and allocate all tensors anew where a shape differs."""
        current = {detail["index"]: tuple(detail["shape"].tolist()) for detail in self.interpreter.get_input_details()}
        changed = [place for place in self.inputs if current[place.index] != feed[place.name].shape]
        for place in changed:
            self.interpreter.resize_tensor_input(place.index, list(feed[place.name].shape))
        if changed:
            self.interpreter.allocate_tensors()
        for place in self.inputs:
            self.interpreter.set_tensor(place.index, feed[place.name])


def open_session(path: Path) -> TfliteSession:
    """Return a session with one thread and the delegate that LiteRT applies by itself (XNNPACK).

    Raises:
        CompressionInputError: model_not_loadable: LiteRT cannot run this model.
    """
    return TfliteSession(_interpreter(path, observed=False))


def open_observed(path: Path) -> TfliteSession:
    """Return a session that keeps the values of all tensors, computed by LiteRT's own kernels without a delegate.

    Raises:
        CompressionInputError: model_not_loadable: LiteRT cannot run this model.
    """
    return TfliteSession(_interpreter(path, observed=True))


def _interpreter(path: Path, *, observed: bool) -> Any:
    import ai_edge_litert
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES if observed else OpResolverType.AUTO
    try:
        interpreter = Interpreter(
            model_content=path.read_bytes(),
            num_threads=1,
            experimental_op_resolver_type=resolver,
            experimental_preserve_all_tensors=observed,
        )
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise CompressionInputError(
            "model_not_loadable",
            f"LiteRT {ai_edge_litert.__version__} cannot load {path.name} ({tool_words(error)}); remove custom and "
            "TensorFlow operators or convert for a version that it knows",
        ) from error
    return interpreter


def run_bounded(
    session: TfliteSession, feed: Mapping[str, NDArray[Any]], *, limit_s: float = RUN_LIMIT_S
) -> list[NDArray[Any]]:
    """Return the outputs of one inference; one that does not return is left behind with its thread.

    LiteRT offers no way to stop it: the compression process ends soon, and the thread with it.

    Raises:
        CompressionInputError: model_never_returned: after ``limit_s`` seconds.
        CompressionError: tool_failed: LiteRT could not run it.
    """
    outcome: list[list[NDArray[Any]] | Exception] = []

    def run() -> None:
        try:
            outcome.append(session.run(feed))
        except Exception as error:  # noqa: BLE001  raised below, in the thread that asked
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True, name="tflite-inference")
    thread.start()
    thread.join(limit_s)
    if not outcome:
        raise CompressionInputError(
            "model_never_returned",
            f"one inference did not end within {limit_s:.0f} s on this machine; look for a WHILE without an end, or "
            "compress a smaller model",
        )
    found = outcome[0]
    if isinstance(found, Exception):
        raise found
    return found


class Runner:
    """A session as what models are compared by."""

    def __init__(self, path: Path) -> None:
        self._session = open_session(path)

    @property
    def batch_size(self) -> int:
        """The samples that it takes at once; 1 where it takes any number."""
        return batch_size(self._session)

    def run(self, feed: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the outputs for a feed, in their order."""
        return run_bounded(self._session, feed)


def batch_size(session: TfliteSession) -> int:
    """Return the fixed first dimension of the inputs, or 1 where it is open."""
    return max([1, *(place.shape[0] for place in session.inputs if place.shape)])


def check_calibration(session: TfliteSession, data: CalibrationData) -> None:
    """Refuse calibration data that does not fit the model's inputs.

    Raises:
        CompressionInputError: invalid_calibration, naming the input with what it takes and what it was given.
    """
    places = {place.name: place for place in session.inputs}
    if set(places) != set(data.inputs):
        raise CompressionInputError(
            "invalid_calibration",
            f"the model has the inputs {', '.join(sorted(places))} and the calibration data is for "
            f"{', '.join(sorted(data.inputs))}; give data for every input",
        )
    for name, place in places.items():
        given_dtype, given = data.inputs[name].dtype, data.shown_shape(name)
        # "N" is the batch: as many samples are fed as the model takes.
        fits = len(given) == len(place.shape) and all(
            size < 0 or have in ("N", size) for size, have in zip(place.shape, given, strict=True)
        )
        if given_dtype != place.dtype or not fits:
            raise CompressionInputError(
                "invalid_calibration",
                f"the model's input {name!r} takes {place.dtype} {list(place.shape)} and the calibration data is "
                f"{given_dtype} {given}; prepare the data as the model takes it",
            )
    size = data.batch(batch_size(session))
    if data.sample_count < size:
        raise CompressionInputError(
            "invalid_calibration",
            f"the model takes batches of {size} and the calibration data has {data.sample_count} samples; add samples",
        )


def first_feed(
    session: TfliteSession, *, calibration: CalibrationData | None, seed: int
) -> dict[str, NDArray[Any]] | str:
    """Return one batch of the calibration data, or a drawn one, or the reason why there is none."""
    if calibration is None:
        return drawn_feed(session, seed)
    return calibration.first_feed(batch_size(session))


def drawn_feed(session: TfliteSession, seed: int) -> dict[str, NDArray[Any]] | str:
    """Return one batch drawn by signature, or the reason why none can be drawn."""
    rng = np.random.default_rng(seed)
    feed: dict[str, NDArray[Any]] = {}
    for place in session.inputs:
        kind = np.dtype(place.dtype).kind
        if any(size < 0 for size in place.shape[1:]) or kind not in "fiub":
            return f"the input {place.name!r} has the shape {list(place.shape)} of {place.dtype}, which cannot be drawn"
        shape = [abs(size) for size in place.shape]
        drawn = rng.standard_normal(shape) if kind == "f" else rng.integers(0, 2, shape)
        feed[place.name] = np.asarray(drawn).astype(place.dtype)
    return feed


def _place(detail: Mapping[str, Any]) -> TensorPlace:
    # The signature holds -1 for an open dimension; models without one say so by an empty signature.
    sizes = detail["shape_signature"].tolist() or detail["shape"].tolist()
    return TensorPlace(
        name=detail["name"], dtype=np.dtype(detail["dtype"]).name, shape=tuple(sizes), index=int(detail["index"])
    )

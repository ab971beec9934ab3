"""What differs between the two file formats when a recipe runs: how a model is looked at, checked and finished."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from steelyard.artifacts import InspectedArtifact
from steelyard.compress.calibration import CalibrationData
from steelyard.compress.contract import ONNX, TFLITE, StepContext
from steelyard.compress.errors import CompressionError, CompressionInputError
from steelyard.compress.parent_outputs import refuse_bad_parent
from steelyard.compress.tool_words import tool_words
from steelyard_protocol.v1 import common_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelKind:
    """One of the two file formats."""

    name: str

    @classmethod
    def of(cls, artifact: InspectedArtifact) -> ModelKind:
        """Return the kind of an inspected file."""
        return cls(name=TFLITE if artifact.format == common_pb2.ARTIFACT_FORMAT_TFLITE else ONNX)

    @property
    def suffix(self) -> str:
        """What its files' names end in."""
        return ".tflite" if self.name == TFLITE else ".onnx"

    def form_of(self, path: Path) -> str:
        """Return the numeric form of a model, and refuse one with NaN in its weights.

        Raises:
            CompressionInputError: nan_weights or sparse_tensors.
        """
        if self.name == TFLITE:
            from steelyard.compress.tflite import model_form

            form = model_form.numeric_form(path)
            model_form.refuse_nan_weights(path)
            return form
        from steelyard.artifact_formats.onnx_file import parse_onnx
        from steelyard.compress.model_form import numeric_form, refuse_nan_weights, refuse_sparse_tensors

        model = parse_onnx(path, path.read_bytes())
        refuse_sparse_tensors(path, model)
        refuse_nan_weights(path, model)
        return numeric_form(model)

    def check_runs(self, path: Path, context: StepContext) -> None:
        """Run a model once: it must take the calibration data, and return.

        Quantizers run the model for calibration with no limit of their own: one that never returns stops here.

        Raises:
            CompressionInputError: it cannot be loaded, or does not take the data, or fails on it, or gives what is
                no number, or does not end.
        """
        if self.name == TFLITE:
            from steelyard.compress.tflite import sessions as tflite

            interpreter = tflite.open_session(path)
            if context.calibration is not None:
                tflite.check_calibration(interpreter, context.calibration)
            feed = tflite.first_feed(interpreter, calibration=context.calibration, seed=context.seed)
            if not isinstance(feed, str):
                context.progress("checking the model", 0, 1)
                with _parent_errors(path):
                    outputs = tflite.run_bounded(interpreter, feed)
                refuse_bad_parent([place.name for place in interpreter.outputs], outputs)
            return
        from steelyard.compress.sessions import check_calibration, first_feed, open_session, run_bounded

        session = open_session(path)
        if context.calibration is not None:
            check_calibration(session, context.calibration)
        feed = first_feed(session, calibration=context.calibration, seed=context.seed)
        if not isinstance(feed, str):
            context.progress("checking the model", 0, 1)
            with _parent_errors(path):
                outputs = run_bounded(session, feed)
            refuse_bad_parent([spec.name for spec in session.get_outputs()], outputs)

    def final_bytes(self, path: Path) -> bytes:
        """Return the bytes of a made model, the same for the same model."""
        if self.name == TFLITE:
            from steelyard.compress.tflite import finishing as tflite

            return tflite.final_bytes(path)
        from steelyard.compress.finishing import final_bytes

        return final_bytes(path)

    def verify(
        self, variant_path: Path, parent_path: Path, *, calibration: CalibrationData | None, seed: int
    ) -> tuple[str, ...]:
        """Check that a variant loads and gives numbers where its parent does; return what could not be checked.

        Raises:
            CompressionError: variant_not_loadable, other_signature or not_finite.
            CompressionInputError: the parent itself gives no finite outputs.
        """
        if self.name == TFLITE:
            from steelyard.compress.tflite import verification as tflite

            return tflite.verify_variant(variant_path, parent_path, calibration=calibration, seed=seed)
        from steelyard.compress.sessions import open_session
        from steelyard.compress.verification import verify_variant

        return verify_variant(variant_path, open_session(parent_path), calibration=calibration, seed=seed)


@contextmanager
def _parent_errors(path: Path) -> Iterator[None]:
    """Say of a model that fails as it was given that it, or its data, is to be repaired: no recipe was at fault."""
    try:
        yield
    except CompressionError as error:
        raise CompressionInputError(
            "model_not_runnable",
            f"{path} fails on its own inputs, before anything was changed: "
            f"{tool_words(error.__cause__ or error)}; give it samples that it takes, or repair the model",
        ) from error

"""Few different values in place of many: weight sharing by clustering."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.contract import FLOAT16, FLOAT32, ONNX, SAME_FORM, TFLITE, StepContext, StepReport
from steelyard.compress.errors import CompressionInputError, RecipeError
from steelyard.compress.recipe import step_settings
from steelyard.compress.settings import require_choice, require_count, require_globs
from steelyard.compress.tools import tool_versions
from steelyard.compress.weights.clustering import clustered
from steelyard.compress.weights.editing import GraphEdit, left_note, storage_note, write_model
from steelyard.compress.weights.finding import WEIGHT_OPS, Weight, find_weights, output_axis, refuse_idle_globs

_MOST_CLUSTERS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareWeights:
    """Replace the weights of each tensor by ``clusters`` shared values (Han et al., "Deep Compression", 2016, part 3).

    ``codebooks`` "tensor" has one set of values a tensor, "channel" one an output channel. ``store`` "values" writes
    the shared values themselves, in a file that compresses well; "codebook" writes them once with a byte a weight, and
    the runtime looks them up as it loads the model. ``keep`` has patterns of names of nodes and tensors left as they
    are. Exact zeros stay zeros.
    """

    kind: ClassVar[str] = "share-weights"
    needs_calibration: ClassVar[bool] = False
    accepts: ClassVar[frozenset[str]] = frozenset({FLOAT32, FLOAT16})
    produces: ClassVar[str] = SAME_FORM
    formats: ClassVar[frozenset[str]] = frozenset({ONNX, TFLITE})
    needs_float_ancestor: ClassVar[bool] = False

    clusters: int = 32
    codebooks: str = "tensor"
    store: str = "values"
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse settings of another type and combinations that cannot be stored."""
        require_count(self.kind, "clusters", self.clusters, least=2)
        if self.clusters > _MOST_CLUSTERS:
            raise RecipeError(
                "invalid_setting",
                f"{self.kind}: clusters is {self.clusters}; write at most {_MOST_CLUSTERS}, which a byte tells apart",
            )
        require_choice(self.kind, "codebooks", self.codebooks, ("tensor", "channel"))
        require_choice(self.kind, "store", self.store, ("values", "codebook"))
        require_globs(self.kind, "keep", self.keep)
        if self.codebooks == "channel" and self.store == "codebook":
            raise RecipeError(
                "impossible_setting",
                f'{self.kind}: codebooks a channel with store = "codebook" need indexes of more than a byte, which '
                'saves nothing; write codebooks = "tensor" or store = "values"',
            )

    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        """Write the model with shared values.

        Raises:
            CompressionInputError: nothing_to_share, unknown_operator or too_large.
        """
        import onnx

        model = onnx.load_model(model_path)
        weights = find_weights(model, WEIGHT_OPS)
        refuse_idle_globs(weights, self.keep, f"{self.kind}: keep")
        chosen, left = self._chosen(weights)
        if not chosen:
            raise CompressionInputError(
                "nothing_to_share",
                f"{model_path.name} has no stored weights with more than {self.clusters} values that keep leaves; "
                "share-weights works on those",
            )
        edit = GraphEdit(model)
        wrong: list[float] = []
        for done, weight in enumerate(chosen):
            context.progress("clustering weights", done, len(chosen))
            values = weight.values()
            shared = self._shared(weight, values)
            wrong.append(_relative_error(values, shared))
            if self.store == "codebook":
                _store_codebook(edit, weight, shared.astype(values.dtype))
            else:
                weight.set_values(shared)
        edit.apply()
        write_model(model, out_path)
        context.progress("clustering weights", len(chosen), len(chosen))
        return StepReport(
            settings=step_settings(self),
            tool_versions=tool_versions("onnx", "numpy"),
            notes=(self._note(len(chosen), wrong), storage_note(model_path, out_path), *left_note(left)),
        )

    def _chosen(self, weights: Sequence[Weight]) -> tuple[list[Weight], dict[str, str]]:
        chosen: list[Weight] = []
        left: dict[str, str] = {}
        for weight in weights:
            if weight.matches(self.keep):
                left[weight.name] = "by the setting keep"
            elif int(np.prod(weight.tensor.dims)) <= self.clusters:
                left[weight.name] = "fewer values than clusters"
            else:
                chosen.append(weight)
        return chosen, left

    def _shared(self, weight: Weight, values: NDArray[Any]) -> NDArray[np.float32]:
        exact = values.astype(np.float32)
        if self.codebooks == "tensor":
            return clustered(exact, self.clusters)
        axis = output_axis(next(use for use in weight.uses if use.is_weight), exact.ndim)
        channels = [clustered(channel, self.clusters) for channel in np.moveaxis(exact, axis, 0)]
        return np.ascontiguousarray(np.moveaxis(np.stack(channels), 0, axis))

    def _note(self, tensor_count: int, wrong: Sequence[float]) -> str:
        each = "" if self.codebooks == "tensor" else " a channel"
        stored = {
            "values": "the file compresses well, and the model runs at the same speed",
            "codebook": "onnxruntime looks them up once, as it loads the model, and runs at the same speed",
        }
        tensors = "1 weight tensor has" if tensor_count == 1 else f"{tensor_count} weight tensors have"
        error = 100 * float(np.median(wrong))
        return (
            f"{tensors} {self.clusters} different values at most{each} (median error {error:.2g} % of the weights' "
            f"root mean square); {stored[self.store]}"
        )


def _relative_error(values: NDArray[Any], shared: NDArray[np.float32]) -> float:
    exact = values.astype(np.float64)
    size = float(np.sqrt(np.mean(exact**2)))
    return float(np.sqrt(np.mean((exact - shared) ** 2))) / size if size else 0.0


def _store_codebook(edit: GraphEdit, weight: Weight, shared: NDArray[Any]) -> None:
    """Store the values of a weight once, sorted, with a byte a weight; Cast and Gather give the weight its name again.

    Gather takes no indexes of a byte, hence Cast; both have constant inputs, and runtimes fold them as they load.
    """
    codebook, indexes = np.unique(shared, return_inverse=True)
    node_inputs = {
        "codebook": edit.store(weight.graph, f"{weight.name}_codebook", codebook),
        "indexes": edit.store(weight.graph, f"{weight.name}_indexes", indexes.reshape(shared.shape).astype(np.uint8)),
    }
    edit.compute(weight, _lookup(edit, weight.name, node_inputs))


def _lookup(edit: GraphEdit, name: str, inputs: Mapping[str, str]) -> list[Any]:
    from onnx import TensorProto, helper

    wide = edit.free_name(f"{name}_indexes_int32")
    return [
        helper.make_node(
            "Cast", [inputs["indexes"]], [wide], name=edit.free_name(f"{name}_widen"), to=TensorProto.INT32
        ),
        helper.make_node("Gather", [inputs["codebook"], wide], [name], name=edit.free_name(f"{name}_lookup"), axis=0),
    ]

"""Zeros in place of the smallest weights: unstructured, N of M, or in blocks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.contract import FLOAT16, FLOAT32, ONNX, SAME_FORM, TFLITE, StepContext, StepReport
from steelyard.compress.errors import CompressionInputError, RecipeError
from steelyard.compress.recipe import step_settings
from steelyard.compress.settings import require_choice, require_count, require_globs, require_number
from steelyard.compress.tools import tool_versions
from steelyard.compress.weights.editing import left_note, storage_note, write_model
from steelyard.compress.weights.finding import Weight, find_weights, refuse_idle_globs
from steelyard.compress.weights.layout import as_stored, has_one_layout, is_depthwise, outputs_first
from steelyard.compress.weights.zeroing import n_of_m, without_smallest, without_smallest_blocks

# Embeddings are looked up, not multiplied with: rows of them are words, and zeros there save nothing.
_SPARSIFIED = ("Conv", "ConvTranspose", "Gemm", "MatMul", "LSTM", "GRU", "RNN")
_DEFAULT_SPARSITY = 0.5
# Four outputs at one input: what XNNPACK's sparse kernels read at once.
_DEFAULT_BLOCK = (4, 1)
_N_OF_M = re.compile(r"([0-9]{1,3}):([0-9]{1,3})")
_DENSE_NOTE = (
    "onnxruntime multiplies with zeros as with other numbers: 50 %, 90 % and 2:4 ran at 1.00 times the speed of "
    "float32; zeros make a file that compresses well"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparsify:
    """Make the weights of smallest magnitude zero (Han et al., "Learning both Weights and Connections", 2015).

    ``sparsity`` is the share of zeros, of all weights together (``scope`` "global") or of each tensor ("layer").
    ``pattern`` is "unstructured", "N:M" ("2:4": the 2 largest of every 4 along the inputs stay) or "block", then of
    ``block`` outputs and inputs, whole blocks by their mean square. ``keep`` has patterns of names of nodes and
    tensors that stay dense; depthwise convolutions do in any case.
    """

    kind: ClassVar[str] = "sparsify"
    needs_calibration: ClassVar[bool] = False
    accepts: ClassVar[frozenset[str]] = frozenset({FLOAT32, FLOAT16})
    produces: ClassVar[str] = SAME_FORM
    formats: ClassVar[frozenset[str]] = frozenset({ONNX, TFLITE})
    needs_float_ancestor: ClassVar[bool] = False

    sparsity: float = _DEFAULT_SPARSITY
    pattern: str = "unstructured"
    scope: str = "global"
    block: tuple[int, int] = _DEFAULT_BLOCK
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse settings of another type and combinations that contradict each other."""
        require_number(self.kind, "sparsity", self.sparsity, least=0, most=1)
        if not 0 < self.sparsity < 1:
            raise RecipeError(
                "invalid_setting", f"{self.kind}: sparsity is {self.sparsity}; write a share above 0 and below 1"
            )
        require_choice(self.kind, "scope", self.scope, ("global", "layer"))
        require_globs(self.kind, "keep", self.keep)
        self._check_block()
        if isinstance(self.pattern, str) and _N_OF_M.fullmatch(self.pattern):
            self._check_n_of_m(*self._n_and_m())
        else:
            require_choice(self.kind, "pattern", self.pattern, ("unstructured", "2:4", "block"))

    def _n_and_m(self) -> tuple[int, int]:
        found = _N_OF_M.fullmatch(self.pattern)
        return (int(found[1]), int(found[2])) if found else (0, 0)

    def _check_n_of_m(self, n: int, m: int) -> None:
        if not 0 < n < m:
            raise RecipeError(
                "invalid_setting",
                f'{self.kind}: pattern is {self.pattern!r}, which keeps {n} of {m}; write the smaller first ("2:4")',
            )
        if self.sparsity not in {_DEFAULT_SPARSITY, 1 - n / m}:
            raise RecipeError(
                "impossible_setting",
                f"{self.kind}: sparsity is {self.sparsity} and {self.pattern} makes {100 * (1 - n / m):g} % zeros; "
                "leave sparsity out",
            )

    def _check_block(self) -> None:
        sizes = self.block if isinstance(self.block, tuple | list) else ()
        if len(sizes) != 2:
            raise RecipeError(
                "invalid_setting", f"{self.kind}: block is {self.block!r}; write two sizes: [outputs, inputs]"
            )
        for size in sizes:
            require_count(self.kind, "block", size)
        if self.pattern != "block" and tuple(sizes) != _DEFAULT_BLOCK:
            raise RecipeError(
                "impossible_setting",
                f'{self.kind}: block is {list(sizes)} and pattern {self.pattern!r} has none; write pattern = "block"',
            )

    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        """Write the model with zeros, in dense storage.

        Raises:
            CompressionInputError: nothing_to_sparsify, unknown_operator or too_large.
        """
        import onnx

        context.progress("choosing weights", 0, 1)
        model = onnx.load_model(model_path)
        weights = find_weights(model, _SPARSIFIED)
        refuse_idle_globs(weights, self.keep, f"{self.kind}: keep")
        chosen, left = self._chosen(weights)
        if not chosen:
            raise CompressionInputError(
                "nothing_to_sparsify",
                f"{model_path.name} has no convolution, matrix product or recurrent layer with stored weights that "
                "keep leaves; sparsify works on those",
            )
        for weight, values in zip(chosen, self._zeroed(chosen), strict=True):
            weight.set_values(as_stored(values, _reader(weight), tuple(weight.tensor.dims)))
        write_model(model, out_path)
        context.progress("choosing weights", 1, 1)
        settings = dict(step_settings(self))
        if self._n_and_m()[1]:
            settings["sparsity"] = 1 - self._n_and_m()[0] / self._n_and_m()[1]
        return StepReport(
            settings=settings,
            tool_versions=tool_versions("onnx", "numpy"),
            notes=(_share_note(chosen), _DENSE_NOTE, storage_note(model_path, out_path), *left_note(left)),
        )

    def _chosen(self, weights: Sequence[Weight]) -> tuple[list[Weight], dict[str, str]]:
        chosen, left = [], {}
        _n, m = self._n_and_m()
        for weight in weights:
            if weight.matches(self.keep):
                left[weight.name] = "by the setting keep"
            elif weight.has_other_uses:
                left[weight.name] = "something reads it that does not multiply with it"
            elif not has_one_layout(weight):
                left[weight.name] = "its readers do not agree on its inputs"
            elif is_depthwise(weight):
                left[weight.name] = "depthwise: a channel hangs on a few weights"
            elif m and outputs_first(weight.values(), _reader(weight)).shape[-1] < m:
                left[weight.name] = f"fewer than {m} inputs"
            else:
                chosen.append(weight)
        return chosen, left

    def _zeroed(self, chosen: Sequence[Weight]) -> list[NDArray[Any]]:
        values = [outputs_first(weight.values(), _reader(weight)) for weight in chosen]
        n, m = self._n_and_m()
        if m:
            return [n_of_m(one, n, m) for one in values]
        groups = [values] if self.scope == "global" else [[one] for one in values]
        if self.pattern == "block":
            block = (int(self.block[0]), int(self.block[1]))
            return [one for group in groups for one in without_smallest_blocks(group, self.sparsity, block)]
        return [one for group in groups for one in without_smallest(group, self.sparsity)]


def _reader(weight: Weight) -> Any:
    return next(use for use in weight.uses if use.is_weight)


def _share_note(chosen: Sequence[Weight]) -> str:
    zero_count = sum(int(np.count_nonzero(weight.values() == 0)) for weight in chosen)
    weight_count = sum(weight.values().size for weight in chosen)
    share = 100 * zero_count / weight_count
    tensors = "1 tensor" if len(chosen) == 1 else f"{len(chosen)} tensors"
    return f"{zero_count:,} of {weight_count:,} weights in {tensors} are zero ({share:.1f} %)"

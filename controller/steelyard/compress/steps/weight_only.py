"""Weights in 8 or 4 bits, activations in float32."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from steelyard.compress.contract import FLOAT32, ONNX, TFLITE, WEIGHT_ONLY, StepContext, StepReport
from steelyard.compress.errors import CompressionInputError, RecipeError
from steelyard.compress.folding import fold
from steelyard.compress.recipe import step_settings
from steelyard.compress.settings import (
    AUTO,
    require_boolean,
    require_choice,
    require_globs,
    require_number,
)
from steelyard.compress.tools import tool_versions
from steelyard.compress.weights.editing import GraphEdit, left_note, require_domain, storage_note, write_model
from steelyard.compress.weights.finding import WEIGHT_OPS, Weight, find_weights, refuse_idle_globs
from steelyard.compress.weights.forms import (
    CONTRIB_DOMAIN,
    DEQUANTIZE,
    MATMULNBITS,
    ROWS,
    UNPACK,
    as_matrix,
    bits_of,
    form_of,
    store_quantized,
)
from steelyard.compress.weights.gptq import quantize_by_gptq
from steelyard.compress.weights.grid import GridShape, QuantizedMatrix, round_to_nearest
from steelyard.compress.weights.moments import stream_moments
from steelyard.compress.weights.second_moment import SecondMoment

if TYPE_CHECKING:
    from onnx import ModelProto

_BLOCK_SIZES = (0, 16, 32, 64, 128, 256)
_AUTO_BLOCK = {8: 0, 4: 32}
# DequantizeLinear has scales a channel from opset 13, and scales a block and 4-bit types from 21.
_CHANNEL_OPSET, _BLOCK_OPSET = 13, 21
_FORM_NOTES = {
    MATMULNBITS: "multiplied with as they are packed (MatMulNBits)",
    UNPACK: "unpacked once, as the model is loaded",
    DEQUANTIZE: "unpacked by DequantizeLinear, which onnxruntime runs every time or fuses with MatMul",
    ROWS: "looked up row by row",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightOnly:
    """Store weights in ``bits`` 8 or 4, with a scale for each ``block_size`` inputs of an output.

    ``block_size`` 0 has one scale for all inputs of an output; "auto" is that for 8 bits, and 32 for 4.

    ``method`` "rtn" rounds to nearest; "gptq" lets later weights make up for the errors of earlier ones, by
    calibration data (``act_order``: inputs of large activations first; ``damping``: share of the mean diagonal added).
    ``form`` "matmulnbits" (what "auto" is) multiplies with packed weights where it can, "unpack" unpacks all of them
    once, as the model is loaded (both unpack what MatMulNBits does not take), "dequantize" has DequantizeLinear.
    ``compute`` "int8" lets MatMulNBits round activations to 8 bits a block; with "float32", "auto" unpacks 8 bits.
    ``op_types`` empty: all that are known. With 4 bits only matrix products have kernels: the others are stored in 8.
    ``keep_float`` has patterns of names of nodes and tensors that stay float32.
    """

    kind: ClassVar[str] = "weight-only"
    accepts: ClassVar[frozenset[str]] = frozenset({FLOAT32})
    produces: ClassVar[str] = WEIGHT_ONLY
    formats: ClassVar[frozenset[str]] = frozenset({ONNX, TFLITE})
    needs_float_ancestor: ClassVar[bool] = False

    bits: int = 8
    method: str = "rtn"
    block_size: int | str = AUTO
    symmetric: bool = True
    act_order: bool = True
    damping: float = 0.01
    form: str = AUTO
    compute: str = "int8"
    op_types: tuple[str, ...] = ()
    keep_float: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse settings of another type and combinations that no kernel runs."""
        _require_one_of(self.kind, "bits", self.bits, (4, 8))
        if self.block_size != AUTO:
            _require_one_of(self.kind, "block_size", self.block_size, _BLOCK_SIZES)
        require_choice(self.kind, "method", self.method, ("rtn", "gptq"))
        require_boolean(self.kind, "symmetric", self.symmetric)
        require_boolean(self.kind, "act_order", self.act_order)
        require_number(self.kind, "damping", self.damping, least=1e-6, most=1)
        require_choice(self.kind, "form", self.form, (AUTO, MATMULNBITS, UNPACK, DEQUANTIZE))
        require_choice(self.kind, "compute", self.compute, ("float32", "int8"))
        require_globs(self.kind, "op_types", self.op_types)
        require_globs(self.kind, "keep_float", self.keep_float)
        for op_type in self.op_types:
            require_choice(self.kind, "op_types", op_type, WEIGHT_OPS)
        self._refuse_impossible()

    def _refuse_impossible(self) -> None:
        if self.bits == 4 and self.form == UNPACK:
            raise RecipeError(
                "impossible_setting",
                f'{self.kind}: form = "unpack" is for 8 bits; write bits = 8, or form = "matmulnbits"',
            )
        if self.compute == "float32" and self.form == DEQUANTIZE:
            raise RecipeError(
                "impossible_setting",
                f'{self.kind}: compute = "float32" is a setting of MatMulNBits, and with form = "dequantize" '
                "onnxruntime decides how it multiplies; leave one of them out",
            )

    @property
    def needs_calibration(self) -> bool:
        """Whether calibration data is read."""
        return self.method == "gptq"

    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        """Write the model with weights in few bits.

        Raises:
            CompressionInputError: nothing_to_quantize, unknown_operator, too_large, or no or unfit calibration data.
            CompressionError: the model cannot be folded, or onnxruntime could not run it on calibration data.
        """
        import onnx

        folded_path = context.work_dir / "weight-only-folded.onnx"
        context.progress("folding constants", 0, 1)
        fold(model_path, folded_path, min_opset=self._min_opset())
        model = onnx.load_model(folded_path)
        forms, left = self._forms(model)
        if not forms:
            raise CompressionInputError(
                "nothing_to_quantize",
                f"{model_path.name} has no stored weights of {', '.join(self._op_types())} that {self.kind} can store "
                "in few bits; its file holds hardly any",
            )
        edit = GraphEdit(model)
        gains = self._quantize(model, forms, edit, context)
        edit.apply()
        if MATMULNBITS in forms.values():
            require_domain(model, CONTRIB_DOMAIN)
        write_model(model, out_path)
        notes = (*_form_notes(forms.values(), self.bits), *self._gain_note(gains, len(forms)))
        return StepReport(
            settings={
                **step_settings(self),
                "form": self._form(),
                "block_size": self._block_size(),
                "op_types": list(self._op_types()),
            },
            tool_versions=tool_versions("onnxruntime", "onnx", "numpy"),
            notes=(*notes, storage_note(model_path, out_path), *left_note(left)),
        )

    def _min_opset(self) -> int:
        is_new = self._block_size() > 0 or self.bits == 4
        return _BLOCK_OPSET if is_new and self._form() == DEQUANTIZE else _CHANNEL_OPSET

    def _form(self) -> str:
        if self.form != AUTO:
            return self.form
        # MatMulNBits of 8 bits in float32 ran at 0.06x (one row) to 0.7x (64 rows) of float32 weights, in int8 at 2.2x
        # and 1.2x. Of DequantizeLinear and MatMul onnxruntime 1.32 makes the latter itself; before Gemm and Conv it
        # runs DequantizeLinear every time: an autoencoder of ten Gemm ran at 0.1x, EfficientNet-Lite0 at 0.35x.
        return UNPACK if self.bits == 8 and self.compute == "float32" else MATMULNBITS

    def _block_size(self) -> int:
        if isinstance(self.block_size, int):
            return self.block_size
        return _AUTO_BLOCK[self.bits]

    def _op_types(self) -> tuple[str, ...]:
        return self.op_types or WEIGHT_OPS

    def _forms(self, model: ModelProto) -> tuple[dict[Weight, str], dict[str, str]]:
        forms: dict[Weight, str] = {}
        left: dict[str, str] = {}
        weights = find_weights(model, self._op_types())
        refuse_idle_globs(weights, self.keep_float, f"{self.kind}: keep_float")
        for weight in weights:
            form, reason = form_of(weight, bits=self.bits, wish=self._form(), op_types=self._op_types())
            if weight.matches(self.keep_float):
                left[weight.name] = "by the setting keep_float"
            elif reason:
                left[weight.name] = reason
            else:
                forms[weight] = form
        return forms, left

    def _quantize(
        self, model: ModelProto, forms: Mapping[Weight, str], edit: GraphEdit, context: StepContext
    ) -> list[float]:
        """Quantize each weight; return the output error of GPTQ as a share of rounding's, where it was run."""
        gains: list[float] = []
        for done, (weight, moment) in enumerate(self._with_moments(model, list(forms), context)):
            context.progress("quantizing weights", done, len(forms))
            matrix, gain = self._quantized(weight, forms[weight], moment)
            gains += gain
            store_quantized(edit, weight, matrix, form=forms[weight], int8_activations=self.compute == "int8")
        context.progress("quantizing weights", len(forms), len(forms))
        return gains

    def _with_moments(
        self, model: ModelProto, weights: Sequence[Weight], context: StepContext
    ) -> Iterator[tuple[Weight, SecondMoment | None]]:
        if self.method == "gptq":
            yield from stream_moments(model, weights, context, what=f'{self.kind} with method = "gptq"')
        else:
            yield from ((weight, None) for weight in weights)

    def _quantized(self, weight: Weight, form: str, moment: SecondMoment | None) -> tuple[QuantizedMatrix, list[float]]:
        has_blocks = form == MATMULNBITS or (form == DEQUANTIZE and len(weight.tensor.dims) == 2)
        shape = GridShape(
            bits=bits_of(form, self.bits),
            block_size=self._block_size() if has_blocks else 0,
            symmetric=self.symmetric,
        )
        matrix = as_matrix(weight)
        if moment is None:
            return round_to_nearest(matrix, shape), []
        result = quantize_by_gptq(matrix, moment, shape, damping=self.damping, act_order=self.act_order)
        return result.quantized, [result.error / result.rounding_error if result.rounding_error else 1.0]

    def _gain_note(self, gains: Sequence[float], weight_count: int) -> tuple[str, ...]:
        if self.method != "gptq":
            return ()
        if not gains:
            return ("GPTQ needs matrix products or 1x1 convolutions outside of control flow: all were rounded",)
        share = 100 * float(np.median(gains))
        told = (
            f"GPTQ on {len(gains)} of {weight_count} tensors: the squared error of their outputs on calibration data "
            f"is {share:.0f} % of rounding's (median)"
        )
        return (told,)


def _require_one_of(kind: str, key: str, value: object, choices: tuple[int, ...]) -> None:
    if type(value) is not int or value not in choices:
        known = ", ".join(str(one) for one in choices)
        raise RecipeError("invalid_setting", f"{kind}: {key} is {value!r}; write one of {known}")


def _form_notes(forms: Iterable[str], bits: int) -> tuple[str, ...]:
    listed = list(forms)
    return tuple(
        f"{_counted(listed.count(form))} stored in {bits_of(form, bits)} bits and {told}"
        for form, told in _FORM_NOTES.items()
        if form in listed
    )


def _counted(tensor_count: int) -> str:
    return "1 weight tensor is" if tensor_count == 1 else f"{tensor_count} weight tensors are"

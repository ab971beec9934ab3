"""Train a model that rounds its values and weights to 8 bits, and write it with integers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from steelyard.compress.contract import FLOAT32, INT8, StepContext, StepReport
from steelyard.compress.errors import RecipeError
from steelyard.compress.processor import resolve_reduce_range
from steelyard.compress.settings import (
    AUTO,
    require_boolean_or_auto,
    require_choice,
    require_count,
    require_globs,
    require_number,
)
from steelyard.train.distill.settings import TaughtSettings
from steelyard.train.errors import TrainingInputError
from steelyard.train.layer_patterns import layers_matching

if TYPE_CHECKING:
    from steelyard.train.export.example import Interface
    from steelyard.train.lift.lifted import LiftedModel
    from steelyard.train.qat.quantized_module import QuantizedModule
    from steelyard.train.steps.training import StepTraining

_REDUCED_BITS = 7
# A share of the rate that a float model is trained with: rounding makes gradients coarse, and the model is trained.
_RATE_SHARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizationAwareTraining(TaughtSettings):
    """Train with rounding in the way (Jacob et al. 2018), under torchao's pt2e flow and a quantizer of our own.

    ``activation_type`` is "uint8" or "int8"; weights are signed, one scale an output channel, of ``weight_bits``.
    ``narrow`` are patterns of layers whose weights get ``narrow_bits``, ``wide`` of layers whose inputs get 16 bits,
    ``keep_float`` of layers that stay in float. ``reduce_range`` "auto" gives weights 7 bits where sums of u8 and s8
    saturate. ``form`` "float32" writes the trained weights, rounded, as float, for quantizers of other formats: they
    find the grids of the weights again, and ranges of activations are theirs to choose. Ranges begin with
    ``calibration_batches`` and follow the values until the share ``moving`` of the epochs.
    """

    kind: ClassVar[str] = "qat"
    needs_training: ClassVar[bool] = True
    # For reduce_range.
    reads_processor: ClassVar[bool] = True

    activation_type: str = "uint8"
    weight_bits: int = 8
    narrow: tuple[str, ...] = ()
    narrow_bits: int = 4
    wide: tuple[str, ...] = ()
    keep_float: tuple[str, ...] = ()
    reduce_range: bool | str = AUTO
    calibration_batches: int = 16
    moving: float = 0.5
    form: str = INT8

    @property
    def produces(self) -> str:
        """The form that it leaves, by its settings."""
        return self.form

    def __post_init__(self) -> None:
        """Refuse settings of another type, widths that no kernel has, and teaching that looks at layers."""
        TaughtSettings.__post_init__(self)
        require_choice(self.kind, "activation_type", self.activation_type, ("uint8", "int8"))
        for key in ("weight_bits", "narrow_bits"):
            require_count(self.kind, key, getattr(self, key), least=2)
            if getattr(self, key) > 8:
                raise RecipeError("invalid_setting", f"{self.kind}: {key} is {getattr(self, key)}; write 2 to 8")
        for key in ("narrow", "wide", "keep_float"):
            require_globs(self.kind, key, getattr(self, key))
            object.__setattr__(self, key, tuple(getattr(self, key)))
        require_boolean_or_auto(self.kind, "reduce_range", self.reduce_range)
        require_choice(self.kind, "form", self.form, (INT8, FLOAT32))
        require_count(self.kind, "calibration_batches", self.calibration_batches)
        require_number(self.kind, "moving", self.moving, least=0, most=1)
        self._refuse_impossible()

    def _refuse_impossible(self) -> None:
        if self.precision not in (AUTO, "float32"):
            raise RecipeError(
                "impossible_setting",
                f"{self.kind}: precision is {self.precision}, and the kernels that round know float32 alone; leave it "
                "out",
            )
        if self.batchnorm_batches:
            raise RecipeError(
                "impossible_setting",
                f"{self.kind}: batchnorm_batches is {self.batchnorm_batches}, and BatchNorm is folded before the "
                "training; leave it out",
            )
        if self.hints or self.attention:
            raise RecipeError(
                "impossible_setting",
                f"{self.kind}: hints and attention look at layers, which a graph that rounds no longer has; leave them "
                "out here, or distill before it",
            )

    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        """Write the trained model with Q and DQ on every edge that integer kernels need.

        Raises:
            LiftError, TrainingInputError: the model, the task or a teacher does not suit.
            TrainingError, ExportError: it could not be trained, or not be written.
        """
        from steelyard.train.loop.optimizers import learning_rate_of
        from steelyard.train.loop.trainable import TrainableModel
        from steelyard.train.qat.quantized_module import FreezeRanges
        from steelyard.train.qat.torchao_import import need_torchao
        from steelyard.train.qat.writing import write_qdq
        from steelyard.train.steps.model_files import training_tools, write_model
        from steelyard.train.steps.training import StepTraining

        need_torchao()
        context.progress("reading the model", 0, 1)
        folded_path = context.work_dir / "qat-folded.onnx"
        lifted, interface = _folded(model_path, folded_path)
        rate = self.learning_rate or _RATE_SHARE * learning_rate_of(self, lifted.module)
        settings = dataclasses.replace(self, learning_rate=rate, precision="float32")
        training = StepTraining(settings, model_path, context)
        module, bits = self._module(lifted, interface, context)
        model = TrainableModel(module=module, input_names=lifted.input_names, output_names=lifted.output_names)
        _calibrate(module, training, self.calibration_batches, lifted.input_names)
        trained = training.run(model, hooks=(FreezeRanges(module, after=self.moving),))
        context.progress("writing the model", 0, 1)
        if self.form == FLOAT32:
            module.put_rounded_weights(lifted.module)
            write_model(lifted, out_path)
            notes: tuple[str, ...] = (_bits_note(bits),)
        else:
            difference = write_qdq(module, interface, out_path, has_pools=_has_pools(folded_path)).difference
            notes = (_bits_note(bits), f"the file differs from the trained module by {difference:.2%}")
        return StepReport(
            settings={**trained.settings, "reduce_range": self._reduces(context)},
            tool_versions=training_tools("torchao"),
            notes=(*notes, *trained.notes),
        )

    def _module(
        self, lifted: LiftedModel, interface: Interface, context: StepContext
    ) -> tuple[QuantizedModule, Mapping[str, int]]:
        """Return the module that rounds, and the bits of the weights of its layers by their ONNX names."""
        from steelyard.train.export.program import trace
        from steelyard.train.export.quiet import quiet_exporters
        from steelyard.train.qat.grids import Grids
        from steelyard.train.qat.placement import layers_of_graph
        from steelyard.train.qat.quantized_module import QuantizedModule

        program = trace(lifted.module.eval(), interface)
        with quiet_exporters():
            graph = program.module(check_guards=False)
        named = {name: lifted.layers.get(name, name) for name in layers_of_graph(graph.graph)}
        kept, narrow, wide = (
            layers_matching(named, getattr(self, key), setting=f"{self.kind}: {key}")
            for key in ("keep_float", "narrow", "wide")
        )
        if not set(named) - kept:
            raise TrainingInputError(
                "nothing_to_quantize",
                f"{self.kind}: the model has no convolution or matrix product with stored weights that keep_float "
                "leaves; name fewer layers in it",
            )
        most = _REDUCED_BITS if self._reduces(context) else 8
        bits = {
            name: min(most, self.narrow_bits if name in narrow else self.weight_bits)
            for name in named
            if name not in kept
        }
        grids = Grids.of(signed=self.activation_type == "int8", weight_bits=tuple(sorted(set(bits.values()))))
        follow = self.form == FLOAT32
        module = QuantizedModule.of(graph, grids, bits=bits, kept=kept, wide=wide, weights_follow=follow)
        return module, {named[name]: count for name, count in bits.items()}

    def _reduces(self, context: StepContext) -> bool:
        if self.form == FLOAT32 and self.reduce_range == AUTO:
            return False  # TFLite's kernels add in 32 bits, and 7 bits are not on the grid that 8 find
        return resolve_reduce_range(self.reduce_range, context.processor_features, weight_type="int8")


def _folded(model_path: Path, folded_path: Path) -> tuple[LiftedModel, Interface]:
    """Return a model with BatchNorm folded, as it is deployed: its kernels see the folded weights."""
    from steelyard.compress.folding import fold
    from steelyard.train.export.example import interface_of
    from steelyard.train.steps.model_files import lifted_model

    fold(model_path, folded_path)
    lifted = lifted_model(folded_path)
    return lifted, interface_of(lifted)


def _has_pools(path: Path) -> bool:
    """Return whether a file has pools over whole pictures."""
    import onnx

    graph = onnx.load_model(path, load_external_data=False).graph
    return any(node.op_type == "GlobalAveragePool" for node in graph.node)


def _calibrate(module: QuantizedModule, training: StepTraining, count: int, input_names: tuple[str, ...]) -> None:
    from steelyard.train.loop.memory import smaller_batch_proposed

    feeding = training.plain_feeding()
    with smaller_batch_proposed(feeding.batch_size):
        module.calibrate((batch.inputs for batch in feeding.plain(count)), input_names)


def _bits_note(bits: Mapping[str, int]) -> str:
    each = {count: [name for name, own in bits.items() if own == count] for count in sorted(set(bits.values()))}
    return "weights: " + ", ".join(f"{count} bits in {len(names)} layers" for count, names in each.items())

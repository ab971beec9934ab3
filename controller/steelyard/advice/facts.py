"""The facts that advice follows from: the model, the device, what runs it, and what was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from steelyard.advice.arithmetic import ARM, X86, has_half_arithmetic, has_int8_dot
from steelyard.advice.families import CONVOLUTION, OTHER, PRODUCT, RECURRENT, family_of
from steelyard.compress.processor import saturates_u8s8
from steelyard.layers.contract import Layer, LayerTable

# What a model mostly does.
CONVOLUTIONS = "convolutions"
TRANSFORMER = "transformer"
PERCEPTRON = "fully connected"
RECURRENCE = "recurrent"
MIXED = "mixed"
NOTHING_COUNTED = "nothing counted"

CPU_PROVIDERS = frozenset({"", "CPUExecutionProvider", "XNNPACK", "CPU"})
_FLOAT_BYTES = 4
_MOSTLY = 0.6
_REUSED = 4.0
_NORMALIZING = frozenset({"LayerNormalization", "Softmax", "SOFTMAX", "Attention", "SkipLayerNormalization"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """A model's file: ``model_format`` is "onnx" or "tflite", ``form`` its numeric form ("float32")."""

    name: str
    model_format: str
    form: str
    size_bytes: int
    table: LayerTable

    @property
    def mac_count(self) -> int:
        """Multiply-accumulates of one inference, of the layers whose are known."""
        return self.table.counted_mac_count

    @property
    def weight_bytes(self) -> int:
        """Bytes of the parameters in float32."""
        return _FLOAT_BYTES * self.table.parameter_count

    @property
    def reads_weights_once(self) -> bool:
        """Whether most parameters are in matrix products that use each of them about once an inference.

        Their bytes take longer than their products, so that fewer bytes may well be faster.
        """
        stored = [layer for layer in self._products if layer.weight_dtype]
        held = sum(layer.parameter_count for layer in stored)
        return self.stored_product_parameter_share >= 0.5 and sum(one.mac_count or 0 for one in stored) < _REUSED * held

    def mac_share(self, family: str) -> float:
        """Return the share of the counted multiply-accumulates in layers of a family."""
        return self._share([layer for layer in self.table.layers if family_of(layer.kind) == family])

    def has_kind(self, kind: str) -> bool:
        """Return whether any layer is of a kind, as the file calls it."""
        return any(layer.kind == kind for layer in self.table.layers)

    @property
    def depthwise_share(self) -> float:
        """Share of the multiply-accumulates in depthwise convolutions."""
        return self._share([layer for layer in self.table.layers if layer.is_depthwise])

    @property
    def depthwise_count(self) -> int:
        """How many depthwise convolutions there are."""
        return sum(layer.is_depthwise for layer in self.table.layers)

    @property
    def spelled_hard_swish_count(self) -> int:
        """How many HardSwish there are in four operators, x * clip(x + 3, 0, 6) / 6, as exporters write them."""
        made_by = {name: layer for layer in self.table.layers for name in layer.outputs}
        return sum(
            layer.kind == "Mul" and any(_is_gate(made_by.get(name), layer, made_by) for name in layer.inputs)
            for layer in self.table.layers
        )

    @property
    def hard_activation_share(self) -> float:
        """HardSwish and HardSigmoid over convolutions: onnxruntime has no 8-bit kernel for them."""
        convolution_count = sum(family_of(layer.kind) == CONVOLUTION for layer in self.table.layers)
        whole_count = sum(layer.kind in {"HardSigmoid", "HardSwish"} for layer in self.table.layers)
        count = whole_count + self.spelled_hard_swish_count
        return count / convolution_count if convolution_count else 0.0

    @property
    def stored_product_share(self) -> float:
        """Share of the multiply-accumulates in matrix products with stored weights: what dynamic int8 quantizes."""
        return self._share([layer for layer in self._products if layer.weight_dtype])

    @property
    def stored_product_parameter_share(self) -> float:
        """Share of the parameters in matrix products with stored weights."""
        held = sum(layer.parameter_count for layer in self._products if layer.weight_dtype)
        return min(1.0, held / self.table.parameter_count) if self.table.parameter_count else 0.0

    @property
    def stored_product_count(self) -> int:
        """How many matrix products have stored weights."""
        return sum(bool(layer.weight_dtype) for layer in self._products)

    @property
    def character(self) -> str:
        """What the model mostly does: one of the constants of this module."""
        if not self.mac_count:
            return NOTHING_COUNTED
        if self.mac_share(CONVOLUTION) >= _MOSTLY:
            return CONVOLUTIONS
        if self.mac_share(RECURRENT) >= _MOSTLY:
            return RECURRENCE
        if self.mac_share(PRODUCT) >= _MOSTLY:
            # A product of two activations is what attention has and a perceptron has not.
            attends = any(not layer.weight_dtype and layer.mac_count for layer in self._products)
            normalizes = any(layer.kind in _NORMALIZING for layer in self.table.layers)
            return TRANSFORMER if attends and normalizes else PERCEPTRON
        return MIXED

    @property
    def kinds(self) -> list[tuple[str, int, int, int]]:
        """(kind, layers, multiply-accumulates, bytes read and written) of each kind, what multiplies most first."""
        counts: Counter[str] = Counter(layer.kind for layer in self.table.layers)
        macs: Counter[str] = Counter()
        moved: Counter[str] = Counter()
        for layer in self.table.layers:
            macs[layer.kind] += layer.mac_count or 0
            moved[layer.kind] += layer.byte_count or 0
        return sorted(
            ((kind, counts[kind], macs[kind], moved[kind]) for kind in counts), key=lambda one: (-one[2], -one[3], one)
        )

    @property
    def _products(self) -> list[Layer]:
        return [layer for layer in self.table.layers if family_of(layer.kind) == PRODUCT]

    def _share(self, layers: list[Layer]) -> float:
        return sum(layer.mac_count or 0 for layer in layers) / self.mac_count if self.mac_count else 0.0


def _is_gate(clip: Layer | None, product: Layer, made_by: Mapping[str, Layer]) -> bool:
    """Say whether ``clip`` is the clip(x + 3) that ``product`` multiplies with x."""
    if clip is None or clip.kind != "Clip" or not clip.inputs:
        return False
    added = made_by.get(clip.inputs[0])
    return added is not None and added.kind == "Add" and bool(set(added.inputs) & set(product.inputs))


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeFacts:
    """A runtime that a device described; ``reason`` says why it cannot be used, "" when it can."""

    name: str
    version: str = ""
    environment: str = ""
    providers: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFacts:
    """A device as its agent probed it; empty texts and 0 where it does not say."""

    name: str
    processor: str = ""
    architecture: str = ""
    features: frozenset[str] = frozenset()
    memory_bytes: int = 0
    emulated_by: str = ""
    runtimes: tuple[RuntimeFacts, ...] = ()

    @property
    def is_x86(self) -> bool:
        """Whether its processor is an x86 one."""
        return self.architecture.lower() in X86

    @property
    def is_arm(self) -> bool:
        """Whether its processor is an Arm one."""
        return self.architecture.lower() in ARM

    @property
    def int8_dot(self) -> bool | None:
        """Whether it has dot products of bytes, None where its features do not tell."""
        return has_int8_dot(self.features)

    @property
    def half_arithmetic(self) -> bool | None:
        """Whether it multiplies float16, None where its features do not tell."""
        return has_half_arithmetic(self.features)

    @property
    def saturates(self) -> bool:
        """Whether sums of u8 times s8 overflow quietly."""
        return saturates_u8s8(self.features)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredTimes:
    """The time of each kind of operator, from the profile of a measurement of this model on this device.

    ``shares`` add up to 1; ``job_id`` is the measurement's.
    """

    job_id: str
    shares: dict[str, float]

    def share_of(self, families: frozenset[str]) -> float:
        """Return the share of the time in operators of these families."""
        return sum(share for kind, share in self.shares.items() if family_of(kind) in families)

    @property
    def longest_other(self) -> tuple[str, float]:
        """The kind of operator that takes most among those that do not multiply, and its share; ("", 0) for none."""
        others = {kind: share for kind, share in self.shares.items() if family_of(kind) == OTHER}
        kind = max(others, key=others.__getitem__, default="")
        return kind, others.get(kind, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """All that advice follows from.

    ``runtime`` and ``provider`` are what will run the model (provider "": the runtime's own). ``step_kinds`` are the
    steps that there are for the model's format. ``has_calibration``: a task with data to calibrate on was given.
    """

    model: ModelFacts
    device: DeviceFacts
    runtime: str
    step_kinds: frozenset[str]
    provider: str = ""
    has_calibration: bool = False
    times: MeasuredTimes | None = field(default=None)

    @property
    def on_cpu(self) -> bool:
        """Whether the processor runs the model, as far as the first provider tells."""
        return self.provider in CPU_PROVIDERS

    @property
    def by_onnxruntime(self) -> bool:
        """Whether ONNX Runtime's kernels for processors run the model."""
        return self.runtime == "onnxruntime" and self.on_cpu

    @property
    def by_litert(self) -> bool:
        """Whether LiteRT's kernels for processors run the model."""
        return self.runtime == "litert" and self.on_cpu

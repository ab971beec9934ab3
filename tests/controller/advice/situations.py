"""Situations for tests: models as tables of layers, devices as their agents describe them."""

from __future__ import annotations

from steelyard.advice.facts import DeviceFacts, MeasuredTimes, ModelFacts, RuntimeFacts, Situation
from steelyard.layers.contract import Layer, LayerTable

ALL_STEPS = frozenset({
    *("fold", "equalize", "float16", "dynamic-int8", "static-int8", "bias-correction", "adaround", "fallback"),
    *("weight-only", "share-weights", "low-rank", "sparsify"),
})  # fmt: skip
VNNI = frozenset({"avx2", "fma", "f16c", "avx512f", "avx512_vnni"})
AVX2 = frozenset({"avx2", "fma", "f16c"})
CORTEX_A72 = frozenset({"asimd"})
CORTEX_A76 = frozenset({"asimd", "asimddp", "fphp", "asimdhp"})


def layer(
    kind: str,
    macs: int | None = 0,
    *,
    parameters: int = 0,
    stored: bool | None = None,
    is_depthwise: bool = False,
    reason: str = "",
) -> Layer:
    """One layer; it has stored weights when it has parameters, if not said otherwise."""
    has_weights = parameters > 0 if stored is None else stored
    return Layer(
        index=0,
        name=kind.lower(),
        kind=kind,
        inputs=("x",),
        outputs=("y",),
        mac_count=macs,
        parameter_count=parameters,
        byte_count=100,
        weight_dtype="float32" if has_weights else "",
        is_depthwise=is_depthwise,
        reason=reason,
    )


def table(*layers: Layer) -> LayerTable:
    return LayerTable(layers=layers, parameter_count=sum(one.parameter_count for one in layers))


RESNET = table(
    layer("Conv", 12_000_000, parameters=75_000), layer("Relu"), layer("Add"), layer("Gemm", 640, parameters=650)
)
MOBILENET = table(
    layer("Conv", 80_000_000, parameters=300_000),
    layer("Conv", 12_000_000, parameters=20_000, is_depthwise=True),
    layer("Gemm", 128_000, parameters=128_000),
)
TRANSFORMER = table(
    layer("MatMul", 50_000_000, parameters=800_000),
    layer("MatMul", 2_000_000),
    layer("Softmax"),
    layer("LayerNormalization", 0, parameters=256, stored=False),
)
PERCEPTRON = table(layer("Gemm", 260_000, parameters=264_000), layer("Relu"), layer("Gemm", 4_000, parameters=4_000))
LSTM = table(layer("LSTM", 30_000_000, parameters=900_000), layer("Gemm", 65_000, parameters=65_000))
_GATE = (
    Layer(index=0, name="c", kind="Conv", inputs=("x",), outputs=("c",), mac_count=9_000_000, parameter_count=90_000,
        byte_count=100, weight_dtype="float32"),
    Layer(index=1, name="a", kind="Add", inputs=("c", "three"), outputs=("a",), mac_count=0, parameter_count=0,
        byte_count=100),
    Layer(index=2, name="k", kind="Clip", inputs=("a", "zero", "six"), outputs=("k",), mac_count=0, parameter_count=0,
        byte_count=100),
    Layer(index=3, name="m", kind="Mul", inputs=("c", "k"), outputs=("m",), mac_count=0, parameter_count=0,
        byte_count=100),
    Layer(index=4, name="d", kind="Div", inputs=("m", "six"), outputs=("d",), mac_count=0, parameter_count=0,
        byte_count=100),
)  # fmt: skip
SPELLED_OUT = table(*_GATE, layer("Conv", 1_000_000, parameters=10_000, is_depthwise=True))
CONTROL_FLOW = table(layer("If", None, reason="which of its graphs runs, and how often, is not in the file"))
TFLITE_NET = table(layer("CONV_2D", 5_000_000, parameters=400_000), layer("FULLY_CONNECTED", 1_000, parameters=1_000))


def device(features: frozenset[str] = VNNI, architecture: str = "x86_64", **changes: object) -> DeviceFacts:
    runtimes = (
        RuntimeFacts(name="onnxruntime", version="1.32.0", providers=("CPUExecutionProvider",)),
        RuntimeFacts(name="litert", version="2.3.0", providers=("XNNPACK",)),
        RuntimeFacts(name="tflite-runtime", reason="it is not installed"),
    )
    settings = {"name": "bench", "memory_bytes": 8 << 30, "runtimes": runtimes} | changes
    return DeviceFacts(features=features, architecture=architecture, **settings)


def situation(
    layers: LayerTable = RESNET,
    on: DeviceFacts | None = None,
    *,
    runtime: str = "onnxruntime",
    form: str = "float32",
    provider: str = "",
    has_calibration: bool = True,
    times: MeasuredTimes | None = None,
    step_kinds: frozenset[str] = ALL_STEPS,
) -> Situation:
    return Situation(
        model=ModelFacts(
            name="net",
            model_format="tflite" if runtime in {"litert", "tflite-runtime"} else "onnx",
            form=form,
            size_bytes=4 * layers.parameter_count + 1000,
            table=layers,
        ),
        device=on if on is not None else device(),
        runtime=runtime,
        provider=provider,
        step_kinds=step_kinds,
        has_calibration=has_calibration,
        times=times,
    )

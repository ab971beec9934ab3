"""What recipes did to the speed of other models: priors with their sources, never figures of the model at hand."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.advice.contract import Expectation
from steelyard.advice.facts import CONVOLUTIONS, PERCEPTRON, RECURRENCE, TRANSFORMER, Situation
from steelyard.advice.families import CONVOLUTION, PRODUCT, RECURRENT
from steelyard.advice.kernel_costs import expected_by_costs

_ANY = "any"
_VNNI = "on an x86 core with VNNI"
_QUANTIZED = frozenset({CONVOLUTION, PRODUCT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """A range of speed-ups of a step's kind on models of a character, in one runtime.

    ``int8_dot``: for processors with (True) or without (False) dot products of bytes, None for all. ``has_depthwise``:
    for models with (True) or without (False) depthwise convolutions, None for all. ``has_hard_activations``: the same
    for models with HardSwish or HardSigmoid behind many of their convolutions.
    """

    runtime: str
    kind: str
    character: str
    low: float
    high: float
    evidence: str
    int8_dot: bool | None = None
    has_depthwise: bool | None = None
    has_hard_activations: bool | None = None


# One of them behind three convolutions or more often.
_MANY_HARD_ACTIVATIONS = 0.3
# The figures are single-thread ratios against float32 of the same model and runtime, one pinned core, interleaved, on
# x86-64 with AVX-512 VNNI, onnxruntime 1.32 and LiteRT 2.3: a MobileNetV2 of 0.40 M parameters, MLPerf Tiny's ResNet8,
# two transformer blocks (width 128, 64 tokens). Ranges are somewhat wider than what was seen.
PRIORS = (
    # Set after the text line classifier had been measured.
    Prior(
        runtime="onnxruntime", kind="static-int8", character=CONVOLUTIONS, low=0.5, high=1.4, int8_dot=True,
        has_hard_activations=True,
        evidence=(
            f"a MobileNetV3 for text lines ran 0.6x {_VNNI}: HardSwish and HardSigmoid have no 8-bit kernels, and "
            "every one has conversions around it"
        ),
    ),
    Prior(
        runtime="onnxruntime", kind="fold", character=_ANY, low=1.0, high=1.5,
        evidence="a MobileNetV3 for text lines ran 1.3x with each HardSwish in two operators",
    ),
    Prior(
        runtime="onnxruntime", kind="static-int8", character=CONVOLUTIONS, low=1.2, high=2.6, int8_dot=True,
        has_depthwise=False, evidence=f"a ResNet8 ran 1.6x to 1.8x and a small CNN 1.7x {_VNNI}",
    ),
    # 8-bit kernels of narrow depthwise convolutions (8 channels) are slower than blocked float ones.
    Prior(
        runtime="onnxruntime", kind="static-int8", character=CONVOLUTIONS, low=0.7, high=4.2, int8_dot=True,
        has_depthwise=True,
        evidence=(
            "separable networks differ most: MLPerf Tiny's MobileNet ran 0.80x and DS-CNN 1.05x, a MobileNetV2 1.84x, "
            f"a voice detector 4.1x {_VNNI}"
        ),
    ),
    Prior(
        runtime="onnxruntime", kind="static-int8", character=TRANSFORMER, low=1.0, high=2.8, int8_dot=True,
        evidence=f"two transformer blocks ran 1.42x, a MiniLM 2.7x {_VNNI}; others report 2.2x of BERT-size models",
    ),
    Prior(
        runtime="onnxruntime", kind="dynamic-int8", character=TRANSFORMER, low=1.2, high=3.1, int8_dot=True,
        evidence=f"two transformer blocks ran 1.81x, a MiniLM 2.45x {_VNNI}; others report 3.1x of BERT-size models",
    ),
    Prior(
        runtime="onnxruntime", kind="dynamic-int8", character=RECURRENCE, low=1.5, high=3.8, int8_dot=True,
        evidence=f"a speaker encoder of three LSTM layers ran 3.3x {_VNNI}",
    ),
    Prior(
        runtime="onnxruntime", kind="dynamic-int8", character=PERCEPTRON, low=1.1, high=2.4, int8_dot=True,
        evidence=f"an autoencoder of fully connected layers ran 1.6x {_VNNI}",
    ),
    Prior(
        runtime="onnxruntime", kind="static-int8", character=PERCEPTRON, low=0.9, high=1.7, int8_dot=True,
        evidence=f"an autoencoder of fully connected layers ran 1.2x {_VNNI}",
    ),
    Prior(
        runtime="onnxruntime", kind="weight-only", character=PERCEPTRON, low=0.9, high=1.9, int8_dot=True,
        evidence=f"an autoencoder of fully connected layers ran 1.5x {_VNNI}: each weight is read once",
    ),
    # Without the dot product nothing was timed on a real processor: emulated Arm shows a direction, never a time.
    Prior(
        runtime="onnxruntime", kind="static-int8", character=CONVOLUTIONS, low=0.7, high=2.0, int8_dot=False,
        evidence="no such processor was timed by us; 8 bits save memory traffic there, arithmetic hardly",
    ),
    Prior(
        runtime="onnxruntime", kind="static-int8", character=TRANSFORMER, low=0.7, high=2.0, int8_dot=False,
        evidence="no such processor was timed by us; 8 bits save memory traffic there, arithmetic hardly",
    ),
    Prior(
        runtime="onnxruntime", kind="dynamic-int8", character=TRANSFORMER, low=0.7, high=2.0, int8_dot=False,
        evidence="no such processor was timed by us; 8 bits save memory traffic there, arithmetic hardly",
    ),
    Prior(
        runtime="onnxruntime", kind="weight-only", character=_ANY, low=0.8, high=1.4,
        evidence=(
            "4 and 8 bits of two transformer blocks ran 0.91x and 0.95x, 8 bits of a MiniLM 1.31x, of three CNNs 0.92x "
            "to 1.14x: weights are unpacked as it runs"
        ),
    ),
    Prior(
        runtime="litert", kind="static-int8", character=CONVOLUTIONS, low=1.4, high=3.3, int8_dot=True,
        evidence=f"a MobileNetV2 ran 1.77x, a keyword spotter 2.15x, a ResNet8 3.11x {_VNNI}",
    ),
    Prior(
        runtime="litert", kind="dynamic-int8", character=CONVOLUTIONS, low=1.0, high=2.4, int8_dot=True,
        evidence=f"a keyword spotter ran 1.40x, a ResNet8 2.30x {_VNNI}; depthwise convolutions stay in float",
    ),
    Prior(
        runtime="litert", kind="dynamic-int8", character=TRANSFORMER, low=1.4, high=2.6, int8_dot=True,
        evidence=f"two transformer blocks ran 2.35x {_VNNI}",
    ),
    Prior(
        runtime="litert", kind="static-int8", character=TRANSFORMER, low=0.4, high=1.0, int8_dot=True,
        evidence=f"two transformer blocks ran 0.58x {_VNNI}",
    ),
    Prior(
        runtime="litert", kind="weight-only", character=_ANY, low=0.9, high=1.1,
        evidence="three models ran 0.99x to 1.00x: weights are unpacked when the model is loaded",
    ),
    Prior(
        runtime="litert", kind="float16", character=_ANY, low=0.9, high=1.1,
        evidence="three models ran 1.0x: weights are unpacked when the model is loaded",
    ),
)  # fmt: skip


def expectation(situation: Situation, kind: str) -> Expectation | None:
    """Return what a step of a kind may do to the speed of this model here, None where nothing comparable is known.

    By the costs of its layers where these are known, else by what became of other models. Where the model's time was
    measured on the device, the share of it that the step cannot touch bounds that range (Amdahl 1967). ``kind`` may
    have settings ("static-int8,per_channel=false").
    """
    by_costs = expected_by_costs(situation, kind)
    if by_costs is not None:
        return by_costs
    kind = kind.partition(",")[0]
    prior = _prior(situation, kind)
    if prior is None:
        return None
    if situation.times is None or kind not in {"static-int8", "dynamic-int8"}:
        return Expectation(low=prior.low, high=prior.high, evidence=prior.evidence)
    share = situation.times.share_of(quantized_families(situation, kind))
    return Expectation(
        low=min(prior.low, _whole(share, prior.low)),
        high=_whole(share, prior.high),
        evidence=(
            f"{prior.evidence}; {100 * share:.0f} % of this model's time here is in operators that it quantizes "
            f"(measurement {situation.times.job_id[:12]})"
        ),
    )


def quantized_families(situation: Situation, kind: str) -> frozenset[str]:
    """Return the families of operators that a step of 8 bits takes on: ``kind`` "static-int8" or "dynamic-int8"."""
    if kind == "static-int8":
        return _QUANTIZED
    return _QUANTIZED if situation.by_litert else frozenset({PRODUCT, RECURRENT})


def _prior(situation: Situation, kind: str) -> Prior | None:
    if not situation.on_cpu or situation.device.emulated_by:
        return None
    character = situation.model.character
    # A perceptron is matrix products with nothing between them, as most of a transformer is.
    characters = {character, _ANY} | ({TRANSFORMER} if character == PERCEPTRON and kind == "dynamic-int8" else set())
    return next(
        (
            one
            for one in PRIORS
            if (one.runtime, one.kind) == (situation.runtime, kind)
            and one.character in characters
            and one.int8_dot in {None, situation.device.int8_dot}
            and one.has_depthwise in {None, situation.model.depthwise_count > 0}
            and one.has_hard_activations in {None, situation.model.hard_activation_share >= _MANY_HARD_ACTIVATIONS}
        ),
        None,
    )


def _whole(share: float, ratio: float) -> float:
    """Return the speed-up of the whole where a share of the time becomes ``ratio`` times faster."""
    return 1.0 / ((1.0 - share) + share / ratio)

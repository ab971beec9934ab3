"""Who quantizes: our recipes and the peers, each peer in a virtual environment of its own."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.compression.compress_process import QuantizerError
from benchmarks.peer_environments import PeerEnvironmentError, environment_python, pinned_versions

ONNX, TFLITE = "onnx", "tflite"
_ORT_PROGRAM = "quantize_with_onnxruntime.py"
_OUR_PROGRAM = "quantize_with_steelyard.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantizer:
    """One way to make an int8 file: a program of ``peer_programs``, with settings and the environment that it runs in.

    ``environment`` names ``tools/requirements-bench-NAME.txt`` and the folder ``.venv-bench-NAME``; "" is our own.
    """

    name: str
    program: str
    formats: frozenset[str]
    environment: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a quantizer of no format."""
        if not self.formats or not self.formats <= {ONNX, TFLITE}:
            raise ValueError(f"{self.name}: formats are {ONNX} and {TFLITE}, not {sorted(self.formats)}")

    @property
    def is_ours(self) -> bool:
        """Whether it is a recipe of ours, and no peer."""
        return not self.environment


def our_quantizers(processor_features: Sequence[str]) -> tuple[Quantizer, ...]:
    """Return our recipes: the default, and the one with the repairs that take seconds."""
    features = list(processor_features)
    return (
        Quantizer(
            name="static-int8",
            program=_OUR_PROGRAM,
            formats=frozenset({ONNX, TFLITE}),
            settings={"recipe": "static-int8", "processor_features": features},
        ),
        Quantizer(
            name="int8-careful",
            program=_OUR_PROGRAM,
            formats=frozenset({ONNX}),
            settings={"recipe": "int8-careful", "processor_features": features},
        ),
    )


# onnxruntime twice: as its documentation says to begin (S8S8, defaults), and as is fastest on x86 with VNNI.
PEERS = (
    Quantizer(
        name="onnxruntime s8s8",
        program=_ORT_PROGRAM,
        formats=frozenset({ONNX}),
        environment="onnxruntime",
        settings={"activation_type": "QInt8", "weight_type": "QInt8", "per_channel": False},
    ),
    Quantizer(
        name="onnxruntime u8s8 per channel",
        program=_ORT_PROGRAM,
        formats=frozenset({ONNX}),
        environment="onnxruntime",
        settings={"activation_type": "QUInt8", "weight_type": "QInt8", "per_channel": True},
    ),
    Quantizer(name="NNCF", program="quantize_with_nncf.py", formats=frozenset({ONNX}), environment="nncf"),
    Quantizer(
        name="neural-compressor",
        program="quantize_with_neural_compressor.py",
        formats=frozenset({ONNX}),
        environment="neural-compressor",
    ),
    Quantizer(name="AIMET-ONNX", program="quantize_with_aimet.py", formats=frozenset({ONNX}), environment="aimet-onnx"),
    Quantizer(
        name="litert-quantizer", program="quantize_with_litert.py", formats=frozenset({TFLITE}), environment="litert"
    ),
)


def python_of(quantizer: Quantizer) -> Path:
    """Return the interpreter that a quantizer runs under; its environment is made on first use.

    Raises:
        QuantizerError: the environment does not install.
    """
    if quantizer.is_ours:
        return Path(sys.executable)
    try:
        return environment_python(quantizer.environment)
    except PeerEnvironmentError as error:
        raise QuantizerError(str(error)) from error


def versions_of(quantizer: Quantizer) -> dict[str, str]:
    """Return the pinned versions of a peer's environment."""
    return pinned_versions(quantizer.environment)

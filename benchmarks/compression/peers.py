"""Who quantizes: our recipes and the peers, each peer in a virtual environment of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.compression.compress_process import QuantizerError, last_line

_ROOT = Path(__file__).resolve().parents[2]
_STAMP = ".installed"
_INSTALL_LIMIT_S = 900.0
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
    folder = _ROOT / f".venv-bench-{quantizer.environment}"
    python = folder / "bin" / "python"
    requirements = _ROOT / "tools" / f"requirements-bench-{quantizer.environment}.txt"
    stamp = folder / _STAMP
    if not stamp.is_file() or stamp.read_text() != requirements.read_text():
        if not python.exists():
            _install([sys.executable, "-m", "venv", str(folder)], quantizer.environment)
        # Everything is pinned, and some packages ask for others that they run without (the files say which).
        pip = [str(python), "-m", "pip", "install", "-q", "--no-deps", "-r", str(requirements)]
        _install(pip, quantizer.environment)
        stamp.write_text(requirements.read_text())
    return python


def _install(command: list[str], environment: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_INSTALL_LIMIT_S)
    except subprocess.CalledProcessError as error:
        raise QuantizerError(f"{environment} does not install: {last_line(error.stderr)}") from error
    except subprocess.TimeoutExpired as error:
        raise QuantizerError(f"{environment} did not install within {_INSTALL_LIMIT_S:.0f} s") from error


def versions_of(quantizer: Quantizer) -> dict[str, str]:
    """Return the pinned versions of a peer's environment."""
    lines = (_ROOT / "tools" / f"requirements-bench-{quantizer.environment}.txt").read_text().splitlines()
    pairs = (line.partition("==") for line in lines if not line.startswith("#"))
    return {name: number for name, _, number in pairs if number}

"""LiteRT (TensorFlow Lite) through ai-edge-litert: .tflite files, threads, delegates.

Providers: "XNNPACK" (the default, what the runtime applies by itself), "CPU" (built-in kernels without a delegate),
"delegate:/path/lib.so" for any external delegate, and the names of known delegate libraries.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from steelyard_agent.runtimes.tflite_delegates import delegate_probes
from steelyard_agent.runtimes.tflite_interpreter import load_interpreter
from steelyard_agent.worker.contract import LoadedModel, ProviderProbe, RuntimeOptions
from steelyard_agent.worker.failure import BlockFailure, BlockStatus


class LiteRt:
    """The adapter of the ai-edge-litert package."""

    name = "litert"
    suffixes = frozenset({".tflite"})

    def version(self) -> str:
        """Import the library and return its version."""
        _library()
        import ai_edge_litert

        return str(ai_edge_litert.__version__)

    def probe(self) -> tuple[ProviderProbe, ...]:
        """Return the interpreter's own ways and the known delegates; see the contract."""
        _library()
        return delegate_probes()

    def load(self, model_path: Path, options: RuntimeOptions) -> LoadedModel:
        """Create an interpreter and allocate its tensors; see the contract."""
        product = f"LiteRT {self.version()}"
        return load_interpreter(_library(), model_path, options, runtime_name=self.name, product=product)


def _library() -> Any:
    try:
        from ai_edge_litert import interpreter
    except ImportError as error:
        raise BlockFailure(
            BlockStatus.RUNTIME_MISSING,
            "no_litert",
            f"LiteRT cannot be imported here ({error}); pip install 'steelyard[litert]', in another environment "
            "than the agent's pip install ai-edge-litert, or on a 32-bit board use --runtime tflite-runtime",
        ) from error
    return interpreter

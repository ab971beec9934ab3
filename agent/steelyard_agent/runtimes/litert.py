"""LiteRT (TensorFlow Lite) through ai-edge-litert: .tflite files, threads, delegates.

Providers: "XNNPACK" (the default, what the runtime applies by itself), "CPU" (built-in kernels without a delegate),
"delegate:/path/lib.so" for any external delegate, and the names of known delegate libraries.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from steelyard_agent.runtimes.litert_compiled import KNOWN_VERSION, ProfiledLiteRt
from steelyard_agent.runtimes.tflite_delegates import CPU, XNNPACK, delegate_probes
from steelyard_agent.runtimes.tflite_interpreter import NO_ARENA, load_interpreter
from steelyard_agent.worker.contract import LoadedModel, ProviderProbe, RuntimeOptions
from steelyard_agent.worker.failure import BlockFailure, BlockStatus
from steelyard_agent.worker.profiled import NoProfileError, ProfiledModel


class LiteRt:
    """The adapter of the ai-edge-litert package."""

    name = "litert"
    suffixes = frozenset({".tflite"})
    no_arena_because = NO_ARENA

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

    def load_profiled(self, model_path: Path, options: RuntimeOptions) -> ProfiledModel:
        """Load the model into a CompiledModel, which has a profiler; see the contract."""
        import ai_edge_litert

        # First as it is timed: what cannot be loaded, or would fall back, is refused in the same words.
        model = self.load(model_path, options)
        version = self.version()
        if not version.startswith(KNOWN_VERSION):
            raise NoProfileError(
                f"LiteRT's profiler is reached through its C interface, known of {KNOWN_VERSION}0; here is {version}"
            )
        if others := [spec.name for spec in options.providers if spec.name not in (CPU, XNNPACK)]:
            raise NoProfileError(f"LiteRT's profiler is tried with XNNPACK and its own kernels only, not {others[0]}")
        return ProfiledLiteRt(
            Path(ai_edge_litert.__file__).parent / "libLiteRt.so",
            model_path,
            model,
            thread_count=options.intra_op_thread_count or 1,
            builtin=bool(options.providers) and options.providers[0].name == CPU,
            product=f"LiteRT {version}",
        )


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

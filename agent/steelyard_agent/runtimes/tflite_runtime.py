"""TensorFlow Lite through tflite-runtime 2.14, the last release: what 32-bit boards have in place of LiteRT.

It needs Python 3.11 or older and numpy below 2, so it lives in a runtime environment of its own. Its kernels are not
LiteRT's: on x86 its int8 ran at 0.09 times the speed of float where LiteRT's ran at 1.77 times. Results carry its name,
and no series mixes the two.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from steelyard_agent.runtimes.tflite_delegates import delegate_probes
from steelyard_agent.runtimes.tflite_interpreter import NO_ARENA, load_interpreter
from steelyard_agent.worker.contract import LoadedModel, ProviderProbe, RuntimeOptions
from steelyard_agent.worker.failure import BlockFailure, BlockStatus


class TfliteRuntime:
    """The adapter of the tflite-runtime package."""

    name = "tflite-runtime"
    suffixes = frozenset({".tflite"})
    no_arena_because = NO_ARENA
    no_profile_because = (
        "tflite-runtime's Python package has no profiler; LiteRT 2.3 has one (--runtime litert), whose kernels differ"
    )

    def version(self) -> str:
        """Import the library and return its version."""
        _library()
        import tflite_runtime

        return str(tflite_runtime.__version__)

    def probe(self) -> tuple[ProviderProbe, ...]:
        """Return the interpreter's own ways and the known delegates; see the contract."""
        _library()
        return delegate_probes()

    def load(self, model_path: Path, options: RuntimeOptions) -> LoadedModel:
        """Create an interpreter and allocate its tensors; see the contract."""
        product = f"tflite-runtime {self.version()}"
        return load_interpreter(_library(), model_path, options, runtime_name=self.name, product=product)


def _library() -> Any:
    import numpy as np

    try:
        import tflite_runtime
    except ImportError as error:
        raise BlockFailure(
            BlockStatus.RUNTIME_MISSING,
            "no_tflite_runtime",
            f"tflite-runtime cannot be imported here ({error}); it needs Python 3.11 or older and numpy below 2: give "
            "it an environment of its own with steelyard-agent environment add",
        ) from error
    # With numpy 2 the import succeeds, with a page on standard error, and every Interpreter() fails.
    if int(np.__version__.split(".")[0]) >= 2:
        raise BlockFailure(
            BlockStatus.RUNTIME_MISSING,
            "numpy_too_new",
            f"tflite-runtime {tflite_runtime.__version__} was built for numpy below 2 and finds numpy {np.__version__} "
            "here: pip install 'numpy<2' in an environment of its own (steelyard-agent environment add)",
        )
    from tflite_runtime import interpreter

    return interpreter

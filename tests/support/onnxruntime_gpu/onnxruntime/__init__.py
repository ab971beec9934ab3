"""Stands before the real ONNX Runtime on PYTHONPATH and makes it answer as the build with NVIDIA's providers does.

Inference is real and on the CPU. The answers are those of onnxruntime-gpu: it has both providers, a session registers
those that it was asked for, and of its nodes TensorRT takes all but the last, which CUDA takes; CUDA alone takes all.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

_CPU, _CUDA, _TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"


def _real_library() -> Any:
    """Import the library behind this one, and leave it in this one's place."""
    ours = Path(__file__).parent.parent
    kept = sys.path[:]
    sys.path[:] = [one for one in kept if Path(one).resolve() != ours]
    del sys.modules["onnxruntime"]
    try:
        import onnxruntime as real

        return real
    finally:
        sys.path[:] = kept


_real = _real_library()
_RealSession = _real.InferenceSession


class _Session(_RealSession):  # type: ignore[misc]
    """Runs on the CPU and says where an NVIDIA GPU would have run it."""

    def __init__(
        self, path: str, _options: object, *, providers: list[tuple[str, dict[str, str]]], **_: object
    ) -> None:
        options = _real.SessionOptions()
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        self._asked = [name for name, _ in providers if name != _CPU]
        super().__init__(path, options, providers=[_CPU])

    def get_providers(self) -> list[str]:
        return [*self._asked, _CPU]

    def get_provider_graph_assignment_info(self) -> list[SimpleNamespace]:
        nodes = [node for part in super().get_provider_graph_assignment_info() for node in part.get_nodes()]
        left_over = nodes[-1:] if _TENSORRT in self._asked else nodes
        shares = {_TENSORRT: nodes[: len(nodes) - len(left_over)], _CUDA: left_over}
        return [
            SimpleNamespace(ep_name=name, get_nodes=lambda took=took: took) for name, took in shares.items() if took
        ]


_real.InferenceSession = _Session
_real.get_available_providers = lambda: [_TENSORRT, _CUDA, _CPU]

"""Whether the library of a provider that a build of ONNX Runtime has can be loaded on this machine.

A build for CUDA lists CUDA as available on a machine without it, and then runs the model on the CPU: observed with
onnxruntime-gpu 1.31.1, whose only word on it is a line of its log.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

# Providers that come as a library beside the Python module; others are part of it.
_LIBRARIES = {
    "CUDAExecutionProvider": "libonnxruntime_providers_cuda.so",
    "TensorrtExecutionProvider": "libonnxruntime_providers_tensorrt.so",
    "OpenVINOExecutionProvider": "libonnxruntime_providers_openvino.so",
    "QNNExecutionProvider": "libonnxruntime_providers_qnn.so",
}


def why_not_loadable(library: Any, name: str) -> str:
    """Return why the library of a provider cannot be loaded, "" when it can or when there is none to load.

    Not before a session that is to use the provider: what is loaded by hand finds no host, and keeps that.
    """
    path = Path(library.__file__).parent / "capi" / _LIBRARIES.get(name, "")
    if not path.is_file():
        return ""
    try:
        ctypes.CDLL(str(path))
    except OSError as error:
        return f"{error}; install what it needs, or name another provider"
    return ""

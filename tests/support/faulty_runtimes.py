"""Runtimes that answer wrongly, as a plugin that a real agent finds: a folder for PYTHONPATH.

Each runs ONNX Runtime and then does what a broken device does:

- ``scaled``: the weights of the second convolution are half as large again, so that layers diverge from there on;
- ``half_nan``: half of the values of each output are NaN;
- ``saturated``: bytes leave with seven bits;
- ``imprecise``: floats leave with the noise of another order of the same sums;
- ``crashing``: reads where there is no memory as soon as it runs (SIGSEGV).
"""

from __future__ import annotations

from pathlib import Path

NAMES = ("scaled", "half_nan", "saturated", "imprecise", "crashing")

_MODULE = """
import tempfile
from pathlib import Path

import numpy as np

from steelyard_agent.runtimes.onnxruntime import OnnxRuntime


class _Answering:
    def __init__(self, model, answer):
        self._model, self._answer = model, answer

    def __getattr__(self, name):
        return getattr(self._model, name)

    def fetch(self):
        return {name: self._answer(values) for name, values in self._model.fetch().items()}


class _Faulty(OnnxRuntime):
    def load(self, model_path, options):
        return _Answering(super().load(model_path, options), self.answer)


class Scaled(OnnxRuntime):
    name = "scaled"

    def load(self, model_path, options):
        import onnx
        from onnx import numpy_helper

        model = onnx.load(model_path)
        for tensor in model.graph.initializer:
            if tensor.name == "kernel1":
                tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(1.5), tensor.name))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "scaled.onnx")
            onnx.save(model, path)
            return super().load(path, options)


class HalfNan(_Faulty):
    name = "half_nan"

    def answer(self, values):
        if values.dtype.kind == "f":
            values = values.copy()
            values.reshape(-1)[::2] = np.nan
        return values


class Saturated(_Faulty):
    name = "saturated"

    def answer(self, values):
        return np.clip(values, -64, 63) if values.dtype == np.int8 else values


class Imprecise(_Faulty):
    name = "imprecise"

    def answer(self, values):
        if values.dtype != np.float32:
            return values
        noise = np.random.default_rng(0).uniform(-2e-7, 2e-7, values.shape).astype(np.float32)
        return values + noise * (values.max() - values.min())


class _Crash:
    def __init__(self, model):
        self._model = model

    def __getattr__(self, name):
        return getattr(self._model, name)

    def bind(self, feeds):
        import ctypes

        return lambda: ctypes.string_at(0)


class Crashing(OnnxRuntime):
    name = "crashing"

    def load(self, model_path, options):
        return _Crash(super().load(model_path, options))
"""


def install(folder: Path) -> Path:
    """Write the plugin into a folder and return it."""
    (folder / "faulty_runtimes.py").write_text(_MODULE)
    info = folder / "faulty_runtimes-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty-runtimes\nVersion: 1\n")
    classes = {name: "".join(part.capitalize() for part in name.split("_")) for name in NAMES}
    lines = [f"{name} = faulty_runtimes:{classes[name]}" for name in NAMES]
    (info / "entry_points.txt").write_text("\n".join(["[steelyard_agent.runtimes]", *lines, ""]))
    return folder

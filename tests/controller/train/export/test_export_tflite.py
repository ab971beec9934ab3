"""TFLite and Core ML from a module: checked numerically where they can be run."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard.train.errors import ExtraMissingError
from steelyard.train.export.coreml_package import export_coreml
from steelyard.train.export.example import Interface
from steelyard.train.export.tflite_file import export_tflite
from steelyard.train.lift.lifted import TensorForm

torch = pytest.importorskip("torch", reason="torch is not installed (pip install 'steelyard[train]')")

FORM = TensorForm(name="image", dtype="float32", shape=(None, 3, 8, 6), sample_shape=(3, 3, 8, 6))


def network() -> object:
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(192, 5)
    ).eval()


def test_a_module_becomes_tflite_with_channels_last_and_the_same_outputs(tmp_path: Path) -> None:
    pytest.importorskip("litert_torch", reason="litert-torch is not installed (pip install 'steelyard[train-tflite]')")
    from steelyard.artifacts import read_artifact

    made = export_tflite(network(), Interface(inputs=(FORM,), output_names=("scores",)), tmp_path / "m.tflite")
    assert made.difference < 1e-5
    assert made.channels_last == ("image",)
    (spec,) = read_artifact(made.path).signature.inputs
    assert [one.size for one in spec.dimensions] == [1, 8, 6, 3]


def test_a_module_becomes_core_ml_and_says_where_it_could_not_be_run(tmp_path: Path) -> None:
    pytest.importorskip("coremltools", reason="coremltools is not installed (pip install 'steelyard[train-coreml]')")
    made = export_coreml(network(), Interface(inputs=(FORM,), output_names=("scores",)), tmp_path / "m.mlpackage")
    assert (made.path / "Manifest.json").is_file()
    assert made.difference is not None or "macOS only" in made.reason


@pytest.mark.parametrize(("module", "export"), [("litert_torch", export_tflite), ("coremltools", export_coreml)])
def test_without_the_package_the_pip_line_is_told(
    tmp_path: Path, module: str, export: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, module, None)
    assert callable(export)
    with pytest.raises(ExtraMissingError, match=rf"needs {module}.*pip install 'steelyard\[train-"):
        export(network(), Interface(inputs=(FORM,), output_names=("scores",)), tmp_path / "m")

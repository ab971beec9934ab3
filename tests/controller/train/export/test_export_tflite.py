"""TFLite and Core ML from a module: checked numerically where they can be run."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from steelyard.cli.convert import convert
from steelyard.train.errors import ExtraMissingError
from steelyard.train.export.coreml_package import export_coreml
from steelyard.train.export.example import Interface
from steelyard.train.export.tflite_file import export_tflite
from steelyard.train.lift.lifted import TensorForm
from tests.support.models import conv_model

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


def test_more_than_ten_inputs_and_outputs_are_compared_in_their_order(tmp_path: Path) -> None:
    pytest.importorskip("litert_torch", reason="litert-torch is not installed (pip install 'steelyard[train-tflite]')")

    class Scaled(torch.nn.Module):
        def forward(self, *values: object) -> tuple[object, ...]:
            return tuple(one * (place + 2) for place, one in enumerate(values))

    count = 12
    forms = tuple(
        TensorForm(name=f"in{place}", dtype="float32", shape=(None, 3), sample_shape=(3, 3)) for place in range(count)
    )
    interface = Interface(inputs=forms, output_names=tuple(f"out{place}" for place in range(count)))
    assert export_tflite(Scaled(), interface, tmp_path / "m.tflite").difference < 1e-5


def test_a_module_becomes_core_ml_and_says_where_it_could_not_be_run(tmp_path: Path) -> None:
    pytest.importorskip("coremltools", reason="coremltools is not installed (pip install 'steelyard[train-coreml]')")
    made = export_coreml(network(), Interface(inputs=(FORM,), output_names=("scores",)), tmp_path / "m.mlpackage")
    assert (made.path / "Manifest.json").is_file()
    assert made.difference is not None or "macOS only" in made.reason


def test_an_onnx_model_becomes_tflite_by_the_command(tmp_path: Path) -> None:
    pytest.importorskip("litert_torch", reason="litert-torch is not installed (pip install 'steelyard[train-tflite]')")
    source, out = conv_model(tmp_path / "m.onnx", size=8, classes=3), tmp_path / "m.tflite"
    done = CliRunner().invoke(
        convert, [str(source), "--to", "tflite", "-o", str(out), "--json"], catch_exceptions=False
    )
    told = json.loads(done.stdout)
    assert (told["kind"], told["form"], told["channels_last"]) == ("convert", "tflite", ["image"])
    assert told["relative_difference"] < 1e-4
    assert out.read_bytes()[4:8] == b"TFL3"


@pytest.mark.parametrize(("form", "package"), [("tflite", "litert_torch"), ("coreml", "coremltools")])
def test_the_command_writes_over_nothing_and_names_what_is_missing(
    tmp_path: Path, form: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    words = [str(conv_model(tmp_path / "m.onnx", size=8, classes=3)), "--to", form, "-o", str(tmp_path / "out")]
    missing = CliRunner().invoke(convert, words)
    assert isinstance(missing.exception, ExtraMissingError)
    (tmp_path / "out").write_bytes(b"mine")
    assert CliRunner().invoke(convert, words).exception.reason == "output_exists"
    assert (tmp_path / "out").read_bytes() == b"mine"


@pytest.mark.parametrize(("module", "export"), [("litert_torch", export_tflite), ("coremltools", export_coreml)])
def test_without_the_package_the_pip_line_is_told(
    tmp_path: Path, module: str, export: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert callable(export)
    with pytest.raises(ExtraMissingError, match=rf"needs {module}.*pip install 'steelyard\[train-"):
        export(network(), Interface(inputs=(FORM,), output_names=("scores",)), tmp_path / "m")

from __future__ import annotations

import ast
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tomllib

from steelyard.errors import UsageError
from steelyard.export import write_export
from steelyard.export.inference_script import inference_script
from steelyard_protocol.v1 import common_pb2, control_pb2, measurement_pb2
from tests.support import measurements
from tests.support.models import linear_model, token_model, two_dynamic_dims_model

MODEL = b"not really a model"


def variant(content: bytes = MODEL) -> control_pb2.Artifact:
    made = measurements.artifact("static-int8", parent=measurements.artifact())
    made.digest = hashlib.sha256(content).hexdigest()
    return made


def measured(artifact: control_pb2.Artifact) -> measurement_pb2.Measurement:
    measurement = measurements.normal()
    measurement.variants[3].artifact_digest = artifact.digest
    measurement.plan.artifacts[3].artifact_digest = artifact.digest
    return measurement


def task() -> control_pb2.Task:
    return control_pb2.Task(name="fashion-mnist", licence="MIT", class_names=["shirt", "bag"])


def test_an_export_holds_everything_and_its_checksums_hold(tmp_path: Path) -> None:
    target = tmp_path / "out" / "static-int8"
    artifact = variant()

    files = write_export(
        target,
        artifact=artifact,
        model_bytes=MODEL,
        lineage_chain=[measurements.artifact()],
        measurements=[measured(artifact)],
        task=task(),
    )

    assert [path.name for path in files] == [
        "MODEL_CARD.md",
        "SHA256SUMS",
        "infer.py",
        "model.onnx",
        "recipe.toml",
        "signature.json",
    ]
    for line in (target / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((target / name).read_bytes()).hexdigest() == digest
    assert tomllib.loads((target / "recipe.toml").read_text())["name"] == "static-int8"
    assert [path.name for path in target.parent.iterdir()] == ["static-int8"]


def test_the_card_says_lineage_figures_and_what_was_not_measured(tmp_path: Path) -> None:
    artifact = variant()

    write_export(
        tmp_path / "x",
        artifact=artifact,
        model_bytes=MODEL,
        lineage_chain=[measurements.artifact()],
        measurements=[measured(artifact), measurements.crowded()],
        task=task(),
    )

    card = (tmp_path / "x" / "MODEL_CARD.md").read_text()
    for text in (
        "was made from **fashion-resnet**",
        "onnxruntime 1.32.0, onnx 1.23.2",
        f"calibrated on 500 samples: `{'cd' * 32}`",
        "| p50 latency | 590 us (586 to 594) |",
        "| energy an inference | not measured |",
        "energy: no sensor; looked at powercap, hwmon and power\\_supply",
        "evaluation data (fashion-mnist): MIT",
        "### pi5-bench",
    ):
        assert text in card
    assert card.count("### ") == 1


def test_the_card_says_whether_outputs_were_what_they_should_be(tmp_path: Path) -> None:
    artifact = variant()
    measurement = measured(artifact)
    measurement.variants[3].numeric.CopyFrom(
        measurement_pb2.NumericCheck(
            verdict=measurement_pb2.NUMERIC_VERDICT_DIVERGES, sample_count=8, cosine=0.98, because="2 of 8 | differ"
        )
    )

    write_export(tmp_path / "x", artifact=artifact, model_bytes=MODEL, measurements=[measurement])

    card = (tmp_path / "x" / "MODEL_CARD.md").read_text()
    row = r"| outputs beside the controller's own run | diverge (8 inputs): 2 of 8 \| differ; cosine 0.98 |"
    assert row in card


def test_a_card_without_measurements_claims_nothing(tmp_path: Path) -> None:
    original = measurements.artifact()
    original.digest = hashlib.sha256(MODEL).hexdigest()

    files = write_export(tmp_path / "x", artifact=original, model_bytes=MODEL)

    card = (tmp_path / "x" / "MODEL_CARD.md").read_text()
    assert "claims nothing" in card
    assert "no recipe was applied" in card
    assert "recipe.toml" not in {path.name for path in files}


def test_a_card_says_that_a_variant_could_not_run_there(tmp_path: Path) -> None:
    artifact = variant()
    measurement = measurements.with_failures()
    measurement.variants[1].artifact_digest = artifact.digest

    write_export(tmp_path / "x", artifact=artifact, model_bytes=MODEL, measurements=[measurement])

    assert "could not be measured there: unsupported" in (tmp_path / "x" / "MODEL_CARD.md").read_text()


def test_a_card_passes_warnings_on_and_escapes_markup(tmp_path: Path) -> None:
    artifact = variant()
    artifact.name = "a|b <i>*x*"
    artifact.lineage.ClearField("calibration_digest")
    artifact.lineage.steps[0].read_models.add(name="big*", digest="ef" * 32)
    measurement = measured(artifact)
    measurement.warnings.append("the governor is `powersave`")

    write_export(tmp_path / "x", artifact=artifact, model_bytes=MODEL, measurements=[measurement])

    card = (tmp_path / "x" / "MODEL_CARD.md").read_text()
    assert card.startswith("# a\\|b \\<i\\>\\*x\\*\n")
    assert "the governor is \\`powersave\\`" in card
    assert "no calibration data" in card
    assert f"read the model big\\*: `{'ef' * 32}`" in card
    assert "a model that is not recorded here" in card


def test_a_lineage_that_names_itself_ends(tmp_path: Path) -> None:
    artifact = variant()
    artifact.lineage.parent_digest = artifact.digest

    write_export(tmp_path / "x", artifact=artifact, model_bytes=MODEL, lineage_chain=[artifact])

    assert (tmp_path / "x" / "MODEL_CARD.md").read_text().count("** was made from **") == 2


def test_the_signature_says_shapes_preprocessing_and_classes(tmp_path: Path) -> None:
    artifact = variant()
    measurement = measured(artifact)
    measurement.plan.artifacts[3].input_shapes["image"].sizes.extend([1, 1, 28, 28])

    write_export(tmp_path / "x", artifact=artifact, model_bytes=MODEL, measurements=[measurement], task=task())

    document = json.loads((tmp_path / "x" / "signature.json").read_text())
    assert document["inputs"] == [
        {"name": "image", "dtype": "float32", "shape": ["batch", 1, 28, 28], "measured_shape": [1, 1, 28, 28]}
    ]
    assert document["outputs"][0]["shape"] == ["batch", 10]
    assert document["class_names"] == ["shirt", "bag"]
    assert "'fashion-mnist'" in document["preprocessing"]


def test_an_export_of_the_same_variant_is_replaced(tmp_path: Path) -> None:
    artifact = variant()
    write_export(tmp_path / "x", artifact=artifact, model_bytes=MODEL)

    write_export(tmp_path / "x", artifact=artifact, model_bytes=MODEL, measurements=[measured(artifact)])

    assert "pi5-bench" in (tmp_path / "x" / "MODEL_CARD.md").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_an_empty_directory_is_filled(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()

    write_export(tmp_path / "x", artifact=variant(), model_bytes=MODEL)

    assert (tmp_path / "x" / "model.onnx").read_bytes() == MODEL


def test_a_directory_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years")

    with pytest.raises(UsageError, match="files that are not an export; name a new directory"):
        write_export(tmp_path, artifact=variant(), model_bytes=MODEL)

    assert (tmp_path / "thesis.txt").read_text() == "years"


def test_an_export_of_another_model_is_refused(tmp_path: Path) -> None:
    write_export(tmp_path / "x", artifact=variant(), model_bytes=MODEL)

    with pytest.raises(UsageError, match="an export of another model"):
        write_export(tmp_path / "x", artifact=variant(b"other"), model_bytes=b"other")


def test_a_file_that_was_put_beside_an_export_is_not_deleted(tmp_path: Path) -> None:
    write_export(tmp_path / "x", artifact=variant(), model_bytes=MODEL)
    (tmp_path / "x" / "notes.txt").write_text("mine")

    with pytest.raises(UsageError, match=r"'notes\.txt' beside a previous export"):
        write_export(tmp_path / "x", artifact=variant(), model_bytes=MODEL)


def test_a_file_in_the_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")

    with pytest.raises(UsageError, match="is a file"):
        write_export(tmp_path / "x", artifact=variant(), model_bytes=MODEL)


def test_bytes_of_another_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fetch the model again"):
        write_export(tmp_path / "x", artifact=variant(), model_bytes=b"something else")

    assert not (tmp_path / "x").exists()


def test_a_disk_that_fills_up_leaves_the_previous_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    artifact = variant()
    write_export(tmp_path / "x", artifact=artifact, model_bytes=MODEL)

    def full(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        write_export(tmp_path / "x", artifact=artifact, model_bytes=MODEL)

    assert (tmp_path / "x" / "model.onnx").read_bytes() == MODEL
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_rename_that_fails_puts_the_previous_export_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    artifact = variant()
    write_export(tmp_path / "x", artifact=artifact, model_bytes=MODEL)
    rename = Path.rename

    def fail_for_content(path: Path, target: Path) -> Path:
        if path.name == "content":
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail_for_content)
    with pytest.raises(OSError, match="Input/output"):
        write_export(tmp_path / "x", artifact=artifact, model_bytes=MODEL)

    assert (tmp_path / "x" / "model.onnx").read_bytes() == MODEL


def exported(directory: Path, model: Path, *, inputs: list[tuple[str, str, list[int | str]]]) -> Path:
    content = model.read_bytes()
    artifact = control_pb2.Artifact(
        digest=hashlib.sha256(content).hexdigest(), name=model.stem, format=common_pb2.ARTIFACT_FORMAT_ONNX
    )
    for name, dtype, shape in inputs:
        spec = artifact.signature.inputs.add(name=name, dtype=dtype)
        for one in shape:
            spec.dimensions.add(**({"size": one} if isinstance(one, int) else {"symbol": one}))
    measurement = measurements.normal()
    planned = measurement.plan.artifacts[0]
    measurement.variants[0].artifact_digest = planned.artifact_digest = artifact.digest
    if model.stem == "two":
        planned.input_shapes["image"].sizes.extend([1, 3, 16, 16])
    write_export(directory, artifact=artifact, model_bytes=content, measurements=[measurement])
    return directory / "infer.py"


def run(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True, timeout=120)


def test_the_script_runs_as_it_is(tmp_path: Path) -> None:
    model = linear_model(tmp_path / "linear.onnx")

    result = run(exported(tmp_path / "x", model, inputs=[("x", "float32", ["batch", 4])]))

    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("logits float32 (1, 3) [")


def test_the_script_takes_inputs_from_a_file(tmp_path: Path) -> None:
    script = exported(tmp_path / "x", linear_model(tmp_path / "m.onnx"), inputs=[("x", "float32", ["batch", 4])])
    np.savez(tmp_path / "inputs.npz", x=np.ones((5, 4), dtype=np.float32))

    result = run(script, str(tmp_path / "inputs.npz"))

    assert "(5, 3)" in result.stdout


def test_the_script_draws_whole_numbers_for_token_models(tmp_path: Path) -> None:
    inputs = [(name, "int64", ["batch", "sequence"]) for name in ("input_ids", "attention_mask")]

    result = run(exported(tmp_path / "x", token_model(tmp_path / "token.onnx"), inputs=inputs))

    assert result.returncode == 0, result.stderr


def test_the_script_uses_the_sizes_that_were_measured(tmp_path: Path) -> None:
    model = two_dynamic_dims_model(tmp_path / "two.onnx")

    script = exported(tmp_path / "x", model, inputs=[("image", "float32", ["batch", 3, "height", "width"])])

    assert "(1, 3, 16, 16)" in script.read_text()
    assert run(script).returncode == 0


def test_names_out_of_a_model_file_cannot_become_code() -> None:
    artifact = control_pb2.Artifact(format=common_pb2.ARTIFACT_FORMAT_TFLITE)
    name = "x\"'\n}; import os #{}"
    for dtype in ("bool", "uint8", "float16", "object", "intp"):
        artifact.signature.inputs.add(name=name, dtype=dtype)

    tree = ast.parse(inference_script(artifact, shapes={}))

    keys = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value == name]
    assert len(keys) == 5
    assert not any(isinstance(node, ast.Import) and node.names[0].name == "os" for node in ast.walk(tree))

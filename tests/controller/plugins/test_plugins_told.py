"""People are told which plugin a step or a task's data came through."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from steelyard.export.signature import preprocessing_note
from steelyard.report.lineage import render_steps
from steelyard_protocol.v1 import control_pb2
from tests.controller.cli.running import run_command
from tests.controller.plugins.files import COPY_STEP, write_plugin

SHA256 = "0123456789abcdef" * 4


def test_the_table_of_steps_names_the_plugin() -> None:
    steps = [
        control_pb2.LineageStep(kind="copy-model", plugin=f"copy.py 1.2 {SHA256}"),
        control_pb2.LineageStep(kind="float16"),
    ]
    variant = control_pb2.Artifact(name="model-copied", lineage=control_pb2.Lineage(steps=steps))
    out = io.StringIO()
    Console(file=out, width=200).print(render_steps(control_pb2.Artifact(name="model", size_bytes=100), variant))
    assert "- copy-model: of the plugin copy.py 1.2 (sources 0123456789ab)" in out.getvalue()
    assert out.getvalue().count("of the plugin") == 1


@pytest.mark.parametrize(
    ("preprocessing", "said"),
    [
        (
            {"divide": 255.0, "mean": [0.0], "std": [1.0], "layout": ""},
            "(by gamma (gamma 0.8, most 255.0) of mine.py 1.0, and then (x / 255 - [0.0]) / [1.0])",
        ),
        (None, "(by gamma (gamma 0.8, most 255.0) of mine.py 1.0, and then as it is)"),
    ],
)
def test_an_export_says_what_operations_did_to_the_data(preprocessing: dict[str, object] | None, said: str) -> None:
    operation = {"kind": "gamma", "gamma": 0.8, "most": 255.0, "plugin": f"mine.py 1.0 {SHA256}"}
    task = control_pb2.Task(name="digits", source_json=json.dumps({"kind": "npz", "operations": [operation]}))
    if preprocessing is not None:
        task.preprocessing_json = json.dumps(preprocessing)
    assert said in preprocessing_note(task)


def test_the_command_lists_a_file_and_forgets_it(tmp_path: Path) -> None:
    path = write_plugin(tmp_path / "copy.py", COPY_STEP, listed='{"steps": [Copy]}')
    ran = run_command("plugin", "list", "--plugin", str(path), "--json")
    assert ran.code == 0
    (row,) = [one for one in ran.document["plugins"] if one["where"] == str(path)]
    assert (row["brings"], row["kind"], row["version"], row["usable"]) == ("steps", "copy-model", "1.2", True)
    table = run_command("plugin", "list", "--plugin", str(path))
    assert "copy-model" in table.out
    assert "copy-model" not in run_command("plugin", "list").out


def test_the_command_refuses_a_broken_file_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("1 / 0\n")
    line = run_command("compress", "model.onnx", "--recipe", "float16", "--plugin", str(path)).is_refused()
    assert f"the plugin {path} cannot be imported (ZeroDivisionError: division by zero)" in line

"""`steelyard suite`: what is wrong is said with its place, what is right with its cells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from steelyard.cli.main import run


def check(folder: Path, *words: str) -> int:
    return run(["--state-directory", str(folder / "state"), "suite", "check", *words])


def test_a_new_suite_passes_its_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["suite", "new", str(tmp_path / "lab.toml")]) == 0
    assert check(tmp_path, str(tmp_path / "lab.toml")) == 0
    out, err = capsys.readouterr()
    assert "suite lab: 1 models, 1 runtimes, 1 devices, 1 cells" in out
    assert "no controller runs here" in err


def test_a_new_suite_takes_a_model_and_writes_over_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "my $5 model.onnx").write_bytes(b"x")
    words = ["suite", "new", str(tmp_path / "lab.toml"), "--model", str(tmp_path / "my $5 model.onnx")]
    assert run(words) == 0
    assert check(tmp_path, str(tmp_path / "lab.toml")) == 0
    assert run(words) == 2
    assert "--force" in capsys.readouterr().err
    assert run([*words, "--force"]) == 0


def test_all_problems_are_said_and_the_command_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.toml"
    path.write_text('[suite]\nname = "a"\nbudgt = "1h"\n[devices]\nnames = ["pi5"]\n', encoding="utf-8")
    assert check(tmp_path, str(path)) == 2
    err = capsys.readouterr().err
    assert "bad.toml [suite]: unknown key 'budgt'; did you mean 'budget'?" in err
    assert "no model is named" in err
    assert "bad.toml has 2 problems" in err


def test_a_missing_file_is_a_problem_of_a_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "night.toml"
    path.write_text(
        '[suite]\nname = "a"\n[devices]\nnames = ["pi5"]\n[[model]]\nname = "m"\nfile = "gone.onnx"\n', encoding="utf-8"
    )
    assert check(tmp_path, str(path), "--json") == 2
    document = json.loads(capsys.readouterr().out)
    assert (document["kind"], document["is_right"]) == ("suite_check", False)
    assert "gone.onnx" in document["problems"][0]["sentence"]


def test_the_effective_suite_is_printed_alone_and_as_json_with_its_cells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["suite", "new", str(tmp_path / "lab.toml")]) == 0
    capsys.readouterr()
    assert check(tmp_path, str(tmp_path / "lab.toml"), "--effective") == 0
    assert capsys.readouterr().out.startswith('[suite]\nname = "lab"\n')
    assert check(tmp_path, str(tmp_path / "lab.toml"), "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["is_right"]
    assert document["cells"] == [{"model": "fashion_mobilenet", "device": "local", "runtime": "cpu"}]
    assert document["devices"][0]["round_count"] == 20

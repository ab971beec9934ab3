"""Benchmarks resume: rounds of the same machine, versions and settings count, others are kept and left alone."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from benchmarks import results_file
from benchmarks.results_file import ResultsFile, this_key

_HERE = {"machine": "a board", "versions": {"onnxruntime": "1"}, "settings": {"window_ms": 200}}
_ELSEWHERE = {**_HERE, "machine": "another board"}
_NEWER = {**_HERE, "versions": {"onnxruntime": "2"}}


def test_rounds_of_the_same_key_are_found_again_by_another_process(tmp_path: Path) -> None:
    ResultsFile("one", tmp_path).append(_HERE, {"worker": 1})
    ResultsFile("one", tmp_path).append(_HERE, {"worker": 2})
    assert ResultsFile("one", tmp_path).rounds(_HERE) == [{"worker": 1}, {"worker": 2}]


def test_rounds_of_other_machines_and_versions_do_not_count(tmp_path: Path) -> None:
    results = ResultsFile("one", tmp_path)
    results.append(_ELSEWHERE, {"worker": 1})
    results.append(_NEWER, {"worker": 2})
    assert results.rounds(_HERE) == []


def test_a_fresh_start_forgets_this_machine_only(tmp_path: Path) -> None:
    results = ResultsFile("one", tmp_path)
    for key in (_HERE, _ELSEWHERE, _NEWER):
        results.append(key, {"worker": 1})
    results.forget("a board")
    assert [json.loads(line)["key"] for line in results.path.read_text().splitlines()] == [_ELSEWHERE]


def test_the_latest_run_is_that_of_the_last_round(tmp_path: Path) -> None:
    results = ResultsFile("one", tmp_path)
    assert results.latest() is None
    for key, figure in ((_HERE, 1), (_NEWER, 2), (_HERE, 3)):
        results.append(key, {"worker": figure})
    run = results.latest()
    assert run is not None
    assert run.machine == "a board"
    assert run.versions == {"onnxruntime": "1"}
    assert run.rounds == ({"worker": 1}, {"worker": 3})
    assert run.first_day <= run.last_day


def test_every_append_leaves_whole_lines_and_no_other_file(tmp_path: Path) -> None:
    results = ResultsFile("one", tmp_path / "new")
    for figure in range(3):
        results.append(_HERE, {"worker": figure})
        assert all(json.loads(line) for line in results.path.read_text().splitlines())
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["one.jsonl"]


def test_the_key_of_this_machine_survives_json() -> None:
    key = this_key({"window_ms": 200})
    assert json.loads(json.dumps(key)) == key
    assert {"python", "onnxruntime", "grpcio"} <= key["versions"].keys()


def test_a_round_has_the_commit_of_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*words: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        done = subprocess.run(["git", *who, *words], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    folder = tmp_path / "benchmarks" / "results"
    folder.mkdir(parents=True)
    monkeypatch.setattr(results_file, "FOLDER", folder)
    results = ResultsFile("one", folder)
    results.append(_HERE, {"worker": 1})
    git("init", "-q")
    (tmp_path / "code.py").write_text("1")
    git("add", "-A")
    git("commit", "-q", "-m", "first")
    # What is written to the results themselves is no change.
    results.append(_HERE, {"worker": 2})
    results.append(_HERE, {"worker": 3})
    (tmp_path / "code.py").write_text("2")
    results.append(_HERE, {"worker": 4})
    commits = [json.loads(line)["commit"] for line in results.path.read_text().splitlines()]
    head = git("rev-parse", "--short=12", "HEAD")
    assert commits == [None, head, head, f"{head}-changed"]

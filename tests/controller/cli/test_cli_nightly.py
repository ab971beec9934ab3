"""`steelyard nightly`: exit codes, lists, and a crash that never looks like a regression."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from steelyard.cli.main import run
from steelyard.control.connect import connect
from steelyard.nightly.errors import StoppedError
from steelyard.nightly.report_json import to_json
from steelyard.settings import Settings
from tests.controller.nightly.night_documents import quiet_night
from tests.support import models

SUITE = """
[suite]
name = "shelf"
[devices]
names = ["pi5"]
[[model]]
name = "m"
file = "m.onnx"
"""


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A controller that every command here finds."""
    folder = tmp_path_factory.mktemp("nightly-cli")
    with connect(settings=Settings(state_directory=folder, agent_listen="127.0.0.1:0")):
        yield folder


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    models.conv_model(tmp_path / "m.onnx")
    path = tmp_path / "night.toml"
    path.write_text(SUITE, encoding="utf-8")
    return path


def nightly(state: Path, *words: str) -> int:
    return run(["--state-directory", str(state), "nightly", *words])


@pytest.mark.parametrize(("error", "code"), [(RuntimeError("a bug"), 70), (StoppedError(), 130)], ids=["bug", "stop"])
def test_a_night_that_ends_otherwise_is_no_regression(
    state: Path,
    suite: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    code: int,
) -> None:
    def broken(*_given: Any, **_named: Any) -> None:
        raise error

    monkeypatch.setattr("steelyard.nightly.running.build_night", broken)
    assert nightly(state, "run", str(suite), "--window", "1s") == code
    said = capsys.readouterr()
    assert ("crash report" in said.err) == (code == 70)
    assert said.out == ""


def test_a_night_without_a_device_is_told_in_every_form_and_ends_with_3(
    state: Path, suite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nightly(state, "run", str(suite), "--json", "--report", str(tmp_path / "reports")) == 3
    document = json.loads(capsys.readouterr().out)
    assert (document["kind"], document["verdict"], document["exit_code"]) == ("night", "INCOMPLETE", 3)
    assert len(list((tmp_path / "reports").iterdir())) == 4
    assert nightly(state, "status", "shelf", "--max-age", "26h") == 3
    assert "there is no complete night" in capsys.readouterr().out


def test_a_dry_run_begins_no_night(state: Path, suite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert nightly(state, "list", "--json") == 0
    before = json.loads(capsys.readouterr().out)["nights"]
    assert nightly(state, "run", str(suite), "--dry-run") == 0
    assert "pi5: not there" in capsys.readouterr().out
    assert nightly(state, "run", str(suite), "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["unmet"][0]["device"] == "pi5"
    assert nightly(state, "list", "--json") == 0
    assert json.loads(capsys.readouterr().out)["nights"] == before


def test_a_complete_night_is_listed_and_young_enough(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(state_directory=state, agent_listen="127.0.0.1:0")
    with connect(settings=settings) as client:
        now = datetime.now(tz=timezone.utc)
        begun = client.nightly.begin("other", suite_digest="ab" * 32, suite_text="", started_at=now)
        client.nightly.end(
            begun.night.night_id, verdict="PASS", exit_code=0, report=to_json(quiet_night()).encode(), ended_at=now
        )
    assert nightly(state, "status", "other", "--max-age", "26h") == 0
    assert "other: night 1 PASS 0 min ago" in capsys.readouterr().out
    assert nightly(state, "list", "other") == 0
    assert "PASS" in capsys.readouterr().out
    assert nightly(state, "status", "nobody", "--max-age", "1h") == 3


def test_a_suite_that_is_wrong_ends_with_2_before_anything_is_asked(state: Path, suite: Path) -> None:
    suite.write_text(SUITE + "[nigth]\n", encoding="utf-8")
    assert nightly(state, "run", str(suite)) == 2

"""The effective suite: as TOML it reads as itself, and its digest changes with what is measured alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from steelyard.suites.effective import suite_digest, suite_document, suite_toml
from steelyard.suites.starter import starter_suite
from tests.controller.suites.suite_files import SMALL, read
from tests.controller.suites.test_suite_reading import WHOLE


def test_the_effective_suite_reads_as_the_same_suite(tmp_path: Path) -> None:
    suite = read(tmp_path, WHOLE, {"TEAM_WEBHOOK": "x"})
    again = read(tmp_path, suite_toml(suite), {"TEAM_WEBHOOK": "x"}, name="again.toml")
    assert replace(again, sources=suite.sources) == suite
    assert suite_digest(again) == suite_digest(suite)


def test_no_secret_stands_in_what_is_stored(tmp_path: Path) -> None:
    suite = read(tmp_path, WHOLE, {"TEAM_WEBHOOK": "https://chat.example.org/secret"})
    assert "secret" not in suite_toml(suite)
    assert "secret" not in str(suite_document(suite))


def test_the_digest_is_that_of_what_is_measured_wherever_the_file_lies(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    here, there = read(tmp_path, SMALL), read(tmp_path / "elsewhere", SMALL)
    assert suite_digest(here) == suite_digest(there)
    spelled_out = read(tmp_path, SMALL + '[measure]\nmax_rounds = 20\n[metrics.p50]\nmin_effect = "3%"\n')
    assert suite_digest(spelled_out) == suite_digest(here)
    assert suite_digest(read(tmp_path, SMALL + "[measure]\nmax_rounds = 18\n")) != suite_digest(here)
    assert suite_digest(read(tmp_path, SMALL + "[metrics.p99]\nenabled = false\n")) != suite_digest(here)


def test_the_starter_is_right_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"x")
    text = starter_suite(name="lab", file="lab.toml", model="model", source='file = "model.onnx"')
    suite = read(tmp_path, text)
    assert [one.name for one in suite.models] == ["model"]
    assert suite.night.confirmation_share == 0.33

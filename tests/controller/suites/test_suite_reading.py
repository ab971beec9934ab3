"""Suites out of TOML: what is said is kept, what is wrong is named with its place, all of it at once."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from steelyard.series.metric_rules import Direction
from steelyard.suites.errors import SuiteError
from steelyard.suites.missing_files import missing_files, newest_of
from steelyard.suites.reading import load_suite
from tests.controller.suites.suite_files import SMALL, read

WHOLE = """
[suite]
name = "shelf"
at = "01:30"
timezone = "Europe/Berlin"
budget = "45m"
sentinel = "none"
[devices]
tags = ["rack1"]
[[device]]
name = "pi5"
budget = "20m"
runtimes = ["cpu"]
[[runtime]]
name = "cpu"
threads = 2
runtime = "onnxruntime"
environment = "frozen"
spinning = false
[[runtime]]
name = "litert"
runtime = "litert"
[[model]]
name = "keywords"
file = "keywords.onnx"
recipes = ["static-int8", "recipes/own.toml"]
task = "words"
[[model]]
name = "newest"
registry = "registry"
newest = "*.onnx"
runtimes = ["cpu"]
devices = ["pi5"]
[[task]]
name = "words"
file = "words.toml"
[metrics.p50]
min_effect = "5%"
min_effect_abs = "0.2ms"
[metrics.memory]
min_effect_abs = "4MiB"
[metrics.p99]
enabled = false
[measure]
min_rounds = 4
max_rounds = 8
sample_window = "100ms"
gate = false
max_contention = "50%"
[night]
window = "3h"
confirm = false
[notify.team]
kind = "webhook"
url = "${TEAM_WEBHOOK}"
"""


def problems_of(folder: Path, text: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(SuiteError) as raised:
        read(folder, text, environ)
    return [str(one) for one in raised.value.problems]


def test_a_whole_suite_reads_as_it_is_written(tmp_path: Path) -> None:
    suite = read(tmp_path, WHOLE, {"TEAM_WEBHOOK": "https://chat.example.org/secret"})
    assert (suite.name, suite.budget_s, suite.schedule.at, suite.schedule.timezone) == (
        "shelf",
        2700.0,
        "01:30",
        "Europe/Berlin",
    )
    assert [one.name for one in suite.models] == ["keywords", "keywords/static-int8", "keywords/own", "newest"]
    assert suite.model("keywords/static-int8").parent == "keywords"
    assert suite.model("keywords/own").recipe == str(tmp_path / "recipes/own.toml")
    assert suite.model("newest").registry == tmp_path / "registry"
    assert [(one.name, one.budget_s) for one in suite.devices] == [("pi5", 1200.0), ("tag:rack1", None)]
    assert suite.runtime("cpu").runtime == "onnxruntime@frozen"
    assert suite.runtime("cpu").spinning is False
    assert suite.metrics["p50"].minimum_effect == 0.05
    assert suite.metrics["p50"].minimum_effect_abs == 200_000.0
    assert suite.metrics["p50"].direction is Direction.LOWER
    assert suite.metrics["memory"].minimum_effect_abs == 4 * 1024**2
    assert "p99" not in suite.metrics
    assert (suite.measure.min_rounds, suite.measure.max_contention, suite.measure.gate) == (4, 0.5, False)
    assert (suite.night.window_s, suite.night.confirm) == (10_800.0, False)


def test_a_secret_is_checked_for_and_never_kept(tmp_path: Path) -> None:
    suite = read(tmp_path, WHOLE, {"TEAM_WEBHOOK": "https://chat.example.org/secret"})
    assert suite.notify["team"]["url"] == "${TEAM_WEBHOOK}"
    (problem,) = problems_of(tmp_path, WHOLE)
    assert problem.startswith("night.toml notify team url: the environment has no TEAM_WEBHOOK")


def test_all_problems_are_named_at_once_with_their_places(tmp_path: Path) -> None:
    text = SMALL + '[measure]\nmin_round = 3\n[metrics.p5]\nenabled = true\n[suit]\n[night]\nwindow = "soon"\n'
    found = problems_of(tmp_path, text)
    assert [one.partition(":")[0] for one in found] == [
        "night.toml",
        "night.toml [metrics.p5]",
        "night.toml [measure]",
        "night.toml [night] window",
    ]
    assert "did you mean 'suite'?" in found[0]
    assert "did you mean 'p50'?" in found[1] or "did you mean 'p95'?" in found[1]
    assert "did you mean 'min_rounds'?" in found[2]


@pytest.mark.parametrize(
    ("lines", "part"),
    [
        ('[suite]\nname = "two words"\n', "no name for a suite"),
        ('[suite]\nname = "a"\nat = "25:00"\n', "no time of day"),
        ('[suite]\nname = "a"\ntimezone = "Berlin"\n', "no time zone"),
        ('[suite]\nname = "a"\nbudget = 90\n', "no time; write one such as"),
        ('[[runtime]]\nname = "a"\nthreads = 0\n', "not a whole number from 1 to 1024"),
        ("[[runtime]]\nthreads = 1\n", "number 1 has no name"),
        ('[[runtime]]\nname = "a"\n[[runtime]]\nname = "a"\n', "two [[runtime]] are called 'a'"),
        ("[metrics.p50]\nmin_effect = 3\n", "no share"),
        ('[metrics.p50]\nmin_effect_abs = "3 MiB"\n', "write a number with ns, us, ms, s"),
        ('[metrics.p50]\ndirection = "same"\n', "'same' is not known"),
        ("[measure]\nmin_rounds = 30\nmax_rounds = 20\n", "fewer than at least 30"),
        ('[night]\nconfirmation_share = "100%"\n', "leaves nothing to confirm"),
        ('[[model]]\nname = "b"\n', "comes from one of file, registry, artifact and parent, and has none of them"),
        ('[[model]]\nname = "b"\nparent = "nobody"\n', "there is no model 'nobody'"),
        ('[[model]]\nname = "b"\nparent = "b"\n', "comes from itself in the end"),
        ('[[model]]\nname = "b"\nfile = "b.onnx"\nrecipe = "static-int9"\n', "did you mean 'static-int8'?"),
        ('[[model]]\nname = "b"\nfile = "b.onnx"\ndevices = ["pi6"]\n', "'pi6' is not in this suite"),
        ('[[device]]\nname = "tag:"\n', "names no tag"),
        ('[[model]]\nname = "b"\nfile = "${NOPE}.onnx"\n', "the environment has no NOPE"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(tmp_path: Path, lines: str, part: str) -> None:
    text = SMALL if "[suite]" not in lines else SMALL.replace('[suite]\nname = "shelf"\n', "")
    found = problems_of(tmp_path, text + lines)
    assert any(part in one for one in found), found


def test_no_toml_and_no_file_are_refused_with_the_file(tmp_path: Path) -> None:
    assert "night.toml: this is not valid TOML" in problems_of(tmp_path, "[suite")[0]
    with pytest.raises(SuiteError, match="cannot be read"):
        load_suite(tmp_path / "gone.toml", {})


def test_files_that_are_missing_are_told_apart_from_suites_that_are_wrong(tmp_path: Path) -> None:
    suite = read(tmp_path, SMALL)
    assert [one.place for one in missing_files(suite)] == ["[[model]] keywords"]
    (tmp_path / "keywords.onnx").write_bytes(b"x")
    assert missing_files(suite) == ()


def test_the_newest_file_of_a_registry_is_the_one_written_last(tmp_path: Path) -> None:
    import os

    for number, name in enumerate(("b.onnx", "a.onnx", "c.txt")):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (1_000_000 + number, 1_000_000 + number))
    assert newest_of(tmp_path, "*.onnx") == tmp_path / "a.onnx"
    assert newest_of(tmp_path, "*.tflite") is None


def test_slots_are_frozen(tmp_path: Path) -> None:
    suite = read(tmp_path, SMALL)
    with pytest.raises(dataclasses.FrozenInstanceError):
        suite.models[0].name = "other"  # type: ignore[misc]

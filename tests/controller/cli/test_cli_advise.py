"""`steelyard advise`: facts alone, with measured times, and with the advice followed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.controller.advice.convolutions import convolutions_only
from tests.controller.cli.running import Ran
from tests.support.anywhere import ANYWHERE_FLAGS
from tests.support.models import conv_model

QUICK = ("--min-rounds", "3", "--max-rounds", "3", *ANYWHERE_FLAGS)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 16 million multiply-accumulates: 8 bits are worth trying on any processor."""
    return conv_model(tmp_path_factory.mktemp("large") / "large.onnx", channels=64, depth=4)


def test_advice_needs_no_measurement(steelyard, inputs: Path, large: Path) -> None:
    ran: Ran = steelyard("advise", large, "--local", "--task", inputs / "data.npz")
    assert ran.code == 0, ran.err
    assert max(map(len, ran.out.splitlines())) <= 80
    words = " ".join(ran.out.split())
    assert "1. static-int8" in words
    assert "rests on: " in words or "its speed is not known before it is measured" in words
    assert "make and measure them: steelyard advise" in words


def test_programs_get_the_advice_with_what_it_follows_from(steelyard, inputs: Path) -> None:
    document = steelyard("advise", inputs / "conv.onnx", "--local", "--json").document
    assert document["kind"] == "advice"
    assert document["model"]["mac_count"] == 12 * 12 * 8 * 9 + 80
    assert document["device"]["name"] == "local"
    assert document["device"]["runtime"] == "onnxruntime"
    assert document["follow_up"] is None
    static = next(one for one in document["recipes"] if one["recipe"] == "static-int8")
    assert "--task" in static["needs"]


def test_layers_that_were_measured_are_looked_at(steelyard, inputs: Path) -> None:
    document = steelyard("advise", inputs / "conv.onnx", "--local", "--measure", "--json", *ANYWHERE_FLAGS).document
    times = document["device"]["measured_times"]
    assert sum(times["shares"].values()) > 0.99
    # They are found again, without a run.
    again = steelyard("advise", inputs / "conv.onnx", "--local", "--json").document
    assert again["device"]["measured_times"]["job_id"]


def test_what_is_advised_is_made_and_measured_and_judged(steelyard, inputs: Path, large: Path) -> None:
    words = ("--local", "--task", inputs / "data.npz", "--run", "--top", "1", "--max-drop", "90pp", *QUICK)
    document = steelyard("advise", large, *words, "--json").document
    done = document["follow_up"]
    assert done["sentence"]
    (recipe,) = done["recipes"]
    assert recipe["recipe"] == document["recipes"][0]["recipe"] == "static-int8"
    assert recipe["speedup"]["low"] <= recipe["speedup"]["value"] <= recipe["speedup"]["high"]
    assert recipe["size_ratio"] > 0
    assert done["lost"] == []
    labels = [variant["label"] for variant in document["measurement"]["variants"]]
    assert labels == ["original", "static-int8"]
    slower = [one["label"] for one in done["explained"]]
    assert all(one["reasons"] for one in done["explained"])
    assert set(slower) <= {"static-int8"}


def test_people_read_the_report_and_the_verdict_in_words(steelyard, inputs: Path, large: Path) -> None:
    ran: Ran = steelyard(*("advise", large, "--local", "--task", inputs / "data.npz", "--run", "--top", "1", *QUICK))
    words = " ".join(ran.out.split())
    assert "what came of the advice" in words
    assert "static-int8 ran at " in words
    assert max(map(len, ran.out.splitlines())) <= 80


def test_advice_that_lacks_data_is_not_run_and_says_what_is_missing(steelyard, tmp_path: Path) -> None:
    ran: Ran = steelyard("advise", convolutions_only(tmp_path / "conv.onnx"), "--local", "--run", "--json")
    assert "every advised recipe needs a task with data to calibrate on" in ran.is_refused(3)


def test_a_bound_on_nothing_measured_is_refused(steelyard, inputs: Path) -> None:
    line = steelyard("advise", inputs / "conv.onnx", "--local", "--max-drop", "1pp").is_refused()
    assert "--task" in line
    both = ("--task", inputs / "data.npz", "--run", "--max-drop", "plenty")
    assert "'plenty' is no drop" in steelyard("advise", inputs / "conv.onnx", "--local", *both).is_refused()
    assert "'lokal'" in steelyard("advise", inputs / "conv.onnx", "--device", "lokal").is_refused()

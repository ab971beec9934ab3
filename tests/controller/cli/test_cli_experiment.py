"""`steelyard experiment`: run, gone on with, shown, drawn, exported, and refused."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from steelyard.control.client import Client
from tests.controller.cli.running import Ran
from tests.support.anywhere import ANYWHERE_FLAGS
from tests.support.models import conv_model

NAME = "two-ways"
QUICK = ("--min-rounds", "3", "--max-rounds", "3", "--local", *ANYWHERE_FLAGS)


@pytest.fixture(scope="module")
def own_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return conv_model(tmp_path_factory.mktemp("experiment") / "weighed.onnx", seed=81)


@pytest.fixture
def ran(steelyard, own_model: Path, inputs: Path, client: Client) -> Ran:
    """Two recipes with two seeds on this machine, as JSON; the second time nothing of it is done again."""
    task = ("--task", inputs / "data.npz")
    recipes = ("--recipe", "share-weights", "--recipe", "static-int8")
    return steelyard("experiment", "run", NAME, own_model, *recipes, *task, "--seeds", "2", "--json", *QUICK)


def test_an_experiment_is_run_kept_gone_on_with_and_shown(
    steelyard, ran: Ran, own_model: Path, client: Client, tmp_path: Path
) -> None:
    assert ran.code == 0, ran.err
    document = ran.document
    assert (document["kind"], document["name"]) == ("experiment", NAME)
    assert len(document["record"]["trainings"]) == 4
    (measured,) = document["record"]["measurements"]
    assert {one["metric"]["name"] for one in document["figures"]} == {"top1", "speedup", "p50", "accuracy"}
    # Nothing in these recipes is drawn, so that two seeds are one file, and no claim is made.
    assert all(one["adjusted_p"] is None for one in document["claims"])

    jobs = len(client.jobs())
    again = steelyard("experiment", "run", NAME, own_model, "--seeds", "2", *QUICK)
    assert again.code == 0, again.err
    assert len(client.jobs()) == jobs
    assert "4 of 4 trainings are there" in again.err

    more = steelyard("experiment", "run", NAME, own_model, "--seeds", "3", "--no-measure", "--json")
    assert more.code == 0, more.err
    assert len(more.document["record"]["trainings"]) == 6
    assert [one["job_id"] for one in more.document["record"]["measurements"]] == [measured["job_id"]]

    shown = steelyard("experiment", "show", NAME)
    assert shown.code == 0, shown.err
    assert max(map(len, shown.out.splitlines())) <= 80
    assert "every seed gave the same file" in " ".join(shown.out.split())
    assert NAME in steelyard("experiment", "list").out
    listed = {one["name"]: one for one in steelyard("experiment", "list", "--json").document["experiments"]}
    assert listed[NAME]["record"] == more.document["record"]

    svg = tmp_path / "picture.svg"
    assert steelyard("experiment", "show", NAME, "--svg", svg).code == 0
    assert svg.read_text().count("static-int8 seed") >= 3
    table = tmp_path / "figures.csv"
    assert steelyard("experiment", "export", NAME, "-o", table).code == 0
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert {(one["recipe"], one["seed"]) for one in rows} == {
        (name, seed) for name in ("share-weights", "static-int8") for seed in ("0", "1", "2")
    }


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--seeds", "0", "--recipe", "float16"), "0 is not in the range"),
        ((), "an experiment needs a recipe"),
        (("--recipe", "flaot16"), "float16"),
        (("--recipe", "fine-tune"), "name a task with a training split"),
        (("--recipe", "float16", "--device", "tag:rack1"), "another device each time"),
    ],
    ids=["no seeds", "no recipe", "unknown recipe", "nothing to learn from", "pool"],
)
def test_what_makes_no_experiment_is_refused_in_a_sentence(
    steelyard, own_model: Path, flags: tuple[str, ...], words: str
) -> None:
    where = () if "--device" in flags else ("--local",)
    assert words in steelyard("experiment", "run", "never-begun", own_model, *flags, *where).is_refused()
    assert "never-begun" not in steelyard("experiment", "list").out


def test_a_name_is_of_one_model(steelyard, own_model: Path, inputs: Path) -> None:
    quick = ("--recipe", "float16", "--seeds", "1", "--no-measure")
    assert steelyard("experiment", "run", "taken", own_model, *quick).code == 0
    refused = steelyard("experiment", "run", "taken", inputs / "conv.onnx", *quick).is_refused()
    assert "'taken' is of model weighed" in refused
    task = ("--task", inputs / "data.npz")
    assert "another task" in steelyard("experiment", "run", "taken", own_model, *quick, *task).is_refused()


def test_an_experiment_that_nobody_knows_is_told_with_the_nearest(steelyard, client: Client) -> None:
    assert "no experiment is called 'nobodys'" in steelyard("experiment", "show", "nobodys").is_refused()


def test_a_device_that_nobody_knows_is_told_of_before_anything_is_trained(
    steelyard, own_model: Path, client: Client
) -> None:
    jobs = len(client.jobs())
    refused = steelyard(
        *("experiment", "run", "far-away", own_model, "--recipe", "float16"),
        *("--device", "pi5-typo", "--device", "pi4-typo"),
    )
    assert "pi5-typo" in refused.is_refused()
    assert len(client.jobs()) == jobs

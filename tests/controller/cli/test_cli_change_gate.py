"""`steelyard gate`, as a CI job types it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.controller.cli.conftest import QUICK
from tests.support.models import conv_model


@pytest.fixture(scope="package")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """base/ and head/ with a model that differs and one that does not."""
    folder = tmp_path_factory.mktemp("change")
    for side, depth in (("base", 1), ("head", 2)):
        (folder / side).mkdir()
        conv_model(folder / side / "same.onnx", seed=20)
        conv_model(folder / side / "net.onnx", depth=depth, seed=21)
    return folder


def test_a_change_is_judged_with_its_files_written(steelyard, folders: Path, tmp_path: Path) -> None:
    conditions = ("--fail-if", "output_hash changed", "--fail-if", "size > +500%")
    ran = steelyard(
        *("gate", folders / "base", folders / "head", *conditions, *QUICK, "--json"),
        *("--markdown", tmp_path / "made" / "gate.md", "--junit", tmp_path / "gate.xml"),
    )

    assert ran.code == 1, ran.err
    document = ran.document
    assert (document["kind"], document["verdict"], document["exit_code"]) == ("gate", "REGRESSED", 1)
    assert [line["kind"] for line in document["lines"]] == ["failed", "fine"]
    assert document["notes"] == ["same.onnx: the same bytes on both sides"]
    assert (tmp_path / "made" / "gate.md").read_text("utf-8").startswith("## REGRESSED: 1 of 2 conditions failed")
    assert ET.parse(tmp_path / "gate.xml").getroot()[0].get("failures") == "1"


def test_rounds_of_one_model_are_not_slower_than_themselves(steelyard, folders: Path) -> None:
    model = folders / "base" / "net.onnx"
    ran = steelyard("gate", model, model, "--fail-if", "p50 > +90%", "--fail-if", "output_hash changed", *QUICK)

    # Three rounds on a busy machine may leave the times undecided; the outputs never.
    assert ran.code in {0, 3}, (ran.out, ran.err)
    assert "fine  net on local, output_hash changed" in ran.out


def test_a_device_that_is_not_there_leaves_the_gate_incomplete(steelyard, folders: Path) -> None:
    ran = steelyard(
        "gate", folders / "base", folders / "head", "--device", "tag:nobody", "--device-wait", "1s", "--json"
    )

    assert ran.code == 3, (ran.out, ran.err)
    assert {line["kind"] for line in ran.document["lines"]} == {"not_measured"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["BASE", "HEAD", "--fail-if", "p50"], "is no condition"),
        (["BASE", "NET"], "two models or two folders"),
        (["BASE", "HEAD", "--vary", "threads=1,2", "--local"], "steelyard measure"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_makes_no_sense_is_refused(steelyard, folders: Path, words: list[str], says: str) -> None:
    places = {"BASE": folders / "base", "HEAD": folders / "head", "NET": folders / "base" / "net.onnx"}

    assert says in steelyard("gate", *(places.get(word, word) for word in words)).is_refused()


def test_changes_from_forks_are_not_run(
    steelyard, folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = {"pull_request": {"head": {"repo": {"full_name": "x/y"}}, "base": {"repo": {"full_name": "a/b"}}}}
    (tmp_path / "event.json").write_text(json.dumps(event))
    monkeypatch.setenv("GITHUB_EVENT_NAME", "pull_request")
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(tmp_path / "event.json"))

    ran = steelyard("gate", folders / "base", folders / "head", "--local")

    assert ran.code == 3
    assert ran.out.startswith("INCOMPLETE this change comes from x/y")


def test_ci_must_not_measure_its_own_runner_by_accident(
    steelyard, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")

    assert "--local" in steelyard("gate", folders / "base", folders / "head").is_refused()

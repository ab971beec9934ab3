"""`steelyard report --suite`: any night, rebuilt from what the controller keeps of it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from steelyard.control.client import Client
from steelyard.nightly.report_json import from_json, to_json
from tests.controller.nightly.night_documents import bad_night

AT = datetime(2026, 11, 28, 2, tzinfo=timezone.utc)


@pytest.fixture(scope="package")
def ended(client: Client) -> int:
    """A night of the suite ``rebuilt`` that ended, by its number."""
    night = client.nightly.begin("rebuilt", suite_digest="ab" * 32, suite_text="", started_at=AT).night
    report = replace(bad_night(), header=replace(bad_night().header, suite="rebuilt", night_number=night.night_number))
    client.nightly.end(night.night_id, verdict="REGRESSED", exit_code=1, report=to_json(report).encode(), ended_at=AT)
    return night.night_number


def test_the_last_night_is_rebuilt_as_a_page(steelyard, ended: int) -> None:
    ran = steelyard("report", "--suite", "rebuilt")

    assert (ran.code, ran.out) == (0, f"rebuilt-night-{ended}.html\n")
    assert "1 regression confirmed." in Path(ran.out.strip()).read_text("utf-8")


@pytest.mark.parametrize("name", ["night.md", "night.json", "night.xml"])
def test_the_suffix_says_which_format(steelyard, ended: int, name: str) -> None:
    ran = steelyard("report", "--suite", "rebuilt", "--night", ended, "-o", name)

    assert ran.code == 0, ran.err
    text = Path(name).read_text("utf-8")
    if name.endswith("json"):
        assert from_json(text).header.suite == "rebuilt"
        assert json.loads(text)["verdict"] == "REGRESSED"
    elif name.endswith("xml"):
        assert ET.fromstring(text)[0].get("failures") == "1"
    else:
        assert text.startswith("## REGRESSED: 1 regression confirmed")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["report"], "name jobs"),
        (["report", "3f9a", "--suite", "rebuilt"], "not both"),
        (["report", "3f9a", "--night", "2"], "--suite NAME"),
        (["report", "--suite", "rebuilt", "--format", "latex"], "html, markdown, json, junit"),
        (["report", "3f9a", "--format", "junit"], "html, csv, latex"),
        (["report", "--suite", "nothing-of-that-name"], "nothing-of-that-name"),
        (["report", "--suite", "rebuilt", "--night", "999"], "999"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_makes_no_sense_is_refused_in_a_sentence(steelyard, ended: int, words: list[str], says: str) -> None:
    assert says in steelyard(*words).is_refused()


def test_a_night_that_did_not_end_has_no_report_and_says_how_to_go_on(steelyard, client: Client) -> None:
    night = client.nightly.begin("half", suite_digest="ab" * 32, suite_text="", started_at=AT).night

    said = steelyard("report", "--suite", "half", "--night", night.night_number).is_refused()

    assert "did not end" in said
    assert "steelyard nightly run" in said

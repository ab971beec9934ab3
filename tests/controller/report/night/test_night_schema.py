from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from steelyard.nightly.night_report import NightReport
from steelyard.nightly.report_json import plain
from steelyard.report.night.schema import night_schema
from tests.controller.nightly.night_documents import bad_night, quiet_night

PUBLISHED = Path(__file__).parents[4] / "docs" / "night-report.schema.json"


def problems(document: object) -> list[str]:
    return [error.message for error in Draft202012Validator(night_schema()).iter_errors(document)]


@pytest.mark.parametrize("report", [quiet_night(), bad_night()], ids=["quiet", "bad"])
def test_documents_are_what_the_schema_says(report: NightReport) -> None:
    assert problems(plain(report)) == []


def test_a_document_with_another_field_is_not() -> None:
    assert "weather" in problems(plain(quiet_night()) | {"weather": "rain"})[0]
    assert "'0' is not of type 'integer'" in problems(plain(quiet_night()) | {"exit_code": "0"})[0]


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(night_schema())


def test_the_published_schema_is_that_of_this_version() -> None:
    assert json.loads(PUBLISHED.read_text("utf-8")) == night_schema(), "python tools/example_night.py FOLDER"

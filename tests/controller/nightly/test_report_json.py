from __future__ import annotations

import json
from dataclasses import replace

import pytest

from steelyard.errors import UsageError
from steelyard.nightly.night_report import NightReport, NightVerdict
from steelyard.nightly.report_json import from_json, to_json
from tests.controller.nightly.night_documents import bad_night, quiet_night


@pytest.mark.parametrize("report", [quiet_night(), bad_night()], ids=["quiet", "bad"])
def test_a_document_comes_back_from_its_json(report: NightReport) -> None:
    assert from_json(to_json(report)) == report


def test_a_newer_document_is_refused_by_its_version() -> None:
    values = json.loads(to_json(quiet_night())) | {"schema_version": 2}

    with pytest.raises(UsageError, match="schema_version is 2, this Steelyard reads 1"):
        from_json(json.dumps(values))


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("exit_code", "0", "exit_code is '0', not int"),
        ("notes", "odd", "notes is 'odd', not a list"),
        ("verdict", "FINE", "FINE"),
        ("header", [], "header is \\[\\], not a table"),
        ("weather", "rain", "no field 'weather'"),
    ],
)
def test_a_field_that_is_not_what_it_should_be_is_named(field: str, value: object, says: str) -> None:
    values = json.loads(to_json(quiet_night())) | {field: value}

    with pytest.raises(UsageError, match=says):
        from_json(json.dumps(values))


def test_a_verdict_that_the_rest_contradicts_is_refused() -> None:
    with pytest.raises(ValueError, match="REGRESSED with 0 groups"):
        replace(quiet_night(), verdict=NightVerdict.REGRESSED)
    with pytest.raises(ValueError, match="measured nothing is no pass"):
        replace(quiet_night(), coverage=replace(quiet_night().coverage, measured_count=0))

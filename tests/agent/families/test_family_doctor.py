from __future__ import annotations

import json

import pytest

from steelyard_agent.doctor import diagnosis_to_json
from tests.support.fake_sysfs import FIXTURES
from tests.support.goldens import FAMILIES, GOLDENS, examine, golden_lines, golden_path, golden_tree

HINT = "run python -m tests.support.goldens and read the difference"


@pytest.mark.parametrize("golden", GOLDENS)
def test_the_diagnosis_reads_as_kept(tmp_path, golden):
    lines = golden_lines(golden, tmp_path / "tree")
    assert lines == golden_path(golden).read_text("utf-8").splitlines(), HINT


@pytest.mark.parametrize("golden", GOLDENS)
def test_the_diagnosis_fits_a_terminal_and_holds_nothing_of_the_test(tmp_path, golden):
    lines = golden_lines(golden, tmp_path / "tree")
    assert max(len(line) for line in lines) <= 80
    assert not any(str(tmp_path) in line for line in lines)
    assert all(line == line.rstrip() and line.isprintable() for line in lines)


def test_every_kept_diagnosis_has_its_device():
    assert {path.stem for path in (FIXTURES / "doctor").glob("*.txt")} == set(GOLDENS)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_json_has_values_or_reasons_and_nothing_else(tmp_path, family):
    record = json.loads(json.dumps(diagnosis_to_json(examine(golden_tree(family, tmp_path / "tree"))), allow_nan=False))
    assert record["schema_version"] >= 1
    for reading in record["device"]["meters"]:
        assert (reading["value"] is None) == (reading["status"] == "UNAVAILABLE"), reading
        assert reading["value"] is not None or reading["reason"], reading
    for one in record["capabilities"]:
        assert one["answer"] == "yes" or one["reasons"], one
    assert all(fact["value"] and fact["source"] for fact in record["facts"])
    assert str(tmp_path) not in json.dumps(record)

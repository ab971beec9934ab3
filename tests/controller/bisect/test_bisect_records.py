from __future__ import annotations

from pathlib import Path

import pytest

from steelyard.bisect.candidates import Candidate
from steelyard.bisect.records import BisectRecord, Comparison
from steelyard.bisect.search import Answer
from steelyard.errors import UsageError

CANDIDATES = [Candidate(name=f"m{number}", title=f"m{number}", digest=f"{number}" * 64) for number in range(3)]
BAD = Comparison(index=2, answer=Answer.BAD, reason="p50 +5.0 %", job_id="3f9a")


def test_the_same_question_goes_on_with_its_answers(tmp_path: Path) -> None:
    BisectRecord(tmp_path, ["pi5", "p50 > +3%"], CANDIDATES).add(BAD)

    assert BisectRecord(tmp_path, ["pi5", "p50 > +3%"], CANDIDATES).comparisons == (BAD,)


@pytest.mark.parametrize("question", [["pi4", "p50 > +3%"], ["pi5", "p50 > +5%"]])
def test_another_question_begins_anew(tmp_path: Path, question: list[str]) -> None:
    BisectRecord(tmp_path, ["pi5", "p50 > +3%"], CANDIDATES).add(BAD)

    assert BisectRecord(tmp_path, question, CANDIDATES).answers == {}
    assert BisectRecord(tmp_path, ["pi5", "p50 > +3%"], CANDIDATES[:2]).answers == {}


def test_restarting_forgets(tmp_path: Path) -> None:
    record = BisectRecord(tmp_path, ["pi5"], CANDIDATES)
    record.add(BAD)
    record.forget()

    assert BisectRecord(tmp_path, ["pi5"], CANDIDATES).answers == {}


@pytest.mark.parametrize("text", ["", "{}", '{"version": 2, "comparisons": []}', '{"version": 1, "comparisons": [{}]}'])
def test_a_damaged_record_says_how_to_begin_anew(tmp_path: Path, text: str) -> None:
    path = BisectRecord(tmp_path, ["pi5"], CANDIDATES).path
    path.write_text(text)

    with pytest.raises(UsageError, match="--restart begins anew"):
        BisectRecord(tmp_path, ["pi5"], CANDIDATES)

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from steelyard.bisect import running
from steelyard.bisect.candidates import Candidate
from steelyard.bisect.records import BisectRecord
from steelyard.bisect.running import Bisection, run_bisection
from steelyard.bisect.search import Answer, NothingToFind
from steelyard.control.plans import MeasurementOptions
from steelyard.errors import DeviceError, SteelyardError
from steelyard.gate.conditions import parse_condition

CANDIDATES = tuple(Candidate(name=f"m{number}", title=f"m{number}", digest=f"{number}" * 64) for number in range(3))
WORK = Bisection(
    candidates=CANDIDATES, condition=parse_condition("p50 > +3%"), device="pi5", options=MeasurementOptions()
)


class OnlyArtifacts:
    """A controller that knows every artifact."""

    def artifact(self, digest: str) -> str:
        return digest


def refused_with(error: SteelyardError, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(*_given: Any, **_named: Any) -> None:
        raise error

    monkeypatch.setattr(running, "measure_side_by_side", measure)


def run(record: BisectRecord) -> Any:
    return run_bisection(OnlyArtifacts(), WORK, record, follow=lambda _handle, _title: None)  # type: ignore[arg-type]


def test_a_controller_that_is_away_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = BisectRecord(tmp_path, ["pi5"], CANDIDATES)
    refused_with(DeviceError("controller_unreachable", "the controller does not answer"), monkeypatch)

    with pytest.raises(DeviceError, match="does not answer"):
        run(record)

    assert BisectRecord(tmp_path, ["pi5"], CANDIDATES).answers == {}


def test_a_candidate_that_cannot_be_measured_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = BisectRecord(tmp_path, ["pi5"], CANDIDATES)
    refused_with(SteelyardError("model_crashed", "the model crashes"), monkeypatch)

    assert run(record) == NothingToFind(last=Answer.SKIPPED)
    assert [one.reason for one in record.comparisons] == ["the model crashes"]

"""A long run that is cut off goes on where it stopped."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.campaign import Outcome
from tests.chaos.long_run import FAULTS_PER_CAMPAIGN, LongRun, struck, summary


def outcome(seed: int, *violations: str) -> Outcome:
    return Outcome(
        seed=seed,
        fault_counts={"CUT": 20, "REBOOT": 5},
        missed_count=0,
        job_states={"JOB_STATE_RECORDED": 7},
        end_reasons={},
        calm_s=1.0,
        wall_s=60.0,
        violations=list(violations),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PretendedRun(LongRun):
    """Runs no fleet."""

    seeds: list[int] = field(default_factory=list)

    def run_one(self, seed: int, fault_count: int = FAULTS_PER_CAMPAIGN) -> Outcome:
        self.seeds.append(seed)
        return outcome(seed)


def test_a_run_ends_when_enough_faults_struck_and_has_then_nothing_left_to_do(tmp_path: Path) -> None:
    run = PretendedRun(folder=tmp_path, fault_count=60)
    assert [one.seed for one in run.run(60)] == [0, 1, 2]
    assert struck(run.outcomes()) == 75
    assert not list(run.run(60))


def test_a_run_that_was_cut_off_goes_on_and_begins_nothing_when_time_is_over(tmp_path: Path) -> None:
    assert [one.seed for one in PretendedRun(folder=tmp_path, fault_count=25).run(60)] == [0]
    second = PretendedRun(folder=tmp_path, fault_count=50)
    assert not list(second.run(0))
    assert [one.seed for one in second.run(60)] == [1]
    assert [one.seed for one in second.outcomes()] == [0, 1]


def test_a_summary_counts_and_tells_every_violation() -> None:
    text = summary([outcome(0), outcome(1, "seed 1, step 4: lost")])
    assert text.startswith("2 campaigns, 50 faults, 14 jobs, 1 violations")
    assert "40 CUT, 10 REBOOT" in text
    assert text.endswith("seed 1, step 4: lost")

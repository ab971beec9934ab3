"""A controller, three agents and the network between them, killed, cut, filled and moved: nothing may be lost."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.campaign import Campaign
from tests.chaos.faults import SLOW, Fault
from tests.chaos.long_run import struck

_QUICK = frozenset(Fault) - SLOW


def test_a_fleet_to_which_everything_happens_once_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    outcome = Campaign(tmp_path / "fleet", seed=6, fault_count=len(_QUICK), left_out=SLOW).run()
    assert outcome.violations == []
    assert struck([outcome]) + outcome.missed_count == len(_QUICK)
    # Every device took a job after the last fault.
    assert outcome.job_states["JOB_STATE_RECORDED"] >= 3

"""A fleet and all that may happen to it: nothing is lost, nothing is there twice; and what is would be noticed."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.campaign import Campaign
from tests.chaos.faults import SLOW, Fault
from tests.chaos.flaws import Flaw
from tests.chaos.fleet import Kind
from tests.chaos.long_run import struck

_QUICK = frozenset(Fault) - SLOW


def test_a_fleet_to_which_everything_happens_once_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path / "fleet", seed=6, kind=Kind.SHARED, fault_count=len(_QUICK), left_out=SLOW)
    outcome = campaign.run()
    assert outcome.violations == []
    assert struck([outcome]) + outcome.missed_count == len(_QUICK)
    # Every device took a job of each controller after the last fault.
    assert outcome.job_states["JOB_STATE_RECORDED"] >= 6


def test_a_campaign_notices_a_controller_that_acknowledges_before_it_stores(tmp_path: Path) -> None:
    others = frozenset(Fault) - {Fault.KILL_CONTROLLER}
    flaw = Flaw.ACKNOWLEDGES_FIRST
    outcome = Campaign(tmp_path / "fleet", seed=7, kind=Kind.PLAIN, fault_count=1, left_out=others, flaw=flaw).run()
    assert any("is not recorded" in violation for violation in outcome.violations), outcome.violations

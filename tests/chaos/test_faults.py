"""A seed is a campaign: the same faults in the same order, of every kind."""

from __future__ import annotations

from tests.chaos.faults import SLOW, Fault, schedule
from tests.chaos.fleet import Kind, kind_of


def test_a_seed_gives_the_same_faults_again_and_another_seed_gives_others() -> None:
    assert schedule(1, 25, device_count=3) == schedule(1, 25, device_count=3)
    assert schedule(1, 25, device_count=3) != schedule(2, 25, device_count=3)


def test_every_kind_comes_once_before_any_comes_again_and_a_longer_campaign_begins_alike() -> None:
    steps = schedule(3, 2 * len(Fault), device_count=3)
    assert {step.fault for step in steps[: len(Fault)]} == set(Fault)
    assert {step.fault for step in steps[len(Fault) :]} == set(Fault)
    assert schedule(3, 5, device_count=3) == steps[:5]


def test_kinds_that_are_left_out_do_not_come_and_only_clocks_move() -> None:
    steps = schedule(4, 100, device_count=3, left_out=SLOW)
    assert not SLOW & {step.fault for step in steps}
    moved = {step.fault for step in steps if step.moved_s}
    assert moved == {Fault.MOVE_AGENT_CLOCK, Fault.MOVE_CONTROLLER_CLOCK}
    assert {step.device_index for step in steps} == {0, 1, 2}


def test_a_controllers_clock_moves_no_further_than_its_fleet_bears_and_an_agents_as_far_as_ever() -> None:
    steps = schedule(5, 400, device_count=3, most_controller_step_s=3600.0)
    furthest_s = {
        fault: max(abs(step.moved_s) for step in steps if step.fault is fault)
        for fault in (Fault.MOVE_AGENT_CLOCK, Fault.MOVE_CONTROLLER_CLOCK)
    }
    assert furthest_s == {Fault.MOVE_AGENT_CLOCK: 400 * 86_400.0, Fault.MOVE_CONTROLLER_CLOCK: 3600.0}


def test_every_kind_of_fleet_comes_among_three_seeds_and_leaves_out_only_what_it_cannot_bear() -> None:
    assert {kind_of(seed) for seed in range(7, 10)} == set(Kind)
    assert {kind: kind.left_out for kind in Kind} == {
        Kind.PLAIN: frozenset(),
        Kind.RENEWED: frozenset({Fault.MOVE_CONTROLLER_CLOCK}),
        Kind.SHARED: frozenset(),
    }

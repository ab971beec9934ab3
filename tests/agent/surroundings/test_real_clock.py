from __future__ import annotations

from steelyard_agent.readings import Kind, Reading, Scope, Status, unavailable
from steelyard_agent.surroundings.contract import Circumstance, Weighed
from steelyard_agent.surroundings.real_clock import weigh_clock


def reading(name, value):
    return Reading(
        name=name, value=value, status=Status.MEASURED, source="x", scope=Scope.SOC, unit="Hz", kind=Kind.SAMPLED
    )


def weigh(clock_hz, asked_hz, governor="performance"):
    readings = [reading("cpu_frequency", asked_hz), reading("cpu_clock", clock_hz)]
    return weigh_clock(readings, [Circumstance(name="governor", value=governor)])


def test_a_clock_that_runs_slower_than_asked_is_evidence():
    assert weigh(1.2e9, 1.5e9).evidence == ("the processor ran at 1200 MHz where 1500 MHz were asked for",)


def test_a_clock_beside_what_was_asked_for_and_above_it_is_none():
    assert weigh(1.47e9, 1.5e9) == Weighed()
    assert weigh(1.531e9, 1.5e9) == Weighed()


def test_a_governor_that_moves_the_clock_may_have_moved_it_between_the_two():
    assert weigh(0.6e9, 1.5e9, governor="ondemand") == Weighed()


def test_a_device_that_does_not_tell_its_clock_says_nothing():
    missing = unavailable("cpu_clock", reason="denied", source="x", scope=Scope.SOC, unit="Hz", kind=Kind.SAMPLED)
    still = [Circumstance(name="governor", value="performance")]
    assert weigh_clock([reading("cpu_frequency", 1.5e9), missing], still) == Weighed()
    assert weigh_clock([reading("cpu_clock", 1.2e9)], still) == Weighed()

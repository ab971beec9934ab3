from __future__ import annotations

import pytest

from steelyard_agent.cores import CoreSelection, NoSuchCoresError
from steelyard_agent.jobs.pinning import Pinning, pin_as_planned, placed
from steelyard_agent.state.settings import DeviceSettings
from steelyard_protocol.v1 import plan_pb2
from tests.agent.test_cores import rock_5b

BIG_BY_DEFAULT = DeviceSettings(core_selection=CoreSelection.BIG)


def test_a_plan_that_names_nothing_is_not_pinned(tmp_path):
    assert pin_as_planned(plan_pb2.Plan(), system=rock_5b(tmp_path).system, settings=DeviceSettings()) == Pinning()


def test_cores_by_number_are_taken_as_they_are_whatever_the_device_would_do(tmp_path):
    plan = plan_pb2.Plan(core_ids=[0, 1])
    system = rock_5b(tmp_path).system
    assert pin_as_planned(plan, system=system, settings=BIG_BY_DEFAULT) == Pinning(core_ids=(0, 1))


def test_a_kind_of_cores_is_resolved_within_what_the_cpuset_lends_now(tmp_path):
    tree = rock_5b(tmp_path, lent="0-7")
    plan = plan_pb2.Plan(core_selection=plan_pb2.CORE_SELECTION_BIG)
    pinning = pin_as_planned(plan, system=tree.system, settings=DeviceSettings())
    assert pinning == Pinning(core_ids=(4, 5, 6, 7), note="pinned to the big cores 4-7")
    tree.write("/proc/self/status", "Cpus_allowed_list:\t0-4\n")
    assert pin_as_planned(plan, system=tree.system, settings=DeviceSettings()).core_ids == (4,)
    tree.write("/proc/self/status", "Cpus_allowed_list:\t0-3\n")
    with pytest.raises(NoSuchCoresError, match="0-3 only"):
        pin_as_planned(plan, system=tree.system, settings=DeviceSettings())


def test_the_plans_own_choice_wins_over_the_devices_setting(tmp_path):
    plan = plan_pb2.Plan(core_selection=plan_pb2.CORE_SELECTION_LITTLE)
    pinning = pin_as_planned(plan, system=rock_5b(tmp_path).system, settings=BIG_BY_DEFAULT)
    assert pinning.note == "pinned to the little cores 0-3"


def test_the_devices_own_setting_is_said_with_the_way_back(tmp_path):
    pinning = pin_as_planned(plan_pb2.Plan(), system=rock_5b(tmp_path).system, settings=BIG_BY_DEFAULT)
    assert pinning.core_ids == (4, 5, 6, 7)
    assert "by this device's own setting (steelyard-agent doctor --undo)" in pinning.note


def test_an_artifacts_own_cores_count_before_the_plans(tmp_path):
    plan = plan_pb2.Plan(core_ids=[0, 1], artifacts=[plan_pb2.PlannedArtifact(label="a")])
    system = rock_5b(tmp_path).system

    def core_ids(artifact: plan_pb2.PlannedArtifact) -> tuple[int, ...]:
        return pin_as_planned(placed(plan, artifact), system=system, settings=DeviceSettings()).core_ids

    assert core_ids(plan.artifacts[0]) == (0, 1)
    assert core_ids(plan_pb2.PlannedArtifact(core_ids=[5])) == (5,)
    assert core_ids(plan_pb2.PlannedArtifact(core_selection=plan_pb2.CORE_SELECTION_BIG)) == (4, 5, 6, 7)


def test_a_device_whose_own_setting_cannot_be_kept_says_whose_it_is(tmp_path):
    system = rock_5b(tmp_path, lent="0-3").system
    with pytest.raises(
        NoSuchCoresError, match=r"0-3 only.*, by this device's own setting \(.* doctor --undo\)"
    ) as caught:
        pin_as_planned(plan_pb2.Plan(), system=system, settings=BIG_BY_DEFAULT)
    assert caught.value.reason == "cores_not_lent"
    with pytest.raises(NoSuchCoresError) as caught:
        pin_as_planned(
            plan_pb2.Plan(core_selection=plan_pb2.CORE_SELECTION_BIG), system=system, settings=DeviceSettings()
        )
    assert "own setting" not in str(caught.value)

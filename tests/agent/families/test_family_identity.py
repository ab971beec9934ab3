from __future__ import annotations

import pytest

from steelyard_agent.cores import lent_cores
from steelyard_agent.description import describe_device
from steelyard_agent.meters.cpufreq import read_governors
from steelyard_agent.processor import parse_cpuinfo
from steelyard_agent.profiles import load_profiles
from steelyard_agent.readings import Status
from tests.agent.families.boards import BOARDS
from tests.support.fake_sysfs import load_manifest, load_tree
from tests.support.goldens import FAMILIES


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """Each family's tree and what the agent says of it."""
    found = {}
    for family in FAMILIES:
        tree = load_tree(family, tmp_path_factory.mktemp(family) / "tree")
        found[family] = (tree, describe_device(tree.system, name="bench", device_id="d-1"))
    return found


def test_every_family_has_a_manifest_with_its_source_and_expectations():
    assert set(BOARDS) == set(FAMILIES)
    for family in FAMILIES:
        source = load_manifest(family)["source"]
        honest = ("Recorded", "Composed", "composed", "Made up")
        assert len(source) > 100, family
        assert any(word in source for word in honest), family


@pytest.mark.parametrize("family", FAMILIES)
def test_a_device_says_who_it_is(described, family):
    _, device = described[family]
    board = BOARDS[family]
    assert (device.model, device.profile, device.processor) == (board.model, board.profile, board.processor)
    assert device.logical_core_count == board.core_count
    assert device.operating_system
    assert device.memory_bytes > 400_000_000


def test_families_are_told_apart_and_each_profile_exists(described):
    names = {profile.name for profile in load_profiles()}
    matched = {family: described[family][1].profile for family in FAMILIES}
    assert set(matched.values()) - {""} <= names
    assert matched["unknown_board"] == "", "a device not known is not taken for a known one"
    known = [family for family in FAMILIES if not family.startswith(("jetson_nano", "unknown"))]
    assert len({matched[family] for family in known}) == len(known)


@pytest.mark.parametrize("family", FAMILIES)
def test_features_are_those_that_every_core_has(described, family):
    tree, device = described[family]
    board = BOARDS[family]
    assert device.processor_features == board.features
    cores = parse_cpuinfo(tree.system.path("/proc/cpuinfo").read_text("utf-8")).core_features
    assert len(cores) == board.core_count
    assert {name for core in cores for name in core} >= set(board.features)


@pytest.mark.parametrize("family", FAMILIES)
def test_cores_are_grouped_by_capacity_or_frequency(described, family):
    _, device = described[family]
    found = tuple((group.name, len(group.core_ids)) for group in device.core_groups)
    assert found == BOARDS[family].groups


@pytest.mark.parametrize("family", FAMILIES)
def test_the_governor_is_read(described, family):
    tree, _ = described[family]
    assert read_governors(tree.system) == tuple(filter(None, [BOARDS[family].governor]))


def test_a_background_app_is_lent_the_little_cores_only(described):
    tree, _ = described["android_generic"]
    assert lent_cores(tree.system) == (0, 1, 2, 3)


@pytest.mark.parametrize("family", FAMILIES)
def test_power_comes_from_what_the_family_has_or_says_why_not(described, family):
    _, device = described[family]
    board = BOARDS[family]
    readings = [one for one in device.meters if one.unit in {"W", "J"}]
    measured = {one.name: one.scope for one in readings if one.value is not None}
    assert measured == board.power
    if not board.power:
        assert any(board.why_no_power in one.reason for one in readings), [one.reason for one in readings]


@pytest.mark.parametrize("family", FAMILIES)
def test_heat_comes_from_the_zones_that_can_be_read(described, family):
    _, device = described[family]
    board = BOARDS[family]
    readings = [one for one in device.meters if one.unit == "Cel"]
    assert {one.name for one in readings if one.value is not None} == board.heat
    unread = [one for one in readings if one.status is Status.UNAVAILABLE]
    assert all(one.reason for one in unread)
    assert board.heat or unread, "a device without a temperature says why"
    assert len([one for one in unread if "thermal_zone" in one.reason]) == board.unread_zones


def test_a_negotiated_contract_a_general_converter_and_shunt_drops_are_no_power(described):
    for family in ("n100", "rock_5b", "raspberry_pi_5", "jetson_orin_nano", "jetson_agx_orin"):
        _, device = described[family]
        sources = " ".join(one.source for one in device.meters if one.unit == "W" and one.value is not None)
        assert not any(trap in sources for trap in ("psy", "rp1_adc", "in4_input", "in5_input", "in6_input")), family


def test_a_named_shunt_that_is_the_drivers_default_comes_with_a_caution(described):
    _, device = described["unknown_board"]
    power = next(one for one in device.meters if one.name == "power")
    assert power.value == pytest.approx(2.45)
    assert "check the board" in power.reason

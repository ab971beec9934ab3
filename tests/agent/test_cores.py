from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.cores import (
    CoreGroup,
    CoreSelection,
    NoSuchCoresError,
    find_core_groups,
    format_cores,
    lent_cores,
    parse_core_list,
    select_cores,
)
from tests.support.fake_sysfs import FakeSysfs

CPU = "/sys/devices/system/cpu"


def board(root, *, capacities=(), frequencies_khz=(), lent=""):
    tree = FakeSysfs(root)
    count = max(len(capacities), len(frequencies_khz))
    tree.write(f"{CPU}/online", f"0-{count - 1}\n")
    for core, capacity in enumerate(capacities):
        tree.write(f"{CPU}/cpu{core}/cpu_capacity", f"{capacity}\n")
    for core, khz in enumerate(frequencies_khz):
        tree.write(f"{CPU}/cpu{core}/cpufreq/cpuinfo_max_freq", f"{khz}\n")
    if lent:
        tree.write("/proc/self/status", f"Name:\tpython3\nCpus_allowed_list:\t{lent}\n")
    return tree


def rock_5b(root, **more):
    # Four Cortex-A55 of capacity 530 and two pairs of Cortex-A76, of which one pair clocks a little higher.
    return board(
        root,
        capacities=(530, 530, 530, 530, 1004, 1004, 1024, 1024),
        frequencies_khz=(1_800_000,) * 4 + (2_256_000,) * 2 + (2_304_000,) * 2,
        **more,
    )


def test_big_and_little_cores_are_told_apart_by_capacity(tmp_path):
    big, little = find_core_groups(rock_5b(tmp_path).system)
    assert big == CoreGroup(name="big", core_ids=(4, 5, 6, 7), capacity=1024, max_frequency_hz=2_304_000_000)
    assert (little.name, little.core_ids, little.capacity) == ("little", (0, 1, 2, 3), 530)


def test_without_capacities_the_highest_clock_tells(tmp_path):
    groups = find_core_groups(board(tmp_path, frequencies_khz=(5_000_000, 5_100_000, 3_800_000, 3_800_000)).system)
    assert [(group.name, group.core_ids, group.capacity) for group in groups] == [
        ("big", (0, 1), None),
        ("little", (2, 3), None),
    ]


def test_three_kinds_have_a_middle(tmp_path):
    groups = find_core_groups(board(tmp_path, capacities=(200, 200, 200, 200, 700, 700, 700, 1024)).system)
    assert [(group.name, group.core_ids) for group in groups] == [
        ("big", (7,)),
        ("middle", (4, 5, 6)),
        ("little", (0, 1, 2, 3)),
    ]


def test_four_kinds_have_numbered_middles(tmp_path):
    groups = find_core_groups(board(tmp_path, capacities=(100, 300, 600, 1024)).system)
    assert [group.name for group in groups] == ["big", "middle-1", "middle-2", "little"]


def test_cores_that_are_alike_are_one_group(tmp_path):
    (group,) = find_core_groups(board(tmp_path, frequencies_khz=(2_400_000,) * 4).system)
    assert (group.name, group.core_ids) == ("all", (0, 1, 2, 3))


@pytest.mark.parametrize("text", ["", "fast", "-5", "0"])
def test_half_a_picture_is_none(tmp_path, text):
    tree = rock_5b(tmp_path)
    tree.write(f"{CPU}/cpu2/cpu_capacity", text)
    tree.remove(f"{CPU}/cpu3/cpufreq/cpuinfo_max_freq")
    assert find_core_groups(tree.system) == ()


def test_a_system_that_tells_nothing_has_no_groups(tmp_path):
    assert find_core_groups(FakeSysfs(tmp_path).system) == ()
    assert lent_cores(FakeSysfs(tmp_path).system) is None


@pytest.mark.parametrize("lent", [",", "3-0", "0-", "-", "999999"])
def test_a_list_of_lent_cores_that_makes_no_sense_tells_nothing(tmp_path, lent):
    assert lent_cores(rock_5b(tmp_path, lent=lent).system) is None


def test_cores_are_counted_by_their_folders_where_none_are_said_to_be_online(tmp_path):
    tree = board(tmp_path, frequencies_khz=(1_000_000,) * 3)
    tree.write(f"{CPU}/online", "")
    assert find_core_groups(tree.system)[0].core_ids == (0, 1, 2)


def test_a_core_that_is_off_is_left_out(tmp_path):
    tree = rock_5b(tmp_path)
    tree.write(f"{CPU}/online", "0-3,6-7")
    assert find_core_groups(tree.system)[0].core_ids == (6, 7)


def test_only_lent_cores_are_selected(tmp_path):
    system = rock_5b(tmp_path, lent="0-5").system
    assert select_cores(system, CoreSelection.BIG) == (4, 5)
    assert select_cores(system, CoreSelection.LITTLE) == (0, 1, 2, 3)


def test_where_nobody_tells_what_is_lent_every_core_of_the_kind_is(tmp_path):
    assert select_cores(rock_5b(tmp_path).system, CoreSelection.BIG) == (4, 5, 6, 7)


def test_a_cpuset_without_big_cores_is_named(tmp_path):
    with pytest.raises(NoSuchCoresError, match="the big cores are 4-7 and this process may use 0-3 only"):
        select_cores(rock_5b(tmp_path, lent="0-3").system, CoreSelection.BIG)


def test_on_a_processor_of_one_kind_big_is_every_core_and_none_is_little(tmp_path):
    system = board(tmp_path, frequencies_khz=(2_400_000,) * 4, lent="0-3").system
    assert select_cores(system, CoreSelection.BIG) == (0, 1, 2, 3)
    with pytest.raises(NoSuchCoresError, match="cores of one kind"):
        select_cores(system, CoreSelection.LITTLE)


def test_cores_that_nobody_tells_apart_are_not_guessed(tmp_path):
    with pytest.raises(NoSuchCoresError, match="name cores by number"):
        select_cores(FakeSysfs(tmp_path).system, CoreSelection.BIG)


@given(st.sets(st.integers(0, 99999), min_size=1, max_size=50))
def test_a_list_of_cores_survives_its_text(cores):
    assert set(parse_core_list(format_cores(tuple(cores)))) == cores


@pytest.mark.parametrize("text", ["", "a", "3-1", "1,,2", "-1", "0-", "٣"])
def test_what_is_no_list_of_cores_is_refused(text):
    with pytest.raises(ValueError, match=r"not a list|counts down"):
        parse_core_list(text)


def test_no_cores_are_called_none():
    assert format_cores(()) == "none"


def test_a_group_has_cores():
    with pytest.raises(ValueError, match="no cores"):
        CoreGroup(name="big", core_ids=())

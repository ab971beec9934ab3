from __future__ import annotations

from steelyard_agent.cores import CoreSelection
from steelyard_agent.state.settings import DeviceSettings
from steelyard_agent.steadying.offers import FileChange, find_offers, why_not_offered
from tests.agent.steadying.boards import GOVERNOR, governed
from tests.agent.test_cores import board, rock_5b
from tests.support.fake_sysfs import FakeSysfs


def test_a_governor_that_follows_the_load_is_offered_to_be_steady(tmp_path):
    tree = governed(tmp_path, "ondemand", "schedutil")
    (offer,) = find_offers(tree.system, DeviceSettings())
    assert offer.sentence == "set the cpufreq governor of 2 policies from ondemand, schedutil to performance"
    assert "until the next boot" in offer.effect
    assert offer.changes == (
        FileChange(file=GOVERNOR.format(0), before="ondemand", after="performance"),
        FileChange(file=GOVERNOR.format(1), before="schedutil", after="performance"),
    )


def test_only_what_is_not_steady_yet_is_offered(tmp_path):
    tree = governed(tmp_path, "performance", "powersave")
    (offer,) = find_offers(tree.system, DeviceSettings())
    assert [change.file for change in offer.changes] == [GOVERNOR.format(1)]
    assert "of 1 policy from powersave" in offer.sentence


def test_a_governor_that_the_kernel_does_not_have_is_not_offered(tmp_path):
    tree = governed(tmp_path, "ondemand", available="ondemand userspace")
    assert find_offers(tree.system, DeviceSettings()) == ()
    assert why_not_offered(tree.system, DeviceSettings())[0] == (
        "governor: it is ondemand, and the kernel offers no performance in its place (it has ondemand, userspace)"
    )


def test_a_device_without_cpufreq_has_nothing_to_offer(tmp_path):
    system = FakeSysfs(tmp_path).system
    assert find_offers(system, DeviceSettings()) == ()
    governor, cores = why_not_offered(system, DeviceSettings())
    assert governor == "governor: no clock can be set here (/sys/devices/system/cpu/cpufreq: not there)"
    assert cores.startswith("cores: this device tells neither cpu_capacity nor cpuinfo_max_freq")


def test_files_of_cpufreq_that_cannot_be_read_are_said_to_be_so(tmp_path):
    tree = governed(tmp_path, "", available="")
    assert find_offers(tree.system, DeviceSettings()) == ()
    assert (
        "it is not told, and the kernel offers no performance in its place (it has none that can be read)"
        in (why_not_offered(tree.system, DeviceSettings())[0])
    )


def test_what_is_steady_already_is_not_offered_and_said(tmp_path):
    tree = governed(tmp_path / "one", "performance")
    assert why_not_offered(tree.system, DeviceSettings())[0] == "governor: it is performance"
    alike = board(tmp_path / "two", frequencies_khz=(2_400_000,) * 4)
    assert why_not_offered(alike.system, DeviceSettings())[1] == "cores: all are of one kind"


def test_what_is_offered_is_not_excused(tmp_path):
    tree = rock_5b(tmp_path, lent="0-7")
    assert [one.partition(":")[0] for one in why_not_offered(tree.system, DeviceSettings())] == ["governor"]


def test_pinning_to_the_big_cores_is_offered_where_there_are_little_ones(tmp_path):
    (offer,) = find_offers(rock_5b(tmp_path, lent="0-7").system, DeviceSettings())
    assert (offer.name, offer.changes) == ("cores", ())
    assert "big cores (4-7)" in offer.sentence
    assert offer.settings == DeviceSettings(core_selection=CoreSelection.BIG)


def test_pinning_is_not_offered_twice_nor_where_no_big_core_is_lent(tmp_path):
    tree = rock_5b(tmp_path, lent="0-3")
    assert find_offers(tree.system, DeviceSettings()) == ()
    assert (
        "the big cores are 4-7 and this process may use 0-3 only" in why_not_offered(tree.system, DeviceSettings())[1]
    )
    tree.write("/proc/self/status", "Cpus_allowed_list:\t0-7\n")
    pinned = DeviceSettings(core_selection=CoreSelection.BIG)
    assert find_offers(tree.system, pinned) == ()
    assert why_not_offered(tree.system, pinned)[1] == "cores: measured processes are pinned to the big cores"

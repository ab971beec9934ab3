"""The gate over a fake tree whose values change while it waits, under a fake clock."""

from pathlib import Path

import pytest

from steelyard_agent.validity.admission import ConditionGate, OpenGate
from steelyard_agent.validity.rules import GateRules
from tests.agent.validity.trees import BATTERY, ZONE, Tree


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


async def begun(tree: Tree) -> ConditionGate:
    gate = tree.make_gate()
    await gate.begin()
    return gate


async def test_a_cool_and_quiet_device_lets_a_block_begin_at_once(tree: Tree) -> None:
    gate = await begun(tree)
    tree.pass_time(1.0)
    admission = await tree.admit(
        gate,
        most_temperature_rise_c=2.0,
        most_temperature_c=60.0,
        most_other_load=0.5,
        least_available_bytes=2**20,
        least_charge=0.5,
        governor="performance",
    )
    assert (admission.refusal, admission.waited_ms, admission.not_looked_at) == ("", 0, ())
    assert (tree.slept_s, tree.told) == (0.0, [])


async def test_it_waits_until_the_device_is_as_cool_as_the_job_began(tree: Tree) -> None:
    gate = await begun(tree)
    heat = [71.2]
    tree.heat(71.2)

    def cool(seconds: float) -> None:
        heat[0] -= 3.0 * seconds
        tree.heat(heat[0])

    tree.after = cool
    admission = await tree.admit(gate, most_temperature_rise_c=2.0)
    assert admission.refusal == ""
    # From 71.2 to at most 47 in steps of 3.
    assert admission.waited_ms == 9000
    assert tree.told[0] == "waiting: cpu 71.2 C, wants 47.0 C"
    assert len(tree.told) == 9


async def test_a_device_that_settled_at_a_higher_rest_may_begin_and_begins_from_there_on(tree: Tree) -> None:
    gate = await begun(tree)
    tree.heat(58.0)
    settled = await tree.admit(gate, most_temperature_rise_c=2.0)
    assert (settled.refusal, settled.waited_ms) == ("", 60_000)
    tree.heat(59.5)
    assert (await tree.admit(gate, most_temperature_rise_c=2.0)).waited_ms == 0
    tree.heat(60.5)
    tree.after = lambda _seconds: tree.heat(59.0)
    assert (await tree.admit(gate, most_temperature_rise_c=2.0)).waited_ms == 1000


async def test_a_device_that_does_not_cool_is_not_valid_after_the_longest_wait(tree: Tree) -> None:
    gate = await begun(tree)
    tree.heat(70.0)
    # Something else heats it: it neither cools nor settles.
    ups = iter(range(10_000))
    tree.after = lambda _seconds: tree.heat(70.0 + 0.05 * next(ups))
    admission = await tree.admit(gate, most_temperature_rise_c=2.0)
    assert admission.reason == "not_cooled"
    assert admission.waited_ms == 600_000
    assert admission.refusal.startswith("not begun after 600 s of waiting: cpu 100.0 C, wants 47.0 C; cool the device")


async def test_a_highest_temperature_is_not_softened_by_settling(tree: Tree) -> None:
    gate = await begun(tree)
    tree.heat(70.0)
    admission = await tree.admit(gate, most_temperature_c=60.0, most_temperature_rise_c=2.0, longest_wait_s=90.0)
    assert admission.reason == "not_cooled"
    assert "cpu 70.0 C, wants 60.0 C" in admission.refusal


async def test_load_of_others_is_counted_from_the_last_block_on_less_what_was_ours(tree: Tree) -> None:
    gate = await begun(tree)
    tree.pass_time(2.0)
    tree.work(others_s=0.2, own_s=2.0)
    assert (await tree.admit(gate, most_other_load=0.2)).refusal == ""
    assert tree.slept_s == 0.0


async def test_a_neighbour_is_waited_for_and_gone_a_second_later(tree: Tree) -> None:
    gate = await begun(tree)
    tree.pass_time(2.0)
    tree.work(others_s=3.0)
    admission = await tree.admit(gate, most_other_load=1.1)
    assert (admission.refusal, admission.waited_ms) == ("", 1000)
    assert tree.told == ["waiting: others keep 1.50 cores busy, wants 1.10"]


async def test_a_neighbour_that_stays_is_waited_for_a_minute_only(tree: Tree) -> None:
    gate = await begun(tree)
    tree.after = lambda seconds: tree.work(others_s=2 * seconds)
    admission = await tree.admit(gate, most_other_load=1.1)
    assert admission.reason == "too_busy"
    # A quarter of a second to count from, then a minute.
    assert admission.waited_ms == 60_250
    assert "others keep 2.00 cores busy, wants 1.10; end what runs there" in admission.refusal


async def test_a_neighbour_that_comes_while_the_device_cools_has_a_minute_of_its_own(tree: Tree) -> None:
    gate = await begun(tree)
    tree.heat(80.0)
    heat = iter([80.0 - 0.3 * step for step in range(200)])

    def go_on(seconds: float) -> None:
        tree.heat(next(heat))
        # It works from 70 s on for 20 s.
        tree.work(others_s=2 * seconds if 70 < tree.slept_s < 90 else 0.0)

    tree.after = go_on
    admission = await tree.admit(gate, most_temperature_rise_c=2.0, most_other_load=1.1)
    assert admission.refusal == ""
    assert any("others keep" in sentence and "cpu" in sentence for sentence in tree.told)


async def test_what_comes_and_goes_by_turns_is_waited_for_no_longer_than_all_of_it_may_take(tree: Tree) -> None:
    gate = await begun(tree)

    def take_turns(_seconds: float) -> None:
        is_odd = int(tree.slept_s) % 2 == 1
        tree.memory(2048 if is_odd else 50)
        tree.stall(30.0 if is_odd else 0.0)

    tree.memory(50)
    tree.after = take_turns
    admission = await tree.admit(gate, least_available_bytes=64 * 2**20, longest_wait_s=90.0)
    assert admission.waited_ms == 90_000
    assert "not begun after 90 s of waiting" in admission.refusal


async def test_where_others_cannot_be_told_from_us_every_load_is_counted_afresh(tree: Tree) -> None:
    gate = tree.make_gate(counts_on=False)
    await gate.begin()
    tree.pass_time(2.0)
    tree.work(others_s=4.0)
    assert (await tree.admit(gate, most_other_load=0.5)).refusal == ""
    assert tree.slept_s == 0.25


async def test_memory_and_its_pressure_are_waited_for(tree: Tree) -> None:
    gate = await begun(tree)
    tree.memory(50)
    tree.after = lambda _seconds: tree.memory(100)
    assert (await tree.admit(gate, least_available_bytes=64 * 2**20)).waited_ms == 1000
    assert tree.told == ["waiting: 50 MiB of memory available, wants 64 MiB"]
    tree.stall(30.0)
    tree.after = lambda _seconds: None
    admission = await tree.admit(gate, least_available_bytes=64 * 2**20)
    assert admission.reason == "memory_pressure"
    assert "something waited for memory in 30 % of the last 10 s, wants 5 %" in admission.refusal


async def test_a_low_battery_is_waited_for_on_a_charger_only(tree: Tree) -> None:
    gate = await begun(tree)
    tree.battery(20)
    admission = await tree.admit(gate, least_charge=0.5)
    assert (admission.reason, admission.waited_ms) == ("charge_low", 0)
    assert "battery at 20 %, wants 50 %" in admission.refusal
    tree.battery(48, "Charging")
    charge = iter([49, 50])
    tree.after = lambda _seconds: tree.battery(next(charge), "Charging")
    assert (await tree.admit(gate, least_charge=0.5)).waited_ms == 2000


async def test_another_governor_on_a_measured_core_is_refused_at_once(tree: Tree) -> None:
    gate = await begun(tree)
    tree.governor("ondemand", "policy2", "2 3")
    admission = await tree.admit(gate, governor="performance")
    assert (admission.reason, admission.waited_ms) == ("other_governor", 0)
    assert "governor ondemand on cores 2-3, wants performance" in admission.refusal
    assert (await tree.admit(gate, governor="performance", core_ids=(0, 1))).refusal == ""


async def test_what_stands_by_default_and_cannot_be_read_is_told_and_holds_nothing_back(tree: Tree) -> None:
    for file in (f"{ZONE}/temp", "/proc/stat", "/proc/meminfo", "/proc/pressure/memory"):
        tree.sysfs.deny(file)
    gate = await begun(tree)
    admission = await tree.admit(gate, most_temperature_rise_c=2.0, most_other_load=0.1, least_available_bytes=2**40)
    assert (admission.refusal, admission.waited_ms) == ("", 0)
    told = [reason.partition(":")[0] for reason in admission.not_looked_at]
    assert told == ["temperature", "load of others", "available memory", "memory pressure"]
    assert all("permission denied" in reason for reason in admission.not_looked_at)


@pytest.mark.parametrize(
    ("rules", "file"),
    [
        ({"most_temperature_c": 60.0}, f"{ZONE}/temp"),
        ({"least_charge": 0.5}, "/sys/class/power_supply"),
        ({"governor": "performance"}, "/sys/devices/system/cpu/cpufreq"),
    ],
)
async def test_what_a_person_asked_for_and_cannot_be_read_never_passes(
    tree: Tree, rules: dict[str, object], file: str
) -> None:
    tree.sysfs.deny(file)
    admission = await tree.admit(await begun(tree), **rules)
    assert (admission.reason, admission.waited_ms) == ("cannot_be_read", 0)
    assert "cannot be read: " in admission.refusal


async def test_a_device_without_a_battery_says_so(tree: Tree) -> None:
    for name in ("type", "capacity", "status"):
        tree.sysfs.remove(f"{BATTERY}/{name}")
    admission = await tree.admit(await begun(tree), least_charge=0.5)
    assert (admission.refusal, admission.not_looked_at) == ("", ("charge: the device has no battery",))


async def test_the_battery_of_a_mouse_is_none_of_the_device(tree: Tree) -> None:
    tree.battery(3)
    tree.sysfs.write(f"{BATTERY}/scope", "Device\n")
    admission = await tree.admit(await begun(tree), least_charge=0.5)
    assert admission.not_looked_at == ("charge: the device has no battery",)


async def test_an_open_gate_lets_everything_through() -> None:
    async def tell(sentence: str) -> None:
        raise AssertionError(sentence)

    gate = OpenGate()
    await gate.begin()
    rules = GateRules(governor="none", most_temperature_c=0.0)
    assert (await gate.admit(rules, core_ids=(), tell=tell)).refusal == ""

"""The owner's rules: each says no with its sentence, and one that cannot be read never passes in silence."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest

from steelyard_agent.cli import main
from steelyard_agent.commands import CommandAnswer
from steelyard_agent.jobs.work_policy import PolicyRefusal
from steelyard_agent.meters.contract import System
from steelyard_agent.policy.owner import OwnersPolicy
from steelyard_agent.policy.sensors import busy_objection

NOON = datetime(2026, 11, 28, 12, 0)  # noqa: DTZ001 (the clock on the wall)
HOUR_S = 3600


class House:
    """A state directory, a tree of sysfs and a clock."""

    def __init__(self, folder: Path) -> None:
        self.state, self.root = folder / "state", folder / "root"
        self.state.mkdir()
        self.root.mkdir()
        self.now_s = NOON.timestamp()
        self.answer = CommandAnswer(output="u 4")
        self.policy = self.restarted()

    def restarted(self) -> OwnersPolicy:
        def run_command(_words: Sequence[str]) -> CommandAnswer:
            return self.answer

        system = System(root=self.root, clock_ns=lambda: int(self.now_s * 1e9), run_command=run_command)
        return OwnersPolicy(self.state, system=system, clock_s=lambda: self.now_s)

    def rules(self, text: str) -> None:
        (self.state / "policy.toml").write_text(text, encoding="utf-8")

    def supply(self, name: str, **files: str) -> None:
        folder = self.root / "sys/class/power_supply" / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            (folder / file).write_text(f"{content}\n", encoding="ascii")

    async def refusal(self) -> PolicyRefusal:
        refusal = await self.policy.refusal()
        assert refusal is not None
        return refusal


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def test_a_device_without_a_policy_works_at_any_time(house: House) -> None:
    assert await house.policy.refusal() is None


async def test_outside_its_windows_a_device_says_when_the_next_one_opens(house: House) -> None:
    house.rules('windows = ["22:00-06:00"]')
    refusal = await house.refusal()
    assert refusal.rule == "windows"
    assert "not before 2026-11-28 22:00" in refusal.sentence
    assert refusal.until_unix_ns == int((house.now_s + 10 * HOUR_S) * 1e9)
    house.now_s += 10 * HOUR_S
    assert await house.policy.refusal() is None


async def test_the_minutes_of_a_day_are_counted_over_restarts_and_begin_anew_at_midnight(house: House) -> None:
    house.rules("minutes_per_day = 10")
    house.policy.worked(9 * 60)
    assert await house.policy.refusal() is None
    house.policy = house.restarted()
    house.policy.worked(2 * 60)
    refusal = await house.refusal()
    assert (refusal.rule, "11 of 10 minutes" in refusal.sentence) == ("minutes_per_day", True)
    assert refusal.until_unix_ns == int((house.now_s + 12 * HOUR_S) * 1e9)
    house.now_s += 12 * HOUR_S
    assert await house.policy.refusal() is None


@pytest.mark.parametrize(
    ("supplies", "says"),
    [
        ({"BAT0": {"type": "Battery", "status": "Discharging"}}, "not charging (BAT0 says Discharging)"),
        ({"AC": {"type": "Mains", "online": "0"}}, "not charging (AC is not plugged in)"),
        ({"BAT0": {"type": "Battery", "status": "Charging"}}, ""),
        ({"BAT0": {"type": "Battery", "status": "Not charging"}}, ""),
        (
            {"AC": {"type": "Mains", "online": "1"}, "BAT0": {"type": "Battery", "status": "Discharging"}},
            "",
        ),
        ({}, "whether this device charges cannot be read"),
        ({"odd": {"type": "Battery"}}, "whether this device charges cannot be read"),
    ],
    ids=str,
)
async def test_charging_only_asks_the_power_supplies_and_says_when_none_tells(
    house: House, supplies: dict[str, dict[str, str]], says: str
) -> None:
    house.rules("charging_only = true")
    for name, files in supplies.items():
        house.supply(name, **files)
    refusal = await house.policy.refusal()
    if not says:
        assert refusal is None
    else:
        assert refusal is not None
        assert refusal.rule == "charging_only"
        assert says in refusal.sentence


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (CommandAnswer(output="u 2"), ""),
        (CommandAnswer(output="u 4"), ""),
        (CommandAnswer(output="u 1"), "the network is metered"),
        (CommandAnswer(output="u 3"), "the network is metered"),
        (CommandAnswer(output="u 0"), "cannot be read (NetworkManager says 'u 0')"),
        (CommandAnswer(output="nonsense"), "cannot be read"),
        (CommandAnswer(output=None, reason="busctl is not installed"), "cannot be read (busctl is not installed)"),
    ],
    ids=str,
)
async def test_unmetered_only_asks_networkmanager_and_says_when_it_cannot_tell(
    house: House, answer: CommandAnswer, says: str
) -> None:
    house.rules("unmetered_only = true")
    house.answer = answer
    refusal = await house.policy.refusal()
    assert (refusal.sentence if refusal is not None else "").count(says)
    assert (refusal is None) == (not says)


def processor(house: House, busy_ticks: int) -> None:
    (house.root / "proc/self").mkdir(parents=True, exist_ok=True)
    (house.root / "proc/stat").write_text(f"cpu  {busy_ticks} 0 0 900 0 0 0 0 0 0\n", encoding="ascii")
    zeros = " ".join(["0"] * 20)
    (house.root / "proc/self/stat").write_text(f"1 (agent) S {zeros}\n", encoding="ascii")


@pytest.mark.parametrize(("ticks", "idle"), [(10, True), (90, False)])
async def test_idle_only_looks_at_what_others_do(house: House, ticks: int, idle: bool) -> None:
    system = System(root=house.root, clock_ns=lambda: int(house.now_s * 1e9))
    processor(house, 1000)

    async def sleep(duration_s: float) -> None:
        house.now_s += duration_s
        processor(house, 1000 + ticks)

    why = await busy_objection(system, sleep=sleep)
    assert (why == "") is idle
    assert idle or "0.90 cores" in why


async def test_a_processor_that_cannot_be_read_is_not_idle(house: House) -> None:
    async def sleep(_duration_s: float) -> None:
        pass

    why = await busy_objection(System(root=house.root, clock_ns=lambda: 0), sleep=sleep)
    assert why.startswith("whether this device is idle cannot be read")


@pytest.mark.parametrize(
    "text",
    [
        "idle = true",
        "idle_only = 1",
        "minutes_per_day = true",
        "minutes_per_day = 1441",
        'windows = "22:00-06:00"',
        "\x00",
        "a =",
    ],
)
async def test_a_policy_that_cannot_be_read_allows_nothing_and_says_so(house: House, text: str) -> None:
    house.rules(text)
    refusal = await house.refusal()
    assert refusal.rule == "policy"
    assert "policy.toml cannot be used" in refusal.sentence


async def test_a_pause_goes_before_every_rule_and_ends_by_itself_or_by_hand(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--state-directory", str(house.state)]
    # The command looks at the real clock.
    house.now_s = time.time()
    assert main(["pause", *where]) == 0
    refusal = await house.refusal()
    assert (refusal.rule, refusal.until_unix_ns) == ("pause", None)
    assert main(["resume", *where]) == 0
    assert await house.policy.refusal() is None
    assert main(["pause", "--for", "2h", *where]) == 0
    until_ns = (await house.refusal()).until_unix_ns
    assert until_ns is not None
    house.now_s = until_ns / 1e9
    assert await house.policy.refusal() is None
    assert "takes no work until" in capsys.readouterr().out
    assert main(["pause", "--for", "0h", *where]) == 2


async def test_a_pause_that_cannot_be_read_is_one(house: House) -> None:
    (house.state / "pause.json").write_bytes(b"\xff")
    assert (await house.refusal()).rule == "pause"

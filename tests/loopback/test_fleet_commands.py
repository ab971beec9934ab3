"""The commands that look after a shelf, against a real controller, a relay on loopback and a real agent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from steelyard.control import power
from steelyard.control.client import Client
from steelyard.control.connect import connect
from steelyard.control.plans import MeasurementOptions
from steelyard.errors import UsageError
from steelyard.settings import Settings
from tests.controller.cli.running import Ran, run_command
from tests.controller.power_switches.relays import ShellyRelay, serving
from tests.support.anywhere import ANYWHERE
from tests.support.certificate_holder import enroll


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CI", "STEELYARD_STATE_DIRECTORY", "STEELYARD_CONTROLLER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "state"


@pytest.fixture
def client(state: Path) -> Iterator[Client]:
    settings = Settings(state_directory=state, agent_listen="127.0.0.1:0", secure_listen="127.0.0.1:0")
    with connect(settings=settings) as connected:
        yield connected


@pytest.fixture
def shelf(state: Path, client: Client) -> Callable[..., Ran]:
    """Two enrolled boards, `pi5` and `spare`; runs a command of the controller's machine."""
    code = client.identity.invite_device(use_count=2).code
    for name in ("pi5", "spare"):
        asyncio.run(enroll(code, name=name))

    def run(*words: str) -> Ran:
        return run_command("--state-directory", str(state), "device", *words)

    return run


def device_of(ran: Ran) -> dict[str, object]:
    assert ran.code == 0, ran.err
    return ran.document["device"]


def test_tags_are_changed_and_shown(shelf: Callable[..., Ran]) -> None:
    assert "has hot, rack1" in shelf("tag", "pi5", "+rack1", "+hot").err
    assert device_of(shelf("tag", "pi5", "-hot", "--json"))["tags"] == ["rack1"]
    assert "rack1" in shelf("list").out
    assert "write +rack1 or -rack1" in shelf("tag", "pi5", "rack1").is_refused()
    assert "must be 1 to 64 letters" in shelf("tag", "pi5", "+no good").is_refused()


def test_a_device_is_drained_and_works_again(shelf: Callable[..., Ran]) -> None:
    assert "takes nothing new" in shelf("drain", "pi5").err
    assert "drained" in shelf("list").out
    assert device_of(shelf("show", "pi5", "--json"))["draining"] is True
    assert "takes work again" in shelf("resume", "pi5").err
    resumed = device_of(shelf("show", "pi5", "--json"))
    assert (resumed["draining"], resumed["standing"]) == (False, "enrolled")
    history = shelf("history", "pi5").out.splitlines()
    assert ["resumed" in history[0], "drained" in history[1]] == [True, True]


def test_a_reason_with_brackets_and_escapes_is_shown_as_it_is_within_the_lines_of_a_terminal(
    shelf: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    reason = "[/b] lib[avx2] \x1b[2J " + "of no use " * 12
    assert "takes nothing new" in shelf("quarantine", "set", "pi5", "--reason", reason).err
    listed = shelf("quarantine", "list")
    assert (listed.code, "lib[avx2]" in listed.out) == (0, True), listed.err
    history = shelf("history", "pi5").out
    assert "[/b] lib[avx2] \\x1b[2J of no use" in " ".join(history.split())
    assert max(map(len, history.splitlines())) <= 80


def test_a_device_is_quarantined_listed_and_trusted_again(shelf: Callable[..., Ran]) -> None:
    assert "the fan is broken" in shelf("quarantine", "set", "pi5", "--reason", "the fan is broken").err
    (listed,) = shelf("quarantine", "list", "--json").document["quarantines"]
    assert (listed["device_name"], listed["reason"]) == ("pi5", "the fan is broken")
    assert "the fan is broken" in shelf("quarantine", "list", "pi5").out
    assert "quarantined" in shelf("list").out
    assert "lifted on pi5: the device" in shelf("quarantine", "lift", "pi5").err
    assert "nothing is quarantined" in shelf("quarantine", "list").out
    assert "nothing was quarantined" in shelf("quarantine", "lift", "pi5").err
    assert "nobody" in shelf("quarantine", "lift", "pi5", "--artifact", "nobody").is_refused()


def test_a_switch_is_kept_used_and_forgotten(shelf: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power, "PAUSE_S", 0.01)
    relay = ShellyRelay()
    with serving(relay, "shelly") as address:
        assert "only when somebody says so" in shelf("power", "pi5", "--switch", f"{address}/0").err
        assert "at most 3 times an hour" in shelf("power", "pi5", "--cycle-when-hung", "3").err
        assert relay.orders == []
        assert "switched off and on again" in shelf("power", "pi5", "cycle").err
        assert relay.orders == [False, True]
        assert "switched off" in shelf("power", "pi5", "off").err
        assert relay.output is False
    assert f"{address}/0" in shelf("power", "pi5").err
    assert "power_cycle" in shelf("history", "pi5").out
    assert "no power switch" in shelf("power", "pi5", "--no-switch").err
    assert "has no power switch" in shelf("power", "pi5", "on").is_refused()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--switch", "relay://x"), "of no known kind"),
        (("--switch", "tasmota://x", "--no-switch"), "one at a time"),
        (("cycle", "--no-switch"), "one at a time"),
        (("--no-switch", "--cycle-when-hung", "3"), "leaves nothing to cycle"),
        (("--cycle-when-hung", "3"), "has no power switch"),
        (("--switch", "tasmota://x", "--cycle-when-hung", "61"), "61"),
    ],
)
def test_switching_that_makes_no_sense_is_refused(
    shelf: Callable[..., Ran], words: tuple[str, ...], sentence: str
) -> None:
    assert sentence in shelf("power", "pi5", *words).is_refused()


def test_a_board_takes_the_place_of_another(shelf: Callable[..., Ran]) -> None:
    assert "spare" in shelf("replace", "pi5", "spare").err
    assert "replaced by" in shelf("show", "pi5").out
    assert device_of(shelf("show", "spare", "--json"))["replaced"]["old_device_name"] == "pi5"
    assert "took the place of pi5" in shelf("history", "spare").out
    assert "cannot take its own place" in shelf("replace", "pi5", "pi5").is_refused()


def test_a_real_agent_is_measured_by_its_tag_and_tells_of_its_health(client: Client, tmp_path: Path) -> None:
    from tests.support.models import linear_model

    client.device("local")
    client.fleet.tag("local", added=["desk"])
    model = client.add_model(linear_model(tmp_path / "model.onnx"))
    options = MeasurementOptions(
        gate=ANYWHERE, min_round_count=3, max_round_count=3, sample_window_ms=20, numeric_check=False
    )
    handle = client.measure([model], device="tag:desk", options=options)
    job = handle.wait()
    assert (job.pool, job.device) == ("tag:desk", "local")
    assert handle.measurement().device_name == "local"
    health = client.device("local").health
    assert abs(health.clock_offset_ms) < 10_000
    assert health.boot_id
    assert health.run_id
    assert "connected" in [one.kind for one in client.fleet.events("local")]
    with pytest.raises(UsageError, match="write tag:rack1"):
        client.measure([model], device="tag:", options=options)

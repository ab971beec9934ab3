"""Switches of every kind do the same: on, off, or a sentence that says why not."""

from __future__ import annotations

import shlex
import socket
import sys
from pathlib import Path

import pytest

from steelyard.errors import UsageError
from steelyard.power_switches import command
from steelyard.power_switches.contract import PowerError
from steelyard.power_switches.registry import KINDS, make_switch
from tests.controller.power_switches.relays import Relay, ShellyRelay, TasmotaRelay, serving

NETWORK = [("shelly", ShellyRelay), ("tasmota", TasmotaRelay)]


def program(tmp_path: Path, body: str) -> str:
    """Return the address of a switch that runs a program of the test."""
    script = tmp_path / "poe.py"
    script.write_text(f"import sys\n{body}\n")
    return "command:" + shlex.join([sys.executable, str(script), "{action}", "7"])


@pytest.mark.parametrize(("scheme", "kind"), NETWORK)
def test_a_relay_goes_off_and_on(scheme: str, kind: type[Relay]) -> None:
    relay = kind()
    with serving(relay, scheme) as address:
        switch = make_switch(address)
        switch.turn(False)
        assert relay.output is False
        switch.turn(True)
    assert relay.orders == [False, True]
    assert relay.output is True


@pytest.mark.parametrize(("scheme", "kind"), NETWORK)
def test_a_relay_that_does_not_obey_is_an_error(scheme: str, kind: type[Relay]) -> None:
    with serving(kind(stuck=True), scheme) as address, pytest.raises(PowerError, match="is not off after") as refused:
        make_switch(address).turn(False)
    assert refused.value.reason == "power_switch_failed"


@pytest.mark.parametrize("scheme", [scheme for scheme, _ in NETWORK])
def test_a_switch_that_is_not_there_is_told_with_its_address(scheme: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(PowerError, match=f"the switch at http://127.0.0.1:{port}") as refused:
            make_switch(f"{scheme}://127.0.0.1:{port}").turn(True)
    assert refused.value.reason == "power_switch_silent"


@pytest.mark.parametrize(
    ("scheme", "kind", "path"),
    [("shelly", ShellyRelay, "/rpc/Switch.Set?id=2&on=true"), ("tasmota", TasmotaRelay, "/cm?cmnd=Power2%20ON")],
)
def test_the_number_behind_the_slash_picks_a_relay(scheme: str, kind: type[Relay], path: str) -> None:
    relay = kind()
    with serving(relay, scheme) as address:
        make_switch(f"{address}/2").turn(True)
    assert relay.paths[0] == path


def test_a_program_is_run_with_the_word_in_its_place(tmp_path: Path) -> None:
    told = tmp_path / "told"
    address = program(tmp_path, f"open({str(told)!r}, 'a').write(' '.join(sys.argv[1:]) + ';')")
    switch = make_switch(address)
    switch.turn(False)
    switch.turn(True)
    assert told.read_text() == "off 7;on 7;"


def test_a_program_that_fails_is_told_with_what_it_said(tmp_path: Path) -> None:
    address = program(tmp_path, "print('port 7 has no power budget', file=sys.stderr); sys.exit(3)")
    with pytest.raises(PowerError, match="ended with 3 and said 'port 7 has no power budget'; run it by hand"):
        make_switch(address).turn(True)


def test_a_program_that_is_not_there_is_an_error() -> None:
    with pytest.raises(PowerError, match=r"cannot be run .*; run it by hand"):
        make_switch("command:steelyard-no-such-program {action}").turn(True)


def test_a_program_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_TIMEOUT_S", 0.3)
    with pytest.raises(PowerError, match="did not end within"):
        make_switch(program(tmp_path, "import time; time.sleep(600)")).turn(True)


def test_no_shell_reads_a_command(tmp_path: Path) -> None:
    told = tmp_path / "told"
    address = program(tmp_path, f"open({str(told)!r}, 'w').write('|'.join(sys.argv[1:]))")
    make_switch(f"{address} '$(id)' ';' reboot").turn(True)
    assert told.read_text() == "on|7|$(id)|;|reboot"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "poe",
        "relay://host",
        "shelly://",
        "shelly://host/first",
        "shelly://host:99999/0",
        "shelly://host/0?on=true",
        "tasmota://host/-1",
        "tasmota://user:secret@host",
        "command:poe on 7",
        "command:",
        "command:{action}",
        "command:poe '{action} 7",
    ],
)
def test_an_address_that_is_none_is_refused_before_anything_is_switched(address: str) -> None:
    with pytest.raises(UsageError) as refused:
        make_switch(address)
    assert refused.value.reason == "bad_switch"
    assert "secret" not in str(refused.value)


def test_every_kind_has_an_example_that_it_takes() -> None:
    for scheme, kind in KINDS.items():
        assert kind.example.startswith(f"{scheme}:")
        assert make_switch(kind.example).description

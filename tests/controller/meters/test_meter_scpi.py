"""SCPI instruments, simulated by pyvisa-sim and over a real socket with pyvisa-py."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from steelyard.errors import UsageError
from steelyard.meters import scpi
from steelyard.meters.contract import MeterError, Scope
from steelyard.meters.registry import make_meter

INSTRUMENTS = """
spec: "1.1"
devices:
  analyser:
    eom:
      TCPIP INSTR:
        q: "\\n"
        r: "\\n"
    error: ERROR
    dialogues:
      - q: "*IDN?"
        r: "ACME,PA1,0042,1.0"
      - q: "MEAS:POW?"
        r: "+4.25000E+00"
      - q: "MEAS:VOLT?"
        r: "5.0"
      - q: "MEAS:CURR?"
        r: "0.5"
      - q: "MEAS:POW? 2"
        r: "9.9E37 OVLD"
resources:
  TCPIP0::192.168.1.30::inst0::INSTR:
    device: analyser
"""
RESOURCE = "TCPIP0::192.168.1.30::inst0::INSTR"


@pytest.fixture
def backend(tmp_path: Path) -> str:
    path = tmp_path / "instruments.yaml"
    path.write_text(INSTRUMENTS)
    return f"{path}@sim"


def test_an_instrument_is_asked_for_its_power(backend: str) -> None:
    meter = make_meter(f"scpi:{RESOURCE}?backend={backend}")
    try:
        facts = meter.open()
        assert facts.description == f"ACME,PA1,0042,1.0 at {RESOURCE}"
        assert facts.scope is Scope.BOARD_INPUT
        assert [one.power_w for one in meter.read()] == [4.25]
    finally:
        meter.close()
        meter.close()


def test_volts_and_amperes_are_multiplied_where_there_is_no_power(backend: str) -> None:
    meter = make_meter(f"scpi:{RESOURCE}?volts=MEAS:VOLT?&amps=MEAS:CURR?&scope=wall&backend={backend}")
    try:
        assert meter.open().scope is Scope.WALL
        assert [one.power_w for one in meter.read()] == [2.5]
    finally:
        meter.close()


@pytest.mark.parametrize(
    ("query", "part"),
    [("MEAS:POW?%202", "which is no number"), ("MEAS:NOTHING?", "no number|did not answer")],
)
def test_an_answer_that_is_no_number_is_said(backend: str, query: str, part: str) -> None:
    meter = make_meter(f"scpi:{RESOURCE}?query={query}&backend={backend}")
    try:
        with pytest.raises(MeterError, match=part):
            meter.open()
    finally:
        meter.close()


def test_an_instrument_that_is_not_there_is_said(backend: str) -> None:
    meter = make_meter(f"scpi:NOTHING?backend={backend}")
    try:
        with pytest.raises(MeterError, match=r"NOTHING (cannot be opened|is nothing that answers)"):
            meter.open()
    finally:
        meter.close()


class Instrument(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        answers = {b"*IDN?": b"ACME,PSU,1,2\n", b"MEAS:POW?": b"3.5\n"}
        while line := self.rfile.readline():
            self.wfile.write(answers.get(line.strip(), b""))


@contextmanager
def instrument() -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Instrument) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def test_a_supply_on_a_raw_socket_is_read_in_plain_python() -> None:
    with instrument() as port:
        meter = make_meter(f"scpi:TCPIP0::127.0.0.1::{port}::SOCKET?backend=@py")
        try:
            assert meter.open().description.startswith("ACME,PSU")
            assert [one.power_w for one in meter.read()] == [3.5]
        finally:
            meter.close()


def test_a_supply_that_falls_silent_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scpi, "_TIMEOUT_MS", 50)
    with instrument() as port:
        meter = make_meter(f"scpi:TCPIP0::127.0.0.1::{port}::SOCKET?backend=@py&query=SILENCE?")
        try:
            with pytest.raises(MeterError, match=r"did not answer SILENCE\?"):
                meter.open()
        finally:
            meter.close()


@pytest.mark.parametrize(
    "address",
    ["", "?query=X?", "R?volts=V?", "R?volts=V?&amps=A?&query=P?", "R?unit=W", "R?query=", "R?scope=roof", "R?x"],
)
def test_options_that_make_no_sense_are_refused(address: str) -> None:
    with pytest.raises(UsageError, match="meter"):
        make_meter(f"scpi:{address}")

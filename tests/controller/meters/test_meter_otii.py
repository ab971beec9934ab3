"""Otii: the real client against a server of ours that speaks the application's protocol (JSON lines over TCP)."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from steelyard.errors import UsageError
from steelyard.meters.contract import MeterError, MeterUrl, Scope
from steelyard.meters.otii import Otii

ARC = {"device_id": "Arc1", "name": "Bench", "type": "Arc"}


class Application:
    """What the Otii application knows; ``values`` are what its recording holds."""

    def __init__(self, *devices: dict[str, str], has_project: bool = True, records: bool = True) -> None:
        self.devices = list(devices) or [ARC]
        self.has_project, self.records = has_project, records
        self.values: list[float] = []
        self.interval_s = 0.00025
        self.commands: list[str] = []
        self.errors: dict[str, str] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        command, data = request["cmd"], request.get("data", {})
        self.commands.append(command)
        if command in self.errors:
            return {"type": "error", "errorcode": self.errors[command], "cmd": command, "data": {"message": "no"}}
        licence = {"id": 1, "type": "Automation", "available": True, "reserved_to": "", "hostname": ""}
        window = slice(data.get("index", 0), data.get("index", 0) + data.get("count", 0))
        answers: dict[str, dict[str, Any]] = {
            "otii_is_logged_in": {"logged_in": True},
            "otii_get_licenses": {"licenses": [licence]},
            "otii_get_devices": {"devices": self.devices},
            "otii_get_active_project": {"project_id": 1 if self.has_project else -1},
            "otii_create_project": {"project_id": 2},
            "project_get_last_recording": {"recording_id": 5 if self.records else -1, "name": "r"},
            "recording_get_channel_data_count": {"count": len(self.values)},
            "recording_get_channel_data": {
                "data_type": "analog",
                "timestamp": 0.0,
                "interval": self.interval_s,
                "values": self.values[window],
            },
        }
        return {"type": "response", "cmd": command, "data": answers.get(command, {})}


@contextmanager
def served(application: Application) -> Iterator[str]:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say({"type": "information", "info": "connected", "data": {"protocol_version": "0.2"}})
            while line := self.rfile.readline():
                request = json.loads(line)
                if request["cmd"] == application.errors.get("hang up"):
                    return
                self._say({**application.answer(request), "trans_id": request["trans_id"]})

        def _say(self, message: dict[str, Any]) -> None:
            self.wfile.write(json.dumps(message).encode() + b"\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"otii:127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def meter_at(text: str, now_ns: int = 10_000_000_000) -> Otii:
    return Otii(MeterUrl.parse(text), clock_ns=lambda: now_ns)


@pytest.mark.parametrize("has_project", [True, False])
def test_a_recording_becomes_means_of_power(has_project: bool) -> None:
    application = Application(has_project=has_project)
    with served(application) as url:
        meter = meter_at(url)
        facts = meter.open()
        assert (facts.scope, facts.description[:14]) == (Scope.BOARD_INPUT, "Otii Arc Bench")
        assert meter.read() == ()
        # 4,000 values a second: 80 of them are 20 ms; the rest waits for what follows.
        application.values += [1.0] * 80 + [3.0] * 80 + [5.0] * 40
        first = meter.read()
        assert [one.power_w for one in first] == [1.0, 3.0]
        assert [one.time_ns for one in first] == [9_960_000_000, 9_980_000_000]
        application.values += [7.0] * 40
        (last,) = meter.read()
        assert (last.power_w, last.time_ns) == (6.0, 10_000_000_000)
        meter.close()
        meter.close()
    assert ("otii_create_project" in application.commands) is not has_project
    for command in ("arc_enable_channel", "project_start_recording", "project_stop_recording", "recording_delete"):
        assert application.commands.count(command) == 1
    assert application.commands[-1] == "otii_return_license"


def test_one_of_several_devices_is_chosen_by_name() -> None:
    application = Application(ARC, {"device_id": "Ace2", "name": "Shelf", "type": "Ace"})
    with served(application) as url:
        meter = meter_at(url)
        with pytest.raises(MeterError, match=r"connected are Bench, Shelf; end the URL with \?device=NAME"):
            meter.open()
        meter.close()
        chosen = meter_at(f"{url}?device=Shelf")
        assert chosen.open().description.startswith("Otii Ace Shelf")
        chosen.close()


def test_trouble_of_the_application_is_said() -> None:
    application = Application()
    with served(application) as url:
        application.errors["arc_enable_channel"] = "Not ready"
        meter = meter_at(url)
        with pytest.raises(MeterError, match="cannot be used"):
            meter.open()
        meter.close()
        application.errors.clear()
        application.records = False
        meter = meter_at(url)
        with pytest.raises(MeterError, match="started no recording"):
            meter.open()
        meter.close()
        application.records, application.interval_s = True, 0.0
        meter = meter_at(url)
        meter.open()
        application.values = [1.0]
        with pytest.raises(MeterError, match=r"values 0\.0 s apart"):
            meter.read()
        application.errors["hang up"] = "recording_get_channel_data_count"
        with pytest.raises(MeterError, match="stopped answering"):
            meter.read()
        meter.close()
    with pytest.raises(MeterError, match="cannot be used"):
        meter_at("otii:127.0.0.1:1").open()


@pytest.mark.parametrize("address", ["h:0", "h:99999", "h:x", "a b", "h:1905?name=x"])
def test_an_address_that_makes_no_sense_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="otii:HOST:PORT"):
        meter_at(f"otii:{address}")

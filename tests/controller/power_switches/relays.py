"""Relays on loopback that answer as Shelly and Tasmota document it, and remember what they were told."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote

from tests.controller.meters.plugs import plug


class Relay:
    """``output`` is the state of the contact; ``stuck`` never moves it; ``orders`` are what it was told."""

    def __init__(self, *, stuck: bool = False) -> None:
        self.output = True
        self.stuck = stuck
        self.paths: list[str] = []
        self.orders: list[bool] = []

    def __call__(self, path: str, _headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        self.paths.append(path)
        return 200, {}, json.dumps(self.answer(unquote(path))).encode()

    def answer(self, path: str) -> dict[str, object]:
        raise NotImplementedError

    def order(self, on: bool) -> None:
        self.orders.append(on)
        if not self.stuck:
            self.output = on


class ShellyRelay(Relay):
    def answer(self, path: str) -> dict[str, object]:
        told = re.search(r"Switch\.Set\?id=\d+&on=(true|false)", path)
        if told is None:
            return {"id": 0, "source": "http", "output": self.output}
        before = self.output
        self.order(told[1] == "true")
        return {"was_on": before}


class TasmotaRelay(Relay):
    def answer(self, path: str) -> dict[str, object]:
        told = re.search(r"cmnd=(Power\d*) (ON|OFF)", path)
        assert told is not None
        self.order(told[2] == "ON")
        return {told[1].upper(): "ON" if self.output else "OFF"}


@contextmanager
def serving(relay: Relay, scheme: str) -> Iterator[str]:
    """Serve on loopback and yield "shelly://127.0.0.1:PORT"."""
    with plug(relay) as base:
        yield base.replace("http", scheme, 1)

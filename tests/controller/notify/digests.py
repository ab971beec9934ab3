"""Digests and worlds to send them from."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timezone

from steelyard.notify.digest import Digest
from steelyard.notify.world import World

NOW = datetime(2026, 11, 28, 3, 0, tzinfo=timezone.utc)
TOKEN = "tok-3c5f9a"


def digest(**changes: object) -> Digest:
    made = Digest(
        key="nightly/phones",
        number=31,
        title="phones, night 31: REGRESSED, 1 regression confirmed",
        verdict="REGRESSED",
        lines=("mobilenet p50 on pi5: 2.0 ms -> 2.2 ms", "2 of 3 devices measured"),
        markdown="## phones, night 31\n\n| model | p50 |\n|---|---|\n| mobilenet | +10 % |\n",
        url="https://ci.example.org/phones/31",
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


class Sleeps:
    """A clock that does not wait: it keeps how long it was asked to."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)


def world(sleeps: Sleeps | None = None, **environ: str) -> World:
    return World(
        environ={"TOKEN": TOKEN, **environ},
        sleep=sleeps or Sleeps(),
        jitter=lambda: 0.5,
        now=lambda: NOW,
        timeout_s=2.0,
    )

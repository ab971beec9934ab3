"""What an earlier deployment left on a device."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """The version that runs, the device's id and the ids of the controllers that it joined; "" and none without."""

    label: str = ""
    device_id: str = ""
    controller_ids: tuple[str, ...] = ()


def parse_installed(answer: str) -> Installed:
    """Read what ``scripts.INSTALLED`` printed."""
    pairs = [line.split(" ", 1) for line in answer.splitlines() if " " in line]
    told = dict(pairs)
    return Installed(
        label=told.get("label", ""),
        device_id=told.get("device", ""),
        controller_ids=tuple(value for key, value in pairs if key == "joined"),
    )

"""Devices that are asked for together: by a tag, or by what they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from steelyard.errors import UsageError
from steelyard.membership.administration import require_tags
from steelyard_protocol.v1 import common_pb2, control_pb2, plan_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Every device with a tag, or of a profile: "tag:rack1", "pool:raspberry-pi-5"."""

    kind: Literal["tag", "pool"]
    name: str

    def __str__(self) -> str:
        """Return it as it is written."""
        return f"{self.kind}:{self.name}"

    def holds(self, device: control_pb2.Device) -> bool:
        """Say whether a device belongs to it; suspended and removed ones belong nowhere."""
        if device.standing in {"suspended", "removed"}:
            return False
        return self.name in device.tags if self.kind == "tag" else self.name == device.description.profile


def parse_pool(text: str) -> Pool | None:
    """Read "tag:NAME" or "pool:PROFILE"; None for the name or id of one device.

    Raises:
        UsageError: ``invalid_pool`` or ``invalid_tag``.
    """
    kind, colon, name = text.partition(":")
    if not colon or kind not in {"tag", "pool"}:
        return None
    if not name:
        raise UsageError("invalid_pool", f"device {text!r} names no {kind}: write tag:rack1 or pool:raspberry-pi-5")
    if kind == "tag":
        return Pool(kind="tag", name=require_tags([name])[0])
    return Pool(kind="pool", name=name)


def unfit_because(device: common_pb2.DeviceDescription, plan: plan_pb2.Plan) -> str:
    """Return why a device cannot run a plan as far as it says what it has, "" when it can."""
    usable = {(one.name, one.environment) for one in device.runtimes if one.version and not one.reason}
    if not device.runtimes:
        return ""
    for planned in plan.artifacts:
        runtime = planned.runtime
        if runtime.name and (runtime.name, runtime.environment) not in usable:
            environment = f"@{runtime.environment}" if runtime.environment else ""
            return f"it has no {runtime.name}{environment}"
    return ""


def refused_because(device: control_pb2.Device, quarantined: Iterable[str] = ()) -> str:
    """Return why a device takes nothing new, "" when it does; ``quarantined`` are names of artifacts of the plan."""
    name = device.description.name
    if device.draining:
        return f"device {name} is drained; `steelyard device resume {name}` lets it work again"
    if device.quarantined_because:
        return (
            f"device {name} is quarantined ({device.quarantined_because}); `steelyard device quarantine lift {name}` "
            "trusts it again"
        )
    for artifact in quarantined:
        return f"{artifact} is quarantined on device {name}"
    return ""

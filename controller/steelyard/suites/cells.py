"""The cells of a night: every model of a suite on every device that it names, under every runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steelyard.control.pools import parse_pool
from steelyard.suites.suite import DeviceSlot, ModelSlot, Suite

if TYPE_CHECKING:
    from steelyard_protocol.v1 import control_pb2


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Cell:
    """A model of the suite on a device under a runtime: one measurement a night, and one series a metric."""

    model: str
    device_id: str
    runtime: str

    @property
    def key(self) -> str:
        """Return it as a key of what is stored of a night."""
        return f"{self.model}\n{self.device_id}\n{self.runtime}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NightDevice:
    """A device of the night: known to the controller, or only by the suite's words (``device_id`` "").

    ``slots`` are the suite's words that it was found by, ``budget_s`` the device time that it has.
    """

    device_id: str
    name: str
    budget_s: float
    slots: tuple[DeviceSlot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmetDevice:
    """A device, tag or pool of the suite that no device of the controller answers to."""

    name: str
    reason: str


def devices_of(
    suite: Suite, known: Sequence[control_pb2.Device], *, only: Sequence[str] = (), budget_s: float | None = None
) -> tuple[tuple[NightDevice, ...], tuple[UnmetDevice, ...]]:
    """Return the devices that a suite names, each once, and the names that nobody answers to.

    Args:
        suite: The suite.
        known: The devices of the controller; removed and suspended ones are not measured.
        only: Names, ids, tags or pools; of the suite's devices only these; empty for all.
        budget_s: Device time instead of the suite's.
    """
    found: dict[str, NightDevice] = {}
    unmet: list[UnmetDevice] = []
    for slot in suite.devices:
        matching = [one for one in known if _answers(one, slot.name)]
        if not matching:
            unmet.append(UnmetDevice(name=slot.name, reason=_unmet_reason(slot.name, known)))
        for one in matching:
            if only and not any(_answers(one, name) for name in only):
                continue
            _add(found, one, slot, budget_s or slot.budget_s or suite.budget_s)
    kept = [one for one in unmet if not only or one.name in only]
    return tuple(found.values()), tuple(kept)


def devices_unasked(suite: Suite) -> tuple[NightDevice, ...]:
    """Return one device for each of the suite's words, where no controller can be asked."""
    return tuple(
        NightDevice(device_id="", name=slot.name, budget_s=slot.budget_s or suite.budget_s, slots=(slot,))
        for slot in suite.devices
    )


def cells_of(suite: Suite, devices: Sequence[NightDevice]) -> tuple[Cell, ...]:
    """Return the cells in the suite's order: by device, then model, then runtime."""
    return tuple(
        Cell(model=model.name, device_id=device.device_id or device.name, runtime=runtime.name)
        for device in devices
        for model in suite.models
        if _takes(model, device)
        for runtime in suite.runtimes
        if _runs(model, device, runtime.name)
    )


def _takes(model: ModelSlot, device: NightDevice) -> bool:
    return not model.devices or any(slot.name in model.devices for slot in device.slots)


def _runs(model: ModelSlot, device: NightDevice, runtime: str) -> bool:
    """Say whether the model wants the runtime, and any of the suite's words for the device allows it."""
    if model.runtimes and runtime not in model.runtimes:
        return False
    slots = [slot for slot in device.slots if not model.devices or slot.name in model.devices]
    return any(not slot.runtimes or runtime in slot.runtimes for slot in slots)


def _answers(device: control_pb2.Device, name: str) -> bool:
    pool = parse_pool(name)
    if pool is not None:
        return pool.holds(device)
    described = device.description
    if device.standing in {"suspended", "removed"}:
        return False
    return name in {described.name, described.device_id} or (len(name) >= 4 and described.device_id.startswith(name))


def _unmet_reason(name: str, known: Sequence[control_pb2.Device]) -> str:
    for one in known:
        if name in {one.description.name, one.description.device_id} and one.standing in {"suspended", "removed"}:
            return f"device {name} is {one.standing}"
    if parse_pool(name) is not None:
        return f"no device of the controller belongs to {name}"
    return f"the controller has never seen a device {name!r}"


def _add(found: dict[str, NightDevice], device: control_pb2.Device, slot: DeviceSlot, budget_s: float) -> None:
    described = device.description
    before = found.get(described.device_id)
    slots = (slot,) if before is None else (*before.slots, slot)
    # Named twice, the more precise word (a name before a tag) is usually written to give it more.
    budget_s = budget_s if before is None else max(budget_s, before.budget_s)
    found[described.device_id] = NightDevice(
        device_id=described.device_id, name=described.name, budget_s=budget_s, slots=slots
    )

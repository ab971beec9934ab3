"""What a night would measure, without beginning one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steelyard.errors import NotFoundError
from steelyard.nightly.finding_devices import find_devices
from steelyard.nightly.night_planning import last_measured, learnt_costs, plan_of_device
from steelyard.suites.cells import NightDevice, UnmetDevice, cells_of
from steelyard.suites.errors import Problem
from steelyard.suites.missing_files import missing_files
from steelyard.suites.planning import DevicePlan

if TYPE_CHECKING:
    from steelyard.control.client import Client
    from steelyard.nightly.runs import NightOptions
    from steelyard.suites.suite import Suite
    from steelyard_protocol.v1 import nightly_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedNight:
    """Each device with its plan; devices that nobody has, and files that are missing."""

    plans: tuple[tuple[NightDevice, DevicePlan], ...]
    unmet: tuple[UnmetDevice, ...]
    missing: tuple[Problem, ...]

    def document(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {
            "devices": [
                {
                    "device": device.name,
                    "device_id": device.device_id,
                    "budget_s": device.budget_s,
                    "estimated_s": plan.estimated_s,
                    "round_count": plan.round_count,
                    "cells": [{"model": one.model, "runtime": one.runtime} for one in plan.cells],
                    "left_out": [
                        {"model": one.cell.model, "runtime": one.cell.runtime, "reason": one.reason}
                        for one in plan.left_out
                    ],
                }
                for device, plan in self.plans
            ],
            "unmet": [{"device": one.name, "reason": one.reason} for one in self.unmet],
            "missing": [str(one) for one in self.missing],
        }


def planned_night(client: Client, suite: Suite, options: NightOptions) -> PlannedNight:
    """Return what the suite's next night would measure."""
    devices, unmet = find_devices(client, suite, options)
    previous = _last_night(client, suite.name)
    last_nights = last_measured(client, suite)
    plans = []
    for device in devices:
        cells = cells_of(suite, [device])
        costs = learnt_costs(client, suite, cells, previous)
        plans.append((device, plan_of_device(suite, device, cells, costs, last_nights)))
    return PlannedNight(plans=tuple(plans), unmet=unmet, missing=missing_files(suite))


def _last_night(client: Client, suite_name: str) -> nightly_pb2.Night | None:
    try:
        return client.nightly.night_of(suite_name)
    except NotFoundError:
        return None

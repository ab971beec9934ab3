"""Energy rounds with planted powers, as agents tell them: a model's window between two idle blocks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from steelyard_protocol.v1 import common_pb2, result_pb2
from tests.controller.analysis.planted_rounds import digest_of, round_of

S = 1_000_000_000
RAIL = "/sys/class/hwmon/hwmon1 (ina3221, VDD_IN)"
WINDOW_S, INFERENCES = 10.0, 1000
_MEASURED = common_pb2.READING_STATUS_MEASURED


def tell(
    block: result_pb2.BlockResult,
    name: str,
    value: float | None,
    uncertainty: float | None,
    *,
    unit: str,
    reason: str = "",
    source: str = RAIL,
    scope: common_pb2.ReadingScope.ValueType = common_pb2.READING_SCOPE_MODULE,
) -> None:
    """Add a reading to a block and, with it, its uncertainty (k = 2)."""
    reading = block.readings.add(name=name, unit=unit, source=source, scope=scope, reason=reason)
    if value is None:
        reading.status = common_pb2.READING_STATUS_UNAVAILABLE
        return
    reading.status, reading.value = _MEASURED, value
    if uncertainty is not None:
        block.readings.add(
            name=f"{name}_uncertainty", unit=unit, source=source, scope=scope, value=uncertainty, status=_MEASURED
        )


def idle_block(
    role: result_pb2.BlockRole.ValueType, power_w: float | None, *, uncertainty_w: float = 0.01, reason: str = ""
) -> result_pb2.BlockResult:
    block = result_pb2.BlockResult(
        label="idle before" if role == result_pb2.BLOCK_ROLE_IDLE_BEFORE else "idle after",
        role=role,
        status=result_pb2.BLOCK_STATUS_OK,
    )
    block.energy_window.start_ns, block.energy_window.end_ns = 0, 30 * S
    tell(block, "idle_power", power_w, uncertainty_w, unit="W", reason=reason)
    return block


def model_block(
    label: str, power_w: float, *, loaded_w: float | None = None, reason: str = ""
) -> result_pb2.BlockResult:
    block = result_pb2.BlockResult(artifact_digest=digest_of(label), label=label, status=result_pb2.BLOCK_STATUS_OK)
    block.energy_window.end_ns, block.energy_window.inference_count = int(WINDOW_S * S), INFERENCES
    each_s = WINDOW_S / INFERENCES
    tell(block, "energy_per_inference", power_w * each_s, 0.02 * each_s, unit="J", reason=reason)
    # A part of the module, which must not be mixed with it.
    part = {"source": "/sys/class/hwmon/hwmon1 (ina3221, VDD_SOC)", "scope": common_pb2.READING_SCOPE_BOARD_RAILS}
    tell(block, "energy_per_inference", 0.1 * power_w * each_s, 0.02 * each_s, unit="J", **part)
    if loaded_w is not None:
        tell(block, "loaded_power", loaded_w, 0.02, unit="W")
    return block


def energy_rounds(
    powers_w: Mapping[str, float],
    *,
    idle_w: float = 2.0,
    drift_w: float = 0.0,
    count: int = 3,
    noise_w: float = 0.005,
    loaded_w: float | None = None,
    seed: int = 3,
) -> list[result_pb2.RoundResult]:
    """Rounds whose idle power rises by ``drift_w`` from before to after the models."""
    rng = np.random.default_rng(seed)
    rounds = []
    for index in range(count):
        models = [
            model_block(label, power_w + rng.normal(0, noise_w), loaded_w=loaded_w)
            for label, power_w in powers_w.items()
        ]
        before, after = (
            idle_block(role, idle_w + shift_w + rng.normal(0, noise_w))
            for role, shift_w in (
                (result_pb2.BLOCK_ROLE_IDLE_BEFORE, -drift_w / 2),
                (result_pb2.BLOCK_ROLE_IDLE_AFTER, drift_w / 2),
            )
        )
        rounds.append(round_of(result_pb2.PASS_ENERGY, index, [before, *models[:: -1 if index % 2 else 1], after]))
    return rounds

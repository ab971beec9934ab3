"""What a block waits for before it begins, and how much others may take from it: options, defaults, checks."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from steelyard.errors import UsageError
from steelyard_protocol.v1 import plan_pb2

# Above where the job began; sensors step by half a degree or a whole one.
DEFAULT_TEMPERATURE_RISE_C = 2.0
# Longest wait for heat; what others do is waited for a minute at most, by the device.
DEFAULT_WAIT_MS = 10 * 60 * 1000
# No system is quite idle, and one step of the kernel's count (10 ms) in a quarter of a second is 0.04 of a core.
SYSTEM_LOAD = 0.1
# A worker with its runtime imported and no model: 57 MiB with ONNX Runtime 1.32 on x86.
_WORKER_BYTES = 64 * 1024 * 1024
_LONGEST_WAIT_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOptions:
    """What a person asks of the gate; None and "" leave it to the defaults, or to nothing where there is none.

    ``max_other_load`` is in cores, ``min_charge`` and ``max_contention`` are shares from 0 to 1. Without ``wanted``
    blocks begin at once, and the verdict after them alone decides.
    """

    wanted: bool = True
    wait_s: float | None = None
    max_temperature_c: float | None = None
    max_other_load: float | None = None
    governor: str = ""
    min_charge: float | None = None
    max_contention: float | None = None

    def __post_init__(self) -> None:
        """Refuse values that no device can honour, and conditions of a gate that is not wanted."""
        given = {
            "--gate-wait": self.wait_s,
            "--max-temperature": self.max_temperature_c,
            "--max-other-load": self.max_other_load,
            "--governor": self.governor or None,
            "--min-charge": self.min_charge,
        }
        asked = [name for name, value in given.items() if value is not None]
        if not self.wanted and asked:
            raise UsageError("no_gate", f"{asked[0]} is a condition of the gate: leave it out, or --no-gate")
        _refuse_outside("--gate-wait", self.wait_s, 0, _LONGEST_WAIT_S, "s")
        _refuse_outside("--max-temperature", self.max_temperature_c, 0, 120, "C")
        _refuse_outside("--max-other-load", self.max_other_load, 0, 1024, "cores")
        _refuse_outside("--min-charge", self.min_charge, 0, 1, "of the charge")
        _refuse_outside("--max-contention", self.max_contention, 0, 1, "of the timed window")
        if self.governor and not (self.governor.isidentifier() and len(self.governor) <= 32):
            raise UsageError("bad_governor", f"governor {self.governor[:60]!r} is no name such as performance")


def add_gate(plan: plan_pb2.Plan, options: GateOptions) -> None:
    """Put into the plan what the options say; ``complete_gate`` fills in the rest."""
    if options.max_contention is not None:
        plan.timing.most_contention = options.max_contention
    if not options.wanted:
        return
    gate = plan.gate
    gate.SetInParent()
    gate.governor = options.governor
    if options.wait_s is not None:
        # 0 stands for the default: a gate that looks once and does not wait is one of a millisecond.
        gate.longest_wait_ms = max(1, round(options.wait_s * 1000))
    if options.max_temperature_c is not None:
        gate.most_temperature_c = options.max_temperature_c
    if options.max_other_load is not None:
        gate.most_other_load = options.max_other_load
    if options.min_charge is not None:
        gate.least_charge = options.min_charge


def complete_gate(plan: plan_pb2.Plan, core_count: int, *, budget_ms: int = DEFAULT_WAIT_MS) -> None:
    """Fill in the conditions that a gate has by default; ``core_count`` 0: the device's cores are not known.

    By default no block waits for longer than the whole measurement may take, ``budget_ms``.

    Raises:
        UsageError: for a gate that makes no sense.
    """
    if plan.timing.HasField("most_contention"):
        _refuse_outside("most_contention", plan.timing.most_contention, 0, 1, "of the timed window")
    if not plan.HasField("gate"):
        return
    gate = plan.gate
    if not gate.HasField("most_temperature_rise_c"):
        gate.most_temperature_rise_c = DEFAULT_TEMPERATURE_RISE_C
    if not gate.HasField("most_other_load") and core_count:
        gate.most_other_load = max(0, core_count - _thread_count(plan, core_count)) + SYSTEM_LOAD
    if not gate.HasField("least_available_bytes"):
        gate.least_available_bytes = 2 * max(one.size_bytes for one in plan.artifacts) + _WORKER_BYTES
    gate.longest_wait_ms = gate.longest_wait_ms or min(DEFAULT_WAIT_MS, budget_ms)
    for name in ("most_temperature_rise_c", "most_temperature_c", "most_other_load"):
        if gate.HasField(name):
            _refuse_outside(name, getattr(gate, name), 0, 1024, "")
    if gate.HasField("least_charge"):
        _refuse_outside("least_charge", gate.least_charge, 0, 1, "of the charge")
    _refuse_outside("longest_wait_ms", gate.longest_wait_ms, 1, _LONGEST_WAIT_S * 1000, "ms")


def _thread_count(plan: plan_pb2.Plan, core_count: int) -> int:
    """Return the most threads that a model of the plan keeps busy: without a number runtimes take every core."""
    counts = (
        one.runtime.intra_op_thread_count or len(one.core_ids) or len(plan.core_ids) or core_count
        for one in plan.artifacts
    )
    return max(counts) * max(1, plan.mode.stream_count)


def _refuse_outside(name: str, value: float | None, low: float, high: float, unit: str) -> None:
    if value is not None and not (isfinite(value) and low <= value <= high):
        said = f"{value:g} {unit}".rstrip()
        raise UsageError("bad_gate", f"{name} {said} is not between {low:g} and {high:g}: correct it")

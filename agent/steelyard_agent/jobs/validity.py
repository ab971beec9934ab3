"""Gate and verdict of the blocks of a plan: between the wire and ``steelyard_agent.validity``."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from steelyard_agent.surroundings.contract import BlockSurroundings
from steelyard_agent.validity.admission import Admission, Gate, OpenGate
from steelyard_agent.validity.contract import Validity, ValidityVerdict
from steelyard_agent.validity.judging import judge
from steelyard_agent.validity.rules import GateRules
from steelyard_agent.worker.block import WorkerResult
from steelyard_protocol.v1 import plan_pb2, result_pb2

# Passes whose blocks wait for quiet: what they measure changes with heat and with the work of others.
_GATED = frozenset(
    {result_pb2.PASS_LATENCY, result_pb2.PASS_ENERGY, result_pb2.PASS_OPERATORS, result_pb2.PASS_ROOFLINE}
)
# Passes of several rounds, of which one that was disturbed is left out and measured anew.
_JUDGED = frozenset({result_pb2.PASS_LATENCY, result_pb2.PASS_ENERGY})


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidityTools:
    """The gate of this device; ``judges`` is False where times are not its own, so that nothing can spoil them."""

    gate: Gate = field(default_factory=OpenGate)
    judges: bool = True


def waits(pass_kind: result_pb2.Pass.ValueType, plan: plan_pb2.Plan) -> bool:
    """Return whether blocks of a pass wait for the gate of the plan."""
    return pass_kind in _GATED and plan.HasField("gate")


def gate_rules(spec: plan_pb2.GateSpec) -> GateRules:
    """Return the rules of a gate; the plan was checked before."""
    return GateRules(
        most_temperature_rise_c=spec.most_temperature_rise_c if spec.HasField("most_temperature_rise_c") else None,
        most_temperature_c=spec.most_temperature_c if spec.HasField("most_temperature_c") else None,
        most_other_load=spec.most_other_load if spec.HasField("most_other_load") else None,
        least_available_bytes=spec.least_available_bytes if spec.HasField("least_available_bytes") else None,
        least_charge=spec.least_charge if spec.HasField("least_charge") else None,
        governor=spec.governor,
        longest_wait_s=spec.longest_wait_ms / 1000,
    )


def refused(admission: Admission) -> Validity:
    """Return the validity of a block that the gate did not let begin."""
    return Validity(
        verdict=ValidityVerdict.INCOMPLETE,
        evidence=(admission.refusal,),
        not_looked_at=admission.not_looked_at,
        waited_ms=admission.waited_ms,
    )


def judged(
    tools: ValidityTools,
    plan: plan_pb2.Plan,
    pass_kind: result_pb2.Pass.ValueType,
    *,
    result: WorkerResult | None,
    around: BlockSurroundings,
    admission: Admission,
) -> BlockSurroundings:
    """Return the surroundings of a block with the verdict on it; where nothing is judged they are as they were."""
    if not tools.judges or pass_kind not in _JUDGED or result is None:
        return around
    timing = plan.timing
    validity = judge(
        result.contention,
        around.throttle,
        objection=around.not_valid,
        most_contention=timing.most_contention if timing.HasField("most_contention") else None,
        heat_is_measured=plan.mode.mode == plan_pb2.MODE_SUSTAINED,
        gate_not_looked_at=admission.not_looked_at,
        waited_ms=admission.waited_ms,
    )
    spoilt = validity.evidence[0] if validity.verdict is not ValidityVerdict.VALID else ""
    return replace(around, not_valid=spoilt, validity=validity)


def validity_message(validity: Validity) -> result_pb2.Validity:
    """Return the verdict as the wire has it; what is not known stays unset."""
    return result_pb2.Validity(
        verdict=result_pb2.ValidityVerdict.Value(f"VALIDITY_VERDICT_{validity.verdict.value}"),
        evidence=validity.evidence,
        not_looked_at=validity.not_looked_at,
        waited_ms=validity.waited_ms,
        run_delay_ns=validity.run_delay_ns,
        steal_ns=validity.steal_ns,
        other_load=validity.other_load,
    )

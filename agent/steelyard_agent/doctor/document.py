"""The diagnosis for programs: JSON values with a schema version."""

from __future__ import annotations

from dataclasses import asdict

from steelyard_agent.doctor.diagnosis import Diagnosis
from steelyard_agent.profiles.document import profile_to_json
from steelyard_agent.readings import Reading

SCHEMA_VERSION = 1


def diagnosis_to_json(diagnosis: Diagnosis) -> dict[str, object]:
    """Return everything that the diagnosis holds, with ``schema_version``."""
    device = asdict(diagnosis.device)
    device["meters"] = [_reading_to_json(reading) for reading in diagnosis.device.meters]
    for runtime in device["runtimes"]:
        runtime["unusable_providers"] = [
            {"name": name, "reason": reason} for name, reason in runtime["unusable_providers"]
        ]
    facts = diagnosis.profile.facts if diagnosis.profile else {}
    return {
        "schema_version": SCHEMA_VERSION,
        "device": device,
        "capabilities": [{**asdict(one), "answer": one.answer.value} for one in diagnosis.capabilities],
        "throttling": [asdict(one) for one in diagnosis.throttling],
        "validity": [asdict(one) for one in diagnosis.validity],
        "throttle_doubt": diagnosis.throttle_doubt,
        "governors": list(diagnosis.governors),
        "facts": [{"name": name, "value": fact.value, "source": fact.source} for name, fact in facts.items()],
        "profile": profile_to_json(diagnosis.profile) if diagnosis.profile else None,
        "nearest": _nearest_to_json(diagnosis),
        "notes": list(diagnosis.notes),
        "offers": [{"name": one.name, "sentence": one.sentence, "effect": one.effect} for one in diagnosis.offers],
    }


def _nearest_to_json(diagnosis: Diagnosis) -> dict[str, str] | None:
    nearest = diagnosis.nearest
    return {"profile": nearest.profile.name, "soc_compatible": nearest.soc_compatible} if nearest else None


def _reading_to_json(reading: Reading) -> dict[str, object]:
    return {
        **asdict(reading),
        "status": reading.status.value,
        "scope": reading.scope.value,
        "kind": reading.kind.value,
    }

"""What this device can and cannot measure, with the reason for each thing that it cannot. Nothing is printed here."""

from __future__ import annotations

from steelyard_agent.doctor.diagnosis import Answer, Capability, Diagnosis, ThrottleEvidence
from steelyard_agent.doctor.document import diagnosis_to_json
from steelyard_agent.doctor.examination import diagnose
from steelyard_agent.doctor.text import diagnosis_lines

__all__ = [
    "Answer",
    "Capability",
    "Diagnosis",
    "ThrottleEvidence",
    "diagnose",
    "diagnosis_lines",
    "diagnosis_to_json",
]

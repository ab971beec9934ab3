"""What a measurement does not say, and why: gathered so that no report leaves an empty cell unexplained."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.report.external_energy import external_figures
from steelyard.report.figures import failed, figure
from steelyard_protocol.v1 import measurement_pb2

_FIGURES = (
    ("accuracy", "accuracy"),
    ("p50_latency", "p50 latency"),
    ("p90_latency", "p90 latency"),
    ("speedup", "speed-up"),
    ("build_time", "build on the device"),
    ("model_load", "model load"),
    ("first_inference", "first inference"),
    ("peak_memory", "peak memory"),
    ("energy", "energy"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A figure (or only its interval) that these variants lack for one and the same reason."""

    what: str
    labels: tuple[str, ...]
    reason: str
    is_everywhere: bool
    only_interval: bool


def find_gaps(measurement: measurement_pb2.Measurement) -> tuple[Gap, ...]:
    """Return the gaps of all variants that ran, equal reasons together, in the order of the tables."""
    ran = [variant for variant in measurement.variants if not failed(variant)]
    gathered: dict[tuple[str, str, bool], list[str]] = {}
    for field, what in _FIGURES:
        for variant in ran:
            # The first is not compared with itself, and most providers compile nothing.
            if (field == "speedup" and variant.is_reference) or (
                field == "build_time" and not variant.HasField("build_time")
            ):
                continue
            shown = figure(getattr(variant, field))
            if shown.reason:
                gathered.setdefault((what, shown.reason, shown.is_known), []).append(variant.label)
    for variant in ran:
        for one in external_figures(variant):
            if not one.is_known:
                gathered.setdefault((f"energy by {one.source}", one.reason, False), []).append(variant.label)
    return tuple(
        Gap(
            what=what,
            labels=tuple(labels),
            reason=reason,
            is_everywhere=len(labels) >= len(ran) - (what == "speed-up"),
            only_interval=known,
        )
        for (what, reason, known), labels in gathered.items()
    )


def gap_text(gap: Gap) -> str:
    """Return "energy: no sensor; looked at …", with the labels when other variants do have the figure."""
    subject = f"interval of {gap.what}" if gap.only_interval else gap.what
    where = "" if gap.is_everywhere else f" of {', '.join(gap.labels)}"
    return f"{subject}{where}: {gap.reason}"

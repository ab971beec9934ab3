"""What a measurement does not say, and why: gathered so that no report leaves an empty cell unexplained."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from steelyard.report.energy import external_tables
from steelyard.report.figures import failed, figure, is_known
from steelyard.report.score_words import score_name
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
    ("net_energy", "net energy"),
)
# Those of modes and of their tables, unset where nobody asked for them.
_MODE_FIGURES = (
    ("p95_latency", "p95 latency"),
    ("p99_latency", "p99 latency"),
    ("throughput", "throughput"),
    ("busy_cores", "busy cores"),
    ("p50_response", "response p50"),
    ("p90_response", "response p90"),
    ("p99_response", "response p99"),
    ("missed", "arrivals that never began"),
    ("curve_start", "first quarter of the curve"),
    ("curve_end", "last quarter of the curve"),
    ("curve_slowdown", "slowdown over the curve"),
    ("preprocessing", "preprocessing"),
    ("postprocessing", "postprocessing"),
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
    for field, named in (*_FIGURES, *_MODE_FIGURES):
        what = score_name(measurement) if field == "accuracy" else named
        for variant in ran:
            if not _is_asked(variant, field):
                continue
            shown = figure(getattr(variant, field))
            if shown.reason:
                gathered.setdefault((what, shown.reason, shown.is_known), []).append(variant.label)
    for table in external_tables(ran):
        for row in table.rows:
            if not row.shown.is_known:
                gathered.setdefault((f"energy by {table.source}", row.shown.reason, False), []).append(row.label)
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


def _is_asked(variant: measurement_pb2.VariantMeasurement, field: str) -> bool:
    """Return whether a figure could be there: the first is not compared with itself, most providers compile nothing."""
    if field == "speedup":
        return not variant.is_reference
    if field == "net_energy":
        # What is missing below the gross energy is missing there for the same reason.
        return variant.HasField("net_energy") and is_known(variant.energy)
    always = {name for name, _ in _FIGURES} - {"build_time"}
    return field in always or variant.HasField(field)  # type: ignore[arg-type]  # names of fields, above


def gap_texts(gaps: Iterable[Gap]) -> list[str]:
    """Return a sentence for each reason: the figures that lack something for it are told together."""
    together: dict[tuple[object, ...], list[Gap]] = {}
    for gap in gaps:
        together.setdefault((gap.labels, gap.reason, gap.is_everywhere, gap.only_interval), []).append(gap)
    return [gap_text(replace(same[0], what=", ".join(gap.what for gap in same))) for same in together.values()]


def gap_text(gap: Gap) -> str:
    """Return "energy: no sensor; looked at …", with the labels when other variants do have the figure."""
    subject = f"interval of {gap.what}" if gap.only_interval else gap.what
    where = "" if gap.is_everywhere else f" of {', '.join(gap.labels)}"
    return f"{subject}{where}: {gap.reason}"

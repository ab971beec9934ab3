"""The model card: where a variant comes from, what it was measured at, and what nobody measured."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from steelyard.export.signature import model_file_name, preprocessing_note
from steelyard.family import models_read
from steelyard.report.facts import device_facts, utc
from steelyard.report.figures import failed, failure_text, one_line, runtime_text
from steelyard.report.gaps import find_gaps, gap_texts
from steelyard.report.numeric import numeric_text
from steelyard.report.score_words import score_name, score_on_task
from steelyard.report.shapes import shape_text
from steelyard.stats.formatting import format_value
from steelyard_protocol.v1 import control_pb2, measurement_pb2

_FIGURES = (
    ("SCORE", "accuracy"),
    ("SCORE drop against the reference", "accuracy_drop"),
    ("p50 latency", "p50_latency"),
    ("p90 latency", "p90_latency"),
    ("speed-up against the reference", "speedup"),
    ("model load", "model_load"),
    ("first inference", "first_inference"),
    ("peak memory over the runtime", "peak_memory"),
    ("energy an inference", "energy"),
)


def model_card(
    artifact: control_pb2.Artifact,
    *,
    lineage_chain: Sequence[control_pb2.Artifact],
    measurements: Sequence[measurement_pb2.Measurement],
    task: control_pb2.Task | None,
) -> str:
    """Return the card in Markdown; text of others cannot become markup in it."""
    blocks = [
        f"# {_plain(artifact.name or artifact.digest[:12])}",
        *_identity(artifact),
        "## Where it comes from",
        *_lineage(artifact, lineage_chain),
        "## What it was measured at",
        *_measured(artifact, measurements),
        "## Inputs and outputs",
        *_interface(artifact, task),
        "## Licence",
        *_licence(task),
    ]
    return "\n\n".join(blocks) + "\n"


def _identity(artifact: control_pb2.Artifact) -> Iterable[str]:
    yield _bullets(
        [
            f"file: `{model_file_name(artifact)}`, {format_value(artifact.size_bytes, 'B')}",
            f"SHA-256: `{artifact.digest}`",
            f"made: {utc(artifact.created_at) or 'not known'}",
        ]
    )


def _lineage(artifact: control_pb2.Artifact, chain: Sequence[control_pb2.Artifact]) -> Iterable[str]:
    if not artifact.HasField("lineage"):
        yield "This is an original: no recipe was applied to it."
        return
    by_digest = {one.digest: one for one in chain}
    current: control_pb2.Artifact | None = artifact
    while current is not None and current.HasField("lineage"):
        parent = by_digest.pop(current.lineage.parent_digest, None)
        parent_name = _plain(parent.name) if parent is not None else "a model that is not recorded here"
        yield (
            f"**{_plain(current.name)}** was made from **{parent_name}** (`{current.lineage.parent_digest}`) by the "
            f"recipe {_plain(current.lineage.recipe_name)}."
        )
        yield _bullets(_steps(current.lineage))
        current = parent


def _steps(lineage: control_pb2.Lineage) -> Iterable[str]:
    for step in lineage.steps:
        versions = ", ".join(map(_plain, step.tool_versions)) or "tool versions not recorded"
        yield f"{_plain(step.kind)} ({versions}): {_code(step.settings_json or '{}')}"
    for read in models_read(lineage):
        yield f"read the model {_plain(read.name)}: `{read.digest}`"
    if lineage.calibration_digest:
        yield f"calibrated on {lineage.calibration_sample_count} samples: `{lineage.calibration_digest}`"
    else:
        yield "no calibration data"
    if lineage.training_digest:
        yield f"trained on {lineage.training_sample_count} samples: `{lineage.training_digest}`"
    yield f"seed {lineage.seed}, {lineage.duration_s:.3g} s, made {utc(lineage.created_at) or 'at a time not recorded'}"


def _measured(artifact: control_pb2.Artifact, measurements: Sequence[measurement_pb2.Measurement]) -> Iterable[str]:
    if not measurements:
        yield "It was not measured on any device: this card claims nothing about its speed, memory, energy or accuracy."
    for measurement in measurements:
        yield f"### {_plain(measurement.device_name or 'an unnamed device')}"
        yield _bullets(f"{term}: {_plain(text)}" for term, text in device_facts(measurement))
        for variant in measurement.variants:
            if variant.artifact_digest == artifact.digest:
                yield from _figures(measurement, variant)


def _figures(measurement: measurement_pb2.Measurement, variant: measurement_pb2.VariantMeasurement) -> Iterable[str]:
    if failed(variant):
        yield f"It could not be measured there: {_plain(failure_text(variant))}"
        return
    providers = f" ({', '.join(variant.providers)})" if variant.providers else ""
    scored = score_on_task(measurement)
    accuracy = f"; {scored}" if scored else ""
    name = score_name(measurement)
    yield _plain(
        f"With {runtime_text(variant)}{providers}, {measurement.round_count} interleaved rounds of fresh processes, "
        f"intervals at {100 * measurement.confidence:g} %{accuracy}; {utc(measurement.finished_at)}, "
        f"job {measurement.job_id}."
    )
    shown = [row for row in _FIGURES if not (variant.is_reference and row[1] in {"accuracy_drop", "speedup"})]
    rows = [
        f"| {_plain(what.replace('SCORE', name))} | {_plain(one_line(getattr(variant, field)))} |"
        for what, field in shown
    ]
    rows += [
        f"| outputs beside the controller's own run | {_plain(text)} |"
        for text in [numeric_text(variant.numeric)]
        if text
    ]
    yield "\n".join(["| figure | value (interval) |", "|---|---|", *rows])
    gaps = gap_texts(gap for gap in find_gaps(measurement) if variant.label in gap.labels)
    if gaps:
        yield "Not measured, and why:\n\n" + _bullets(map(_plain, gaps))
    if measurement.warnings or variant.notes:
        yield "To know before trusting the figures:\n\n" + _bullets(
            map(_plain, [*measurement.warnings, *variant.notes])
        )


def _interface(artifact: control_pb2.Artifact, task: control_pb2.Task | None) -> Iterable[str]:
    yield _bullets(
        [
            *(f"input {_code(one.name)}: {_code(shape_text(one))}" for one in artifact.signature.inputs),
            *(f"output {_code(one.name)}: {_code(shape_text(one))}" for one in artifact.signature.outputs),
        ]
    )
    yield _plain(preprocessing_note(task))
    yield "`python infer.py` runs the model once; `signature.json` says the same for programs."


def _licence(task: control_pb2.Task | None) -> Iterable[str]:
    lines = ["model: not recorded; a variant keeps the licence of the model that it was made from"]
    if task is not None:
        lines.append(f"evaluation data ({_plain(task.name)}): {_plain(task.licence) or 'not recorded'}")
    yield _bullets(lines)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _plain(text: str) -> str:
    """Return text of others with all that Markdown or HTML would read as markup escaped, on one line."""
    return re.sub(r"([\\`*_\[\]<>#|&])", r"\\\1", " ".join(text.split()))


def _code(text: str) -> str:
    """Return a code span that text of others cannot end."""
    ticks = "`" * (1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return f"{ticks}{' '.join(text.split())}{ticks}"

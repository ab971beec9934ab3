"""What a terminal says first: which sentences decide, and what is left for `steelyard job show`.

The first screen answers which variant to ship and how sure that is. What is routine is not lost: a line counts it and
names the command that shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from steelyard.report.figures import comparison_text, failed, is_known
from steelyard.report.gaps import find_gaps, gap_text
from steelyard.report.memory import memory_sentences
from steelyard.report.mode_tables import ModeTable
from steelyard.report.numeric import numeric_sentences
from steelyard.report.score_words import score_name
from steelyard.report.surroundings import surroundings_lines
from steelyard_protocol.v1 import measurement_pb2

_ID_LENGTH = 8
# What these notes begin with: of nearly every measurement, and nothing to act on.
_ROUTINE_HEADS = (
    "accuracy against the first: ",
    "top-5 accuracy against the first: ",
    "top-k accuracy against the first: ",
    "latency drifted within the launch in ",
    "nine in ten arrivals that found the model idle began ",
)


def verdict_note(variant: measurement_pb2.VariantMeasurement, figure: str) -> str:
    """Return the note that holds the verdict on a variant, "" where it was not compared.

    Args:
        variant: One that was compared with the first.
        figure: What variants are compared by, as in ``Measurement.primary_figure``.
    """
    if variant.comparison == measurement_pb2.COMPARISON_VERDICT_UNSPECIFIED:
        return ""
    word = comparison_text(variant)
    return next((one for one in variant.notes if one.removeprefix(f"by {figure}, ").startswith(word)), "")


def verdict_lines(measurement: measurement_pb2.Measurement) -> list[tuple[str, str]]:
    """Return the verdict on each variant as "static-int8: faster: 2.97x …", and its word before it."""
    ran = [one for one in measurement.variants if not failed(one)]
    notes = [(one, verdict_note(one, measurement.primary_figure)) for one in ran]
    return [(comparison_text(one), f"{one.label}: {note}") for one, note in notes if note]


def notes_that_matter(variant: measurement_pb2.VariantMeasurement, figure: str) -> list[str]:
    """Return the notes on a variant that somebody would act on, without its verdict, which has a line of its own."""
    verdict = verdict_note(variant, figure)
    return [one for one in variant.notes if one != verdict and not one.startswith(_ROUTINE_HEADS)]


def unmeasured_columns(ran: Sequence[measurement_pb2.VariantMeasurement], score: str) -> tuple[str, ...]:
    """Return ``score`` (the metric's name) and "energy" where no variant has it.

    A sentence says why, where a column would say it in each row.
    """
    columns = {score: [one.accuracy for one in ran], "energy": [one.energy for one in ran]}
    return tuple(name for name, column in columns.items() if not any(map(is_known, column)))


def unmeasured_sentences(measurement: measurement_pb2.Measurement) -> list[str]:
    """Return "energy not measured: no sensor; looked at …" for each column that is left out and has no warning."""
    ran = [one for one in measurement.variants if not failed(one)]
    empty = unmeasured_columns(ran, score_name(measurement))
    warned = [name for name in empty if any(text.startswith(f"{name} was not") for text in measurement.warnings)]
    gaps = [gap for gap in find_gaps(measurement) if gap.what in empty and gap.what not in warned]
    return [gap_text(replace(gap, what=f"{gap.what} not measured")) for gap in gaps]


def next_steps(
    measurement: measurement_pb2.Measurement, tables: Sequence[ModeTable], intervals: Sequence[str]
) -> list[str]:
    """Return what to type for more: for what is not shown here, and for more rounds where they would help.

    Args:
        measurement: What is shown.
        tables: Those that are not shown.
        intervals: Sentences on missing intervals that are not shown; the tables' footnotes say the same.
    """
    job = measurement.job_id[:_ID_LENGTH]
    if not job:
        return []
    note_count = len(intervals) + sum(1 for _ in _routine(measurement))
    parts = [table.title.partition(",")[0] for table in tables]
    if note_count:
        parts.append(f"{note_count} note{'s' if note_count > 1 else ''}")
    steps = [f"{', '.join(parts)}: steelyard job show {job}"] if parts else []
    if any(one.comparison == measurement_pb2.COMPARISON_VERDICT_UNDECIDED for one in measurement.variants):
        steps.append(f"more rounds on top of these: steelyard measure --extend {job}")
    return steps


def _routine(measurement: measurement_pb2.Measurement) -> Iterable[str]:
    for variant in measurement.variants:
        yield from (one for one in variant.notes if one.startswith(_ROUTINE_HEADS))
    yield from numeric_sentences(measurement)
    yield from memory_sentences(measurement)
    yield from surroundings_lines(measurement)

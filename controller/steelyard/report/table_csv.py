"""Tables of measurements as CSV: one row a variant, every figure in its unit with the ends of its interval."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from steelyard.report.exported import Entry, ExportedTable, exported_table
from steelyard_protocol.v1 import measurement_pb2

_UNITS = {"fraction": "fraction", "ns": "ns", "ratio": "ratio", "J": "j", "B": "bytes"}
_ENDS = ("", "_low", "_high")


def render_csv(measurements: Sequence[measurement_pb2.Measurement]) -> str:
    """Return the tables of some measurements below one another, told apart by their job.

    A figure is in a column by its unit ("p50_ns"), the ends of its interval beside it ("p50_low_ns"); where there is
    none the cells are empty and "p50_note" says why.
    """
    tables = [exported_table(one) for one in measurements]
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(_head(tables[0]))
    for table in tables:
        writer.writerows(_rows(table))
    return target.getvalue()


def _head(table: ExportedTable) -> list[str]:
    names = [
        "job_id",
        "title",
        "device",
        "round_count",
        "confidence",
        "variant",
        "artifact_digest",
        "verdict",
        "failure",
    ]
    for column in table.columns:
        names += [f"{column.name}{end}_{_UNITS[column.unit]}" for end in _ENDS] + [f"{column.name}_note"]
    return names


def _rows(table: ExportedTable) -> Iterator[list[object]]:
    measurement = table.measurement
    for index, variant in enumerate(measurement.variants):
        failure = table.failures.get(variant.label, "")
        row: list[object] = [
            measurement.job_id,
            measurement.title,
            measurement.device_name,
            measurement.round_count,
            measurement.confidence,
            variant.label,
            variant.artifact_digest,
            table.verdicts[index],
            failure,
        ]
        for column in table.columns:
            row += _cells(column.entries[index])
        yield row


def _cells(entry: Entry) -> list[object]:
    numbers = (entry.value, entry.low, entry.high)
    return [*("" if one is None else repr(one) for one in numbers), entry.reason or entry.note]

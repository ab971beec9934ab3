"""Tables of measurements as CSV: one row a variant, every figure in its unit with the ends of its interval."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence

from steelyard.report.exported import Column, Entry, ExportedTable, exported_table
from steelyard_protocol.v1 import measurement_pb2

_UNITS = {"fraction": "fraction", "ns": "ns", "ratio": "ratio", "J": "j", "B": "bytes", "number": ""}
_Key = tuple[str, str]
_ENDS = ("", "_low", "_high")
_OTHER_METRIC = "the task of this measurement has another metric"


def render_csv(measurements: Sequence[measurement_pb2.Measurement]) -> str:
    """Return the tables of some measurements below one another, told apart by their job.

    A figure is in a column by its unit ("p50_ns"), the ends of its interval beside it ("p50_low_ns"); where there is
    none the cells are empty and "p50_note" says why. Measurements by different metrics have a column each.
    """
    tables = [exported_table(one) for one in measurements]
    keys = list(dict.fromkeys(_key(column) for table in tables for column in table.columns))
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(_head(keys))
    for table in tables:
        writer.writerows(_rows(table, keys))
    return target.getvalue()


def _key(column: Column) -> _Key:
    """Return what tells a column from others: its name and its unit."""
    return column.name, _UNITS.get(column.unit, re.sub(r"[^a-z0-9]+", "_", column.unit.lower()))


def _head(keys: Sequence[_Key]) -> list[str]:
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
    for name, unit in keys:
        names += ["_".join(filter(None, (f"{name}{end}", unit))) for end in _ENDS] + [f"{name}_note"]
    return names


def _rows(table: ExportedTable, keys: Sequence[_Key]) -> Iterator[list[object]]:
    measurement = table.measurement
    columns = {_key(column): column for column in table.columns}
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
        for key in keys:
            row += _cells(columns[key].entries[index]) if key in columns else _cells(Entry(reason=_OTHER_METRIC))
        yield row


def _cells(entry: Entry) -> list[object]:
    numbers = (entry.value, entry.low, entry.high)
    return [*("" if one is None else repr(one) for one in numbers), entry.reason or entry.note]

"""Rows of CSV and JSONL files, each a mapping from column to text or value; a broken line is named by its number."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from steelyard.tasks.errors import TaskError
from steelyard.tasks.npz_source import refuse_special_file


def read_rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the rows of a CSV (.csv, .tsv) or JSONL (.jsonl) file.

    Raises:
        TaskError: a file that is missing or neither, a broken line, or a row without one of ``columns``.
    """
    try:
        refuse_special_file(path)
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise TaskError("data_not_found", f"there is no file {path}; check the path") from error
    except (OSError, ValueError) as error:
        raise TaskError(
            "data_unreadable", f"{path} cannot be read as UTF-8 text ({error}); store it as UTF-8"
        ) from error
    rows = _jsonl(text, path) if path.suffix.lower() in {".jsonl", ".ndjson"} else _csv(text, path)
    if not rows:
        raise TaskError("empty_data", f"{path} has no rows; add samples")
    for number, row in rows:
        missing = [column for column in columns if row.get(column) is None]
        if missing:
            raise TaskError(
                "column_missing",
                f"{path}, line {number} has no {missing[0]!r}, only {', '.join(map(str, row)) or 'nothing'}; correct "
                "the name or the line",
            )
    return [row for _, row in rows]


def _jsonl(text: str, path: Path) -> list[tuple[int, dict[str, Any]]]:
    rows = []
    # Not by str.splitlines: a text may hold U+2028 and the like.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise TaskError("invalid_row", f"{path}, line {number} is no JSON ({error}); correct it") from error
        if not isinstance(row, dict):
            raise TaskError("invalid_row", f"{path}, line {number} is {line[:60]!r}; write an object a line")
        rows.append((number, row))
    return rows


def _csv(text: str, path: Path) -> list[tuple[int, dict[str, Any]]]:
    if path.suffix.lower() not in {".csv", ".tsv"}:
        raise TaskError("data_unreadable", f"{path} is neither .csv, .tsv nor .jsonl; name it so, or convert it")
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows = []
    try:
        head = list(reader.fieldnames or ())
        repeated = [name for number, name in enumerate(head) if name in head[:number]]
        if repeated:
            raise TaskError("invalid_row", f"{path} has the column {repeated[0]!r} twice; rename one of them")
        for row in reader:
            if None in row:
                raise TaskError(
                    "invalid_row", f"{path}, line {reader.line_num} has more fields than the head; quote it"
                )
            rows.append((reader.line_num, dict(row)))
    except csv.Error as error:
        raise TaskError("invalid_row", f"{path}, line {reader.line_num} is no CSV ({error}); correct it") from error
    return rows

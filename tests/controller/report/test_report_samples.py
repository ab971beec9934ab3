from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

import pytest

from steelyard.errors import UsageError
from steelyard.report.samples import (
    write_blocks_csv,
    write_blocks_parquet,
    write_samples_csv,
    write_samples_parquet,
)
from tests.support import measurements


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_every_raw_sample_is_a_row_in_the_order_it_was_taken() -> None:
    rounds = measurements.rounds(3, samples=5)
    stream = io.StringIO()

    count = write_samples_csv(rounds, stream)

    rows = read_csv(stream.getvalue())
    expected = [str(value) for result in rounds for block in result.blocks for value in block.latency_ns]
    assert count == len(rows) == 25
    assert [row["latency_ns"] for row in rows] == expected
    assert (rows[0]["label"], rows[0]["round"], rows[0]["block_order"], rows[0]["pass"]) == (
        "original",
        "0",
        "0",
        "latency",
    )
    assert rows[10]["label"] == "static-int8"
    assert rows[10]["sample_index"] == "0"


def test_a_sample_of_an_emulated_device_is_never_in_the_column_of_latencies() -> None:
    rounds = measurements.rounds(2, samples=3)
    for block in rounds[1].blocks:
        block.circumstances.add(name="emulated_by", value="qemu-user on x86_64")
    stream = io.StringIO()

    write_samples_csv(rounds, stream)

    rows = read_csv(stream.getvalue())
    real, emulated = ([row for row in rows if row["round"] == number] for number in ("0", "1"))
    assert real
    assert all(row["latency_ns"] and not row["emulated_ns"] and row["emulated_by"] == "" for row in real)
    assert {(row["latency_ns"], row["emulated_by"]) for row in emulated} == {("", "qemu-user on x86_64")}
    expected = [str(value) for block in rounds[1].blocks for value in block.latency_ns]
    assert [row["emulated_ns"] for row in emulated] == expected


def test_a_failed_block_is_a_row_of_blocks_with_unknowns_left_empty() -> None:
    stream = io.StringIO()

    write_blocks_csv(measurements.rounds(3), stream)

    last = read_csv(stream.getvalue())[-1]
    assert (last["status"], last["error"]) == ("crashed", "the worker died of SIGSEGV")
    assert last["peak_resident_bytes"] == ""
    assert last["loaded_resident_bytes"] == ""
    assert last["warmup_ns"] == ""
    assert last["model_load_ns"] == "12000000"


def test_csv_to_a_path_leaves_one_whole_file(tmp_path: Path) -> None:
    target = tmp_path / "samples.csv"

    write_samples_csv(measurements.rounds(), target)

    assert [path.name for path in tmp_path.iterdir()] == ["samples.csv"]
    assert len(read_csv(target.read_text())) == 25


def test_a_write_that_breaks_leaves_the_old_file_alone(tmp_path: Path) -> None:
    target = tmp_path / "samples.csv"
    target.write_text("old")

    def broken():  # type: ignore[no-untyped-def]
        yield measurements.rounds(1)[0]
        raise OSError("the store went away")

    with pytest.raises(OSError, match="went away"):
        write_samples_csv(broken(), target)

    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["samples.csv"]


def test_parquet_holds_the_same_rows_with_types(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    rounds = measurements.rounds()
    count = write_samples_parquet(rounds, tmp_path / "samples.parquet")
    blocks = write_blocks_parquet(rounds, tmp_path / "blocks.parquet")

    samples_table = pq.read_table(tmp_path / "samples.parquet")
    blocks_table = pq.read_table(tmp_path / "blocks.parquet")
    expected = [value for result in rounds for block in result.blocks for value in block.latency_ns]
    assert samples_table.column("latency_ns").to_pylist() == expected
    assert (count, blocks) == (25, 6)
    assert blocks_table.column("peak_resident_bytes").to_pylist()[-1] is None
    assert blocks_table.column("first_run_anonymous_bytes").to_pylist()[0] > 0


def test_without_pyarrow_the_pip_line_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(UsageError, match=r"pip install 'steelyard\[parquet\]'"):
        write_samples_parquet([], tmp_path / "samples.parquet")

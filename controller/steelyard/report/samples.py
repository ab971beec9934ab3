"""Every raw sample of a job as a table, CSV or Parquet: one row a sample, a block, or a point of a curve.

Times of an emulated device are no latencies: they stand in a column of their own, beside what emulated it.
"""

from __future__ import annotations

import csv
import itertools
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from steelyard.analysis.emulation import block_emulated_by
from steelyard.errors import UsageError
from steelyard_protocol.v1 import result_pb2

Row = tuple[Any, ...]

# Column names with the types that Parquet needs; CSV has no types.
_KEY_COLUMNS = (
    ("job_id", "string"),
    ("attempt", "int64"),
    ("pass", "string"),
    ("segment", "int64"),
    ("round", "int64"),
    ("block_order", "int64"),
    ("label", "string"),
    ("artifact_digest", "string"),
    ("status", "string"),
    ("inner_batch_count", "int64"),
    ("validity", "string"),
    ("emulated_by", "string"),
)
_SAMPLE_COLUMNS = (
    *_KEY_COLUMNS,
    ("sample_index", "int64"),
    ("latency_ns", "int64"),
    ("emulated_ns", "int64"),
    # Paced: from the intended start. Stepwise: which sequence of the block, and which step of it.
    ("response_ns", "int64"),
    ("sequence", "int64"),
    ("step", "int64"),
)
_CURVE_COLUMNS = (
    *_KEY_COLUMNS,
    *((name, "int64") for name in ("point", "offset_ms", "inference_count", "p50_ns", "p90_ns")),
    ("temperature_c", "double"),
    ("frequency_hz", "int64"),
)
_TIMES = ("process_start_ns", "runtime_import_ns", "model_load_ns", "first_inference_ns", "warmup_ns")
_PROCESSING = ("preprocessing_ns", "postprocessing_ns")
_PHASES = ("imported", "loaded", "first_run", "steady")
_BLOCK_COLUMNS = (
    *_KEY_COLUMNS,
    *((name, "int64") for name in _TIMES),
    ("warmup_steady", "bool"),
    ("sample_count", "int64"),
    ("wall_ns", "int64"),
    ("peak_resident_bytes", "int64"),
    *((f"{phase}_{part}_bytes", "int64") for phase in _PHASES for part in ("resident", "anonymous", "file")),
    ("memory_reason", "string"),
    ("runtime", "string"),
    ("runtime_version", "string"),
    ("providers", "string"),
    ("input_source", "string"),
    ("error", "string"),
    ("waited_ms", "int64"),
    ("run_delay_ns", "int64"),
    ("steal_ns", "int64"),
    ("other_load", "double"),
    ("validity_evidence", "string"),
    *((name, "int64") for name in ("window_ns", "batch_size", "missed_count", "cpu_ns")),
    # Medians of the block's repetitions.
    *((name, "double") for name in _PROCESSING),
)
# Rows gathered before they become a row group of a Parquet file.
_ROW_GROUP_COUNT = 65_536


def write_samples_csv(rounds: Iterable[result_pb2.RoundResult], target: Path | str | IO[str]) -> int:
    """Write one row a timed sample, in the order in which they were taken; return how many."""
    return _write_csv(_SAMPLE_COLUMNS, _sample_rows(rounds), target)


def write_blocks_csv(rounds: Iterable[result_pb2.RoundResult], target: Path | str | IO[str]) -> int:
    """Write one row a block (load, first inference, warm-up, memory, error); an empty cell is not known."""
    return _write_csv(_BLOCK_COLUMNS, _block_rows(rounds), target)


def write_curves_csv(rounds: Iterable[result_pb2.RoundResult], target: Path | str | IO[str]) -> int:
    """Write one row a point of a sustained curve; an empty cell was not read, or is no latency under emulation."""
    return _write_csv(_CURVE_COLUMNS, _curve_rows(rounds), target)


def write_curves_parquet(rounds: Iterable[result_pb2.RoundResult], target: Path | str) -> int:
    """Write one row a point of a sustained curve; null was not read, or is no latency under emulation.

    Raises:
        UsageError: pyarrow is not installed (``pyarrow_missing``).
    """
    return _write_parquet(_CURVE_COLUMNS, _curve_rows(rounds), Path(target))


def write_samples_parquet(rounds: Iterable[result_pb2.RoundResult], target: Path | str) -> int:
    """Write one row a timed sample; return how many.

    Raises:
        UsageError: pyarrow is not installed (``pyarrow_missing``).
    """
    return _write_parquet(_SAMPLE_COLUMNS, _sample_rows(rounds), Path(target))


def write_blocks_parquet(rounds: Iterable[result_pb2.RoundResult], target: Path | str) -> int:
    """Write one row a block; null is not known.

    Raises:
        UsageError: pyarrow is not installed (``pyarrow_missing``).
    """
    return _write_parquet(_BLOCK_COLUMNS, _block_rows(rounds), Path(target))


def _sample_rows(rounds: Iterable[result_pb2.RoundResult]) -> Iterator[Row]:
    for result, order, block in _blocks(rounds):
        key = _key(result, order, block)
        is_emulated = bool(block_emulated_by(block))
        responses = itertools.chain(() if is_emulated else block.response_ns, itertools.repeat(None))
        steps = itertools.chain(_steps(block), itertools.repeat((None, None)))
        for index, (sample_ns, response_ns, step) in enumerate(zip(block.latency_ns, responses, steps, strict=False)):
            yield (*key, index, *((None, sample_ns) if is_emulated else (sample_ns, None)), response_ns, *step)


def _steps(block: result_pb2.BlockResult) -> Iterator[tuple[int, int]]:
    """Yield the sequence and the step of each latency of a stepwise block: they stand in a row there."""
    for sequence, timing in enumerate(block.sequences):
        for step in range(1, len(timing.step_ns) + 1):
            yield sequence, step


def _curve_rows(rounds: Iterable[result_pb2.RoundResult]) -> Iterator[Row]:
    for result, order, block in _blocks(rounds):
        key = _key(result, order, block)
        is_emulated = bool(block_emulated_by(block))
        for index, point in enumerate(block.curve):
            times = (None, None) if is_emulated else (point.p50_ns, _optional(point, "p90_ns"))
            heat = (_optional(point, "temperature_c"), _optional(point, "frequency_hz"))
            yield (*key, index, point.offset_ms, point.inference_count, *times, *heat)


def _block_rows(rounds: Iterable[result_pb2.RoundResult]) -> Iterator[Row]:
    for result, order, block in _blocks(rounds):
        phases = {phase.name: phase for phase in block.memory.phases}
        yield (
            *_key(result, order, block),
            *(_optional(block, name) for name in _TIMES),
            _optional(block, "warmup_steady"),
            block.sample_count,
            block.wall_ns,
            _optional(block.memory, "peak_resident_bytes"),
            *(
                _optional(phases[phase], f"{part}_bytes") if phase in phases else None
                for phase in _PHASES
                for part in ("resident", "anonymous", "file")
            ),
            block.memory.reason,
            block.runtime_name,
            block.runtime_version,
            " ".join(block.providers),
            block.input_source,
            block.error.message,
            block.validity.waited_ms,
            *(_optional(block.validity, name) for name in ("run_delay_ns", "steal_ns", "other_load")),
            "; ".join(block.validity.evidence),
            _optional(block, "window_ns"),
            block.batch_size or None,
            block.missed_count if block.response_ns else None,
            _optional(block, "cpu_ns"),
            *(_median(getattr(block, name)) for name in _PROCESSING),
        )


def _blocks(
    rounds: Iterable[result_pb2.RoundResult],
) -> Iterator[tuple[result_pb2.RoundResult, int, result_pb2.BlockResult]]:
    for result in rounds:
        for order, block in enumerate(result.blocks):
            yield result, order, block


def _key(result: result_pb2.RoundResult, order: int, block: result_pb2.BlockResult) -> Row:
    return (
        result.job_id,
        result.attempt,
        result_pb2.Pass.Name(result.pass_kind).removeprefix("PASS_").lower(),
        result.segment,
        result.round_index,
        order,
        block.label,
        block.artifact_digest,
        result_pb2.BlockStatus.Name(block.status).removeprefix("BLOCK_STATUS_").lower(),
        block.inner_batch_count,
        result_pb2.ValidityVerdict.Name(block.validity.verdict).removeprefix("VALIDITY_VERDICT_").lower()
        if block.validity.verdict
        else "",
        block_emulated_by(block),
    )


def _median(values: Sequence[int]) -> float | None:
    return float(statistics.median(values)) if values else None


def _optional(message: Any, field: str) -> Any:
    return getattr(message, field) if message.HasField(field) else None


def _write_csv(columns: tuple[tuple[str, str], ...], rows: Iterator[Row], target: Path | str | IO[str]) -> int:
    if isinstance(target, Path | str):
        return _whole_file(Path(target), lambda path: _write_csv_file(columns, rows, path))
    writer = csv.writer(target)
    writer.writerow(name for name, _ in columns)
    count = 0
    for row in rows:
        writer.writerow(row)
        count += 1
    return count


def _write_csv_file(columns: tuple[tuple[str, str], ...], rows: Iterator[Row], path: Path) -> int:
    with path.open("w", newline="", encoding="utf-8") as stream:
        return _write_csv(columns, rows, stream)


def _write_parquet(columns: tuple[tuple[str, str], ...], rows: Iterator[Row], target: Path) -> int:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise UsageError(
            "pyarrow_missing",
            f"{target} needs pyarrow, which is not installed; run pip install 'steelyard[parquet]' or ask for CSV",
        ) from error
    types = {"string": pa.string(), "int64": pa.int64(), "bool": pa.bool_(), "double": pa.float64()}
    schema = pa.schema([(name, types[kind]) for name, kind in columns])

    def write(path: Path) -> int:
        count = 0
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            while group := list(itertools.islice(rows, _ROW_GROUP_COUNT)):
                by_column = zip(*group, strict=True)
                arrays = [pa.array(values, type=field.type) for values, field in zip(by_column, schema, strict=True)]
                writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
                count += len(group)
        return count

    return _whole_file(target, write)


def _whole_file(target: Path, write: Callable[[Path], int]) -> int:
    """Write beside the target and rename, so that nobody ever finds half a table."""
    temporary = target.with_name(f".{target.name}.part")
    try:
        count = write(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return count

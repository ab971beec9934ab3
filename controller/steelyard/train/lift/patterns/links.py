"""Who makes and who reads each value, and putting one operation in the place of many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from steelyard.train.lift.source import Operation, Source


class Links:
    """Questions that patterns ask about a graph."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._makers = {name: one for one in source.operations for name in one.outputs if name}
        self._counts = source.readers()
        self._readers: dict[str, list[Operation]] = {}
        for one in source.operations:
            for name in one.inputs:
                self._readers.setdefault(name, []).append(one)

    def maker(self, name: str, *op_types: str) -> Operation | None:
        """Return the operation that makes a value, where it is one of ``op_types`` (any without)."""
        found = self._makers.get(name)
        return found if found is not None and (not op_types or found.op_type in op_types) else None

    def only_reader(self, name: str, op_type: str) -> Operation | None:
        """Return the one operation that reads a value, where there is one and it is an ``op_type``."""
        readers = self._readers.get(name, [])
        return readers[0] if self._counts[name] == 1 and readers and readers[0].op_type == op_type else None

    def stored(self, name: str) -> Any:
        """Return a stored array, None for a value that is computed."""
        return self._source.stored.get(name)

    def number(self, name: str) -> float | None:
        """Return a stored single number, None for anything else."""
        array = self.stored(name)
        return (
            float(array.reshape(-1)[0]) if array is not None and array.size == 1 and array.dtype.kind in "fiu" else None
        )

    def with_number(self, operation: Operation) -> tuple[str, float] | None:
        """Return the computed input and the stored number of an operation of two inputs, in whatever order."""
        for at, other in ((0, 1), (1, 0)):
            if len(operation.inputs) == 2 and (number := self.number(operation.inputs[other])) is not None:
                return operation.inputs[at], number
        return None


def replaced(source: Source, ends: Mapping[str, Operation]) -> Source:
    """Return the graph with an operation in the place of the one that made each value; what nothing reads goes."""
    operations = [next((ends[name] for name in one.outputs if name in ends), one) for one in source.operations]
    return replace(source, operations=tuple(_read_ones(operations, {spec.name for spec in source.signature.outputs})))


def _read_ones(operations: list[Operation], wanted: set[str]) -> list[Operation]:
    """Return the operations that something reads, with their other outputs left out."""
    needed = set(wanted)
    kept = []
    for one in reversed(operations):
        if needed.intersection(one.outputs):
            needed.update(one.inputs)
            outputs = tuple(name if name in needed else "" for name in one.outputs)
            kept.append(one if outputs == one.outputs else replace(one, outputs=outputs))
    return kept[::-1]

"""Run the parts of a model one after another, step by step, on this machine: one sample at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.errors import CompressionInputError
from steelyard.compress.evaluation import opened
from steelyard.compress.parts.parts_file import Part, PartsFile
from steelyard.compress.parts.sources import FixedInput, GreedyInput, PartOutput, Source, StateInput, TaskInput
from steelyard.spelling import meant
from steelyard.tasks.fixed import fixed_value
from steelyard.tasks.task import ONLY_INPUT
from steelyard_protocol.v1 import common_pb2

Arrays = dict[str, NDArray[Any]]
# Told of each call: the part, the step from 0, what it was fed with and what it gave.
OnCall = Callable[[str, int, Arrays, Arrays], None]
_REDUCERS: Mapping[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "stack": lambda steps: np.moveaxis(steps, 0, 1),
    "mean": lambda steps: steps.mean(axis=0),
    "max": lambda steps: steps.max(axis=0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PartModel:
    """The model of one part: the file that runs, and the signature that the part was described by."""

    path: Path
    format: str
    signature: common_pb2.Signature


class Chain:
    """The parts with the models that run them; variants of the same parts give other chains."""

    def __init__(self, file: PartsFile, models: Mapping[str, PartModel]) -> None:
        """Open every model.

        Raises:
            CompressionInputError: a model that cannot be loaded, or inputs and outputs that it does not have.
        """
        self._file = file
        self._runs: dict[str, Callable[[Arrays], Arrays]] = {}
        self._specs: dict[str, dict[str, common_pb2.TensorSpec]] = {}
        for part in file.parts:
            model = models[part.name]
            self._specs[part.name] = {spec.name: spec for spec in model.signature.inputs}
            self._runs[part.name], _ = opened(model.path, model.format)
        _check_names(file, models)
        self._kept = _kept_outputs(file)

    def step_count(self, part: Part, sample: Arrays) -> int:
        """Return how many steps a part takes for a sample.

        Raises:
            CompressionInputError: windows that give different counts, or none.
        """
        counts = {}
        for name, source in part.inputs.items():
            if isinstance(source, TaskInput) and source.window:
                array = _of_task(sample, source)
                if array.ndim <= source.axis:
                    raise CompressionInputError(
                        "invalid_parts",
                        f"the task input {source.name!r} is {list(array.shape)} and has no axis {source.axis}; "
                        "correct axis",
                    )
                counts[name] = source.step_count(array.shape[source.axis])
        least = min(counts.values(), default=part.step_count or 1)
        if least < max(part.step_count, 1) or (not part.step_count and len(set(counts.values())) > 1):
            listed = ", ".join(f"{name}: {count}" for name, count in counts.items())
            raise CompressionInputError(
                "invalid_parts",
                f"the windows of the part {part.name!r} give different numbers of steps, or too few ({listed}); "
                "correct window, hop or steps",
            )
        return part.step_count or least

    def answer(self, sample: Arrays, on_call: OnCall | None = None) -> Arrays:
        """Return the answer [1, ...] to one sample, its arrays [1, ...] by the task's input name.

        Raises:
            CompressionError, CompressionInputError: a part cannot be run on what it is fed with.
        """
        made: dict[str, list[Arrays]] = {}
        for part in self._file.parts:
            steps: list[Arrays] = []
            made[part.name] = steps
            for step in range(self.step_count(part, sample)):
                feed = {
                    name: _declared(self._fed(part, name, step, sample, made), self._specs[part.name][name], part.name)
                    for name in part.inputs
                }
                if steps:
                    steps[-1] = {name: steps[-1][name] for name in self._kept[part.name]}
                steps.append(self._runs[part.name](feed))
                if on_call is not None:
                    on_call(part.name, step, feed, steps[-1])
        wanted = self._file.answer
        if self._file.steps == "last":
            return {wanted.output: np.asarray(made[wanted.part][-1][wanted.output])}
        answers = [np.asarray(one[wanted.output]) for one in made[wanted.part]]
        if len({one.shape for one in answers}) > 1:
            raise CompressionInputError(
                "invalid_parts",
                f"the answer {wanted.output!r} is {list(answers[0].shape)} in the first step and "
                f'{list(answers[-1].shape)} in the last; take steps = "last"',
            )
        values = np.stack(answers)
        is_stepwise = len(values) > 1 or self._file.steps != "stack" or self._loops(wanted.part)
        return {wanted.output: _REDUCERS[self._file.steps](values) if is_stepwise else values[0]}

    def _loops(self, name: str) -> bool:
        part = next(one for one in self._file.parts if one.name == name)
        return bool(part.step_count) or any(isinstance(one, TaskInput) and one.window for one in part.inputs.values())

    def _fed(self, part: Part, name: str, step: int, sample: Arrays, made: Mapping[str, list[Arrays]]) -> NDArray[Any]:
        source: Source = part.inputs[name]
        spec = self._specs[part.name][name]
        if isinstance(source, TaskInput):
            return _window(_of_task(sample, source), source, step, len(spec.dimensions))
        if isinstance(source, FixedInput):
            return fixed_value(source.value, spec, where=f"part {part.name!r} input {name!r}")
        if isinstance(source, PartOutput):
            return _from_part(source, step, made)
        before = made[part.name][step - 1][source.output] if step else None
        if isinstance(source, GreedyInput):
            best = source.first if before is None else int(np.argmax(before.reshape(-1, before.shape[-1])[-1]))
            return np.full([1] * len(spec.dimensions), best)
        return self._begun(source, part.name, spec, made) if before is None else before

    def _begun(
        self, source: StateInput, part: str, spec: common_pb2.TensorSpec, made: Mapping[str, list[Arrays]]
    ) -> NDArray[Any]:
        """Return the state before the first step."""
        if source.start is not None:
            return _from_part(source.start, 0, made)
        return np.full(source.shape or self._fresh_shape(part, spec), source.initial)

    def _fresh_shape(self, part: str, spec: common_pb2.TensorSpec) -> list[int]:
        firsts = {one.dimensions[0].symbol for one in self._specs[part].values() if one.dimensions} - {""}
        return [
            one.size if one.HasField("size") else int(index == 0 or one.symbol in firsts)
            for index, one in enumerate(spec.dimensions)
        ]


def _kept_outputs(file: PartsFile) -> dict[str, list[str]]:
    """Return the outputs of each part that are read of steps before the last; caches that grow are not among them."""
    kept: dict[str, set[str]] = {part.name: set() for part in file.parts}
    if file.steps != "last":
        kept[file.answer.part].add(file.answer.output)
    for part in file.parts:
        for source in part.inputs.values():
            if isinstance(source, PartOutput) and source.each_step:
                kept[source.part].add(source.output)
    return {name: sorted(outputs) for name, outputs in kept.items()}


def _check_names(file: PartsFile, models: Mapping[str, PartModel]) -> None:
    outputs = {name: [spec.name for spec in model.signature.outputs] for name, model in models.items()}

    def refuse_unknown(part: str, output: str) -> None:
        if output not in outputs[part]:
            raise CompressionInputError(
                "invalid_parts", f"the part {part!r} has no output {output!r}; {meant(output, outputs[part])}"
            )

    for part in file.parts:
        inputs = [spec.name for spec in models[part.name].signature.inputs]
        for name in part.inputs:
            if name not in inputs:
                raise CompressionInputError(
                    "invalid_parts", f"the part {part.name!r} has no input {name!r}; {meant(name, inputs)}"
                )
        missing = [name for name in inputs if name not in part.inputs]
        if missing:
            raise CompressionInputError(
                "invalid_parts",
                f"the input {missing[0]!r} of the part {part.name!r} has no source; add it to its inputs",
            )
        for source in part.inputs.values():
            if isinstance(source, StateInput | GreedyInput):
                refuse_unknown(part.name, source.output)
            start = source.start if isinstance(source, StateInput) else source
            if isinstance(start, PartOutput):
                refuse_unknown(start.part, start.output)
    refuse_unknown(file.answer.part, file.answer.output)


def _of_task(sample: Arrays, source: TaskInput) -> NDArray[Any]:
    if ONLY_INPUT in sample:
        return sample[ONLY_INPUT]
    if source.name not in sample:
        raise CompressionInputError(
            "invalid_parts", f"the task has no input {source.name!r}; {meant(source.name, list(sample))}"
        )
    return sample[source.name]


def _window(array: NDArray[Any], source: TaskInput, step: int, rank: int) -> NDArray[Any]:
    """Return what a step takes; an axis of one place is dropped where the model has no such axis."""
    if not source.window:
        return array
    start = step * source.hop
    taken = np.asarray(np.take(array, range(start, start + source.window), axis=source.axis))
    return taken.squeeze(source.axis) if taken.ndim == rank + 1 and source.window == 1 else taken


def _from_part(source: PartOutput, step: int, made: Mapping[str, list[Arrays]]) -> NDArray[Any]:
    steps = made[source.part]
    if source.each_step and step >= len(steps):
        raise CompressionInputError(
            "invalid_parts",
            f"step {step + 1} takes {source.output!r} of {source.part!r}, which has {len(steps)} steps; give "
            "both as many",
        )
    return steps[step if source.each_step else -1][source.output]


def _declared(array: NDArray[Any], spec: common_pb2.TensorSpec, part: str) -> NDArray[Any]:
    """Return an array in the dtype of its input; floats stay floats, whole numbers whole numbers."""
    wanted = np.dtype(spec.dtype)
    if array.dtype.kind == "f" and wanted.kind in "iu" and np.all(array == np.trunc(array)):
        return array.astype(wanted)
    if (array.dtype.kind == "f") != (wanted.kind == "f"):
        raise CompressionInputError(
            "invalid_parts",
            f"the input {spec.name!r} of {part!r} takes {spec.dtype} and gets {array.dtype}; correct its source",
        )
    return np.ascontiguousarray(array, dtype=wanted).reshape(array.shape)

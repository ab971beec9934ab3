"""What a model minimises that is taught: labels, the teachers' outputs, hints and attention in one objective."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from steelyard.compress.lack_of_memory import is_lack_of_memory
from steelyard.train.distill.answers import KeptAnswers, RepeatedSamples
from steelyard.train.distill.features import Pair, pairs_of, recorded
from steelyard.train.distill.projection import make_projector, of_one_size, refuse_other_kind, refuse_vector
from steelyard.train.distill.settings import TaughtSettings
from steelyard.train.distill.terms import attention_distance, relative_error, soft_labels, soft_values
from steelyard.train.errors import TrainingInputError
from steelyard.train.loop.losses import BINARY, CROSS_ENTROPY, LabelLoss
from steelyard.train.loop.memory_order import lay_channels_last
from steelyard.train.loop.objective import Batch
from steelyard.train.loop.output_form import LOGITS, form_of_output
from steelyard.train.loop.trainable import TrainableModel

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Teacher:
    """A model that teaches, by its name in sentences; its module never changes."""

    name: str
    model: TrainableModel

    def run(self, inputs: Mapping[str, Tensor], student: TrainableModel) -> dict[str, Tensor]:
        """Return its outputs by the student's names: by place where there are as many, else by name."""
        import torch

        own = self.model
        given = dict(inputs) if set(own.input_names) <= set(inputs) else _by_place(own.input_names, inputs)
        with torch.no_grad():
            outputs = own.run(given)
        if len(own.output_names) == len(student.output_names):
            return dict(zip(student.output_names, outputs.values(), strict=True))
        return {name: made for name, made in outputs.items() if name in student.output_names}


class Teaching:
    """An ``Objective`` with teachers; ``label`` None learns from them alone."""

    def __init__(
        self,
        settings: TaughtSettings,
        *,
        student: TrainableModel,
        teachers: Sequence[Teacher],
        label: LabelLoss | None,
        sample: Batch,
        output: str = "",
        class_axis: int | None = -1,
        seed: int = 0,
        repeated: RepeatedSamples | None = None,
    ) -> None:
        """Look at what the models give for a few samples, on the processor, and pair their layers.

        Where no ``label`` tells, ``class_axis`` is that of scores of classes in ``output`` ("": the first), None where
        the outputs are no such scores; ``seed`` draws the first weights of projectors. Teachers are asked once for
        samples that are ``repeated``, None: in each epoch anew.

        Raises:
            TrainingInputError: teacher_misfit, unknown_layer, no_pairs, other_rank.
        """
        import torch
        from torch import nn

        self._settings = settings
        self._teachers = tuple(teachers)
        self._label = label
        for teacher in teachers:
            teacher.model.module.to("cpu").eval().requires_grad_(False)
        student.module.eval()
        with torch.no_grad():
            own = student.run(sample.inputs)
            theirs = [_fitting(teacher, student, own, sample) for teacher in teachers]
        self._kept = [
            KeptAnswers.where_they_fit(teacher, repeated, made, batch=sample, student=student)
            for teacher, made in zip(teachers, theirs, strict=True)
        ]
        for teacher in teachers:
            lay_channels_last(teacher.model.module, partial(teacher.run, sample.inputs, student))
        scored = label.output if label is not None else output if output in own else next(iter(own))
        self._axis = _class_axis(label, own[scored], class_axis)
        self._outputs = (scored,) if label is not None or self._axis is not None else tuple(own)
        self._forms = [_form(label, one[self._outputs[0]], self._axis) for one in (own, *theirs)]
        first = teachers[0].model
        self._hints = pairs_of(settings.hints, student, first, sample.inputs)
        self._attention = pairs_of(settings.attention, student, first, sample.inputs)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._projectors = nn.ModuleDict(self._made_projectors(student, sample))
        self.extra: nn.Module | None = self._projectors if len(self._projectors) else None

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The layers that were paired, of hints and then of attention."""
        return (*self._hints, *self._attention)

    def to(self, device: str) -> None:
        """Move the teachers to where the student is trained."""
        for teacher in self._teachers:
            teacher.model.module.to(device)

    def terms(self, model: TrainableModel, batch: Batch) -> Mapping[str, Tensor]:
        """Return the weighted terms by name: labels, teacher, hints, attention."""
        pairs = self.pairs
        with recorded(model.module, [own for own, _ in pairs]) as features:
            outputs = model.run(batch.inputs)
        # Layers of the first are looked at while it runs.
        first = self._teachers[0].model.module
        with recorded(first, [other for _, other in pairs]) as wanted:
            taught = [self._answers(at, model, batch) for at in range(len(self._teachers))]
        return {
            **self._label_terms(outputs, batch),
            **self._soft_terms(outputs, taught),
            **self._feature_terms(features, wanted),
        }

    def _answers(self, at: int, model: TrainableModel, batch: Batch) -> dict[str, Tensor]:
        kept = self._kept[at]
        if kept is None or batch.places is None or (at == 0 and self.pairs):
            return self._teachers[at].run(batch.inputs, model)
        return kept.of(batch.places, model)

    def _label_terms(self, outputs: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        weight = self._settings.label_weight
        if self._label is None or weight == 0 or not batch.truth:
            return {}
        return {"labels": weight * self._label.of(outputs, batch)}

    def _soft_terms(self, outputs: Mapping[str, Tensor], taught: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        weight = 1.0 if self._label is None else 1 - self._settings.label_weight
        if weight == 0:
            return {}
        if self._axis is None:
            errors = [soft_values(outputs[name], [one[name] for one in taught]) for name in self._outputs]
            return {"teacher": weight * _mean(errors)}
        name = self._outputs[0]
        found = soft_labels(
            outputs[name],
            [one[name] for one in taught],
            forms=self._forms,
            axis=self._axis,
            temperature=self._settings.temperature,
        )
        return {"teacher": weight * found}

    def _feature_terms(self, features: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
        terms: dict[str, Tensor] = {}
        if self._hints:
            errors = [
                relative_error(*of_one_size(self._projectors[_key(pair)](features[pair[0]]), wanted[pair[1]].detach()))
                for pair in self._hints
            ]
            terms["hints"] = self._settings.hint_weight * _mean(errors)
        if self._attention:
            distances = [attention_distance(features[own], wanted[other].detach()) for own, other in self._attention]
            terms["attention"] = self._settings.attention_weight * _mean(distances)
        return terms

    def _made_projectors(self, student: TrainableModel, sample: Batch) -> dict[str, nn.Module]:
        import torch

        first = self._teachers[0].model
        with (
            torch.no_grad(),
            recorded(student.module, [own for own, _ in self.pairs]) as own,
            recorded(first.module, [other for _, other in self.pairs]) as wanted,
        ):
            student.run(sample.inputs)
            self._teachers[0].run(sample.inputs, student)
        for pair in self.pairs:
            refuse_other_kind(own.get(pair[0]), wanted.get(pair[1]), pair=pair)
        for pair in self._attention:
            refuse_vector(own[pair[0]], pair=pair)
        return {_key(pair): make_projector(own[pair[0]], wanted[pair[1]]) for pair in self._hints}


def _fitting(teacher: Teacher, student: TrainableModel, own: Mapping[str, Tensor], sample: Batch) -> dict[str, Tensor]:
    """Return what a teacher gives for a few samples, in the shapes of the student's outputs.

    Raises:
        TrainingInputError: teacher_misfit.
    """
    try:
        given = teacher.run(sample.inputs, student)
    except (RuntimeError, KeyError, ValueError, IndexError, TrainingInputError) as error:
        if is_lack_of_memory(error):
            raise
        shapes = ", ".join(f"{name} {list(one.shape)}" for name, one in sample.inputs.items())
        raise TrainingInputError(
            "teacher_misfit",
            f"the teacher {teacher.name!r} does not take the student's inputs ({shapes}); give a teacher that is for "
            "the same task and prepared data",
        ) from error
    for name, made in own.items():
        other = given.get(name)
        if other is None or other.shape[1:] != made.shape[1:]:
            found = "nothing" if other is None else f"[N, {', '.join(map(str, other.shape[1:]))}]"
            raise TrainingInputError(
                "teacher_misfit",
                f"the student's output {name!r} is [N, {', '.join(map(str, made.shape[1:]))}] and the teacher "
                f"{teacher.name!r} gives {found} there; give a teacher with the same outputs",
            )
    return given


def _by_place(names: Sequence[str], inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return dict(zip(names, inputs.values(), strict=True))


def _class_axis(label: LabelLoss | None, output: Tensor, axis: int | None) -> int | None:
    """Return the axis of the classes of an output, None for one without."""
    if label is not None:
        return label.class_axis if label.name == CROSS_ENTROPY else None
    if axis is None or output.dim() < 2 or output.shape[axis] == 1:
        return None
    return int(axis % output.dim())


def _form(label: LabelLoss | None, output: Tensor, axis: int | None) -> str:
    if axis is None or (label is not None and label.name == BINARY):
        return LOGITS
    return form_of_output(output, axis)


def _mean(terms: Sequence[Tensor]) -> Tensor:
    return sum(terms[1:], start=terms[0]) / len(terms)


def _key(pair: Pair) -> str:
    return f"{pair[0]}__{pair[1]}".replace(".", "_")

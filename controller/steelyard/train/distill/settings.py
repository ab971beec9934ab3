"""The settings of being taught, which every step that trains has beside those of training."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from steelyard.compress.contract import FLOAT32, ONNX
from steelyard.compress.errors import RecipeError
from steelyard.compress.settings import AUTO, require_number
from steelyard.train.loop.settings import TrainingSettings

# Teachers that every recipe has: its first model, and the one that the step starts from.
PARENT = "parent"
INPUT = "input"

_PAIR = re.compile(r"[0-9A-Za-z_.]+(?::[0-9A-Za-z_.]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaughtSettings(TrainingSettings):
    """How to train, and who teaches; steps inherit it.

    ``teachers`` are "parent" (the recipe's first model), "input" (the model that the step starts from), or models that
    the controller has, by name; several are averaged, and none leaves the labels alone. ``label_weight`` is the weight
    of the loss on labels; the rest up to 1 is that of the teachers' outputs, softened by ``temperature`` (Hinton et al.
    2015). ``hints`` are layers whose outputs the student learns to give ("conv3", or "conv3:conv5" where the teacher's
    has another name), through a linear projection where widths differ (Romero et al. 2015); ``attention`` are layers
    whose maps of attention it learns (Zagoruyko and Komodakis 2017). "auto" pairs layers of both by the sizes of what
    they give.
    """

    needs_calibration: ClassVar[bool] = False
    needs_float_ancestor: ClassVar[bool] = False
    reads_processor: ClassVar[bool] = False
    accepts: ClassVar[frozenset[str]] = frozenset({FLOAT32})
    formats: ClassVar[frozenset[str]] = frozenset({ONNX})

    teachers: tuple[str, ...] = ()
    temperature: float = 4.0
    label_weight: float = 0.5
    hints: tuple[str, ...] = ()
    hint_weight: float = 1.0
    attention: tuple[str, ...] = ()
    attention_weight: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values of another type or out of their bounds, and hints that nobody gives."""
        TrainingSettings.__post_init__(self)
        require_number(self.kind, "temperature", self.temperature, least=0.1, most=100)
        require_number(self.kind, "label_weight", self.label_weight, least=0, most=1)
        for key in ("hint_weight", "attention_weight"):
            require_number(self.kind, key, getattr(self, key), least=0, most=1e6)
        for key in ("teachers", "hints", "attention"):
            value = getattr(self, key)
            if not isinstance(value, tuple) or not all(isinstance(one, str) and one for one in value):
                raise RecipeError("invalid_setting", f'{self.kind}: {key} is {value!r}; write a list: ["parent"]')
        for key in ("hints", "attention"):
            self._check_layers(key, getattr(self, key))

    def _check_layers(self, key: str, layers: tuple[str, ...]) -> None:
        if layers and not self.teachers:
            raise RecipeError(
                "impossible_setting",
                f'{self.kind}: {key} needs a teacher; write teachers = ["parent"], or leave it out',
            )
        for one in layers:
            if not _PAIR.fullmatch(one):
                raise RecipeError(
                    "invalid_setting", f'{self.kind}: {key} has {one!r}; write "LAYER", or "STUDENTS:TEACHERS"'
                )
        if AUTO in layers and len(layers) > 1:
            raise RecipeError("impossible_setting", f"{self.kind}: {key} has auto beside others; auto stands alone")

    @property
    def artifact_names(self) -> tuple[str, ...]:
        """The teachers that the controller is asked for."""
        return named_teachers(self.teachers)


def named_teachers(teachers: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of the teachers that the controller is asked for by name."""
    return tuple(one for one in teachers if one not in (PARENT, INPUT))

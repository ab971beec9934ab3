"""Error rates of recognised text: edit distance over the length of the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.contract import TEXTS, Reduction
from steelyard.tasks.metrics.outputs import class_answers, class_output, described, truth_array
from steelyard.tasks.metrics.settings import require_choice, require_text, require_texts, require_whole
from steelyard.tasks.metrics.text_decoding import decoded_texts
from steelyard.tasks.metrics.weights import sample_counts

_UNITS = ("character", "word")
_DECODES = ("ctc", "argmax")
_FORMS = ("scores", "classes")
_LAST_CLASS = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class EditDistance:
    """The error rate: insertions, deletions and substitutions (Levenshtein 1966) over the length of all true texts.

    ``alphabet`` lists the symbols of the classes in order, without the blank: one text of characters, or a list of
    texts. ``blank`` is the class of the blank, -1 the last one. ``decode``: ``ctc`` takes the highest class a step,
    joins repeats and drops blanks (Graves et al. 2006, best path); ``argmax`` drops blanks only. ``unit``: distances of
    ``character`` s, or of ``word`` s between white space. ``output_form``: ``scores`` [N, T, C] in the first output, or
    ``classes`` [N, T] in ``output`` ("" the first) where the model takes the highest itself.
    """

    kind: ClassVar[str] = "edit-distance"
    label: ClassVar[str] = "error rate of text"
    unit: ClassVar[str] = "fraction"
    higher_is_better: ClassVar[bool] = False
    truth_arrays: ClassVar[tuple[str, ...]] = (TEXTS,)
    needs_parent_outputs: ClassVar[bool] = False

    alphabet: str | tuple[str, ...] = ()
    blank: int = 0
    decode: str = "ctc"
    of: str = "character"
    output_form: str = "scores"
    output: str = ""

    def __post_init__(self) -> None:
        symbols = tuple(self.alphabet) if isinstance(self.alphabet, str) else self.alphabet
        require_texts(self.kind, "alphabet", symbols)
        if not symbols:
            raise TaskError(
                "invalid_setting",
                "metric edit-distance: there is no alphabet; list the symbols of the model's classes in order, "
                'without the blank (alphabet = "0123456789")',
            )
        require_whole(self.kind, "blank", self.blank, least=_LAST_CLASS, most=len(symbols))
        require_choice(self.kind, "decode", self.decode, _DECODES)
        require_choice(self.kind, "of", self.of, _UNITS)
        require_choice(self.kind, "output_form", self.output_form, _FORMS)
        require_text(self.kind, "output", self.output)
        if self.output and self.output_form == "scores":
            raise TaskError(
                "invalid_setting",
                f"metric edit-distance: output is {self.output!r} and scores are always read from the first output; "
                'leave output out, or write output_form = "classes"',
            )

    @property
    def reduction(self) -> Reduction:
        """What the device has to send back."""
        return Reduction(reducer="argmax" if self.output_form == "scores" else "full")

    def answers(self, truth: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]]) -> ErrorRateAnswers:
        """Decode the answers and count edits; ``outputs`` holds ``argmax`` int64 [N, T], or class numbers [N, T].

        Raises:
            TaskError: outputs that do not fit the texts or the alphabet.
        """
        texts = _texts(truth)
        if self.output_form == "scores":
            classes = class_answers(outputs, (len(texts), 0))
        else:
            classes = class_output(outputs, self.output, len(texts))
            if classes.ndim != 2:
                raise TaskError(
                    "invalid_outputs",
                    f"the class numbers are {described(classes)} and should be [N, STEPS]; name another output",
                )
        blank = len(self.alphabet) if self.blank == _LAST_CLASS else self.blank
        found = decoded_texts(classes, tuple(self.alphabet), blank=blank, joins_repeats=self.decode == "ctc")
        pairs = [(self._units(true), self._units(answer)) for true, answer in zip(texts, found, strict=True)]
        return ErrorRateAnswers(
            edits=np.array([edit_count(true, answer) for true, answer in pairs], dtype=np.int64),
            lengths=np.array([len(true) for true, _ in pairs], dtype=np.int64),
        )

    def undefined_reason(self, truth: Mapping[str, NDArray[Any]]) -> str | None:
        """Return why no answers to these texts have a rate: all are empty."""
        has_text = any(self._units(text) for text in _texts(truth))
        return None if has_text else f"the texts have not one {self.of} in all; add samples with text"

    def _units(self, text: str) -> Sequence[str]:
        return text.split() if self.of == "word" else text


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ErrorRateAnswers:
    """The edits that make each answer the truth, and the length of that, int64 [N] each."""

    edits: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @property
    def sample_count(self) -> int:
        """How many samples were answered."""
        return int(self.edits.size)

    def value(self, counts: NDArray[np.int64] | None = None) -> float | None:
        """Return all edits over the length of all texts, which can exceed 1; None when that is 0."""
        weights = sample_counts(counts, self.sample_count)
        length = int(weights @ self.lengths)
        return int(weights @ self.edits) / length if length else None


def edit_count(true: Sequence[str], answer: Sequence[str]) -> int:
    """Return the least number of insertions, deletions and substitutions between two sequences.

    One row of Wagner and Fischer (1974) at a time; an insertion costs 1 a place, so that the running minimum of a row
    less its places carries them.
    """
    numbers = {symbol: number for number, symbol in enumerate({*true, *answer})}
    columns = np.array([numbers[symbol] for symbol in answer], dtype=np.int64)
    places = np.arange(columns.size + 1, dtype=np.int64)
    row = places.copy()
    for symbol in true:
        without_insertion = np.empty_like(row)
        without_insertion[0] = row[0] + 1
        np.minimum(row[1:] + 1, row[:-1] + (columns != numbers[symbol]), out=without_insertion[1:])
        row = np.minimum.accumulate(without_insertion - places) + places
    return int(row[-1])


def _texts(truth: Mapping[str, NDArray[Any]]) -> list[str]:
    return [str(text) for text in truth_array(truth, TEXTS, dtypes="UO", rank=1)]

"""Text of a CSV or JSONL file, turned into token ids by a tokenizer file (``tokenizer.json``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from steelyard.spelling import meant
from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.contract import LABELS, TARGETS, TEXTS
from steelyard.tasks.sources.contract import SourceData
from steelyard.tasks.sources.drawing import Draw
from steelyard.tasks.sources.rows import read_rows
from steelyard.tasks.sources.splitting import drawn_data, label_numbers
from steelyard.tasks.sources.table import to_number

_DTYPES = ("int64", "int32")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFile:
    """``text`` (and ``text_pair``) are columns of ``file``; the truth is ``label``, ``target`` or a text, ``expected``.

    Each text becomes ``max_length`` tokens, cut or padded. ``ids``, ``mask`` and ``types`` name the model's inputs that
    get the token ids, 1 for a token and 0 for padding, and the number of the text; "" for none.
    """

    kind: ClassVar[str] = "text"

    file: str
    tokenizer: str
    text: str = "text"
    text_pair: str = ""
    label: str = ""
    target: str = ""
    expected: str = ""
    max_length: int = 128
    ids: str = "input_ids"
    mask: str = "attention_mask"
    types: str = ""
    dtype: str = "int64"
    seed: int = 0
    evaluation_count: int = 0
    calibration_count: int = 0
    validation_count: int = 0
    training_count: int = 0

    def __post_init__(self) -> None:
        """Refuse lengths of nothing, and dtypes that no model takes ids in."""
        if self.dtype not in _DTYPES:
            raise TaskError("invalid_setting", f"text: dtype is {self.dtype!r}; {meant(self.dtype, _DTYPES)}")
        if not 1 <= self.max_length <= 1_000_000:
            raise TaskError("invalid_setting", f"text: max_length is {self.max_length}; write 1 to 1000000")
        if not self.ids:
            raise TaskError("invalid_setting", "text: ids is empty; name the model's input that takes token ids")

    def read(self, folder: Path) -> SourceData:
        """Return the samples; see ``Source.read``."""
        path = folder / self.file
        columns = [one for one in (self.text, self.text_pair, self.label, self.target, self.expected) if one]
        rows = read_rows(path, tuple(columns))
        truth: dict[str, NDArray[Any]] = {}
        class_names: tuple[str, ...] = ()
        if self.label:
            truth[LABELS], class_names = label_numbers([row[self.label] for row in rows])
        if self.target:
            truth[TARGETS] = np.array(
                [to_number(row[self.target], f"{path}: {self.target}") for row in rows], dtype=np.float64
            )
        if self.expected:
            truth[TEXTS] = np.array([str(row[self.expected]) for row in rows], dtype=np.str_)
        return drawn_data(
            self._tokens(rows, folder / self.tokenizer),
            truth,
            Draw.of(self),
            source=path,
            told={"kind": self.kind, "file": self.file, "tokenizer": self.tokenizer, "max_length": self.max_length},
            class_names=class_names,
        )

    def _tokens(self, rows: list[dict[str, Any]], tokenizer_path: Path) -> dict[str, NDArray[Any]]:
        tokenizer = _opened(tokenizer_path)
        padding = tokenizer.padding or {}
        tokenizer.enable_truncation(self.max_length)
        tokenizer.enable_padding(
            length=self.max_length,
            pad_id=padding.get("pad_id", tokenizer.token_to_id("[PAD]") or 0),
            pad_token=padding.get("pad_token", "[PAD]"),
        )
        texts: list[Any] = [
            (str(row[self.text]), str(row[self.text_pair])) if self.text_pair else str(row[self.text]) for row in rows
        ]
        encoded = tokenizer.encode_batch(texts)
        columns = {
            self.ids: [one.ids for one in encoded],
            self.mask: [one.attention_mask for one in encoded],
            self.types: [one.type_ids for one in encoded],
        }
        return {name: np.array(values, dtype=self.dtype) for name, values in columns.items() if name}


def _opened(path: Path) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise TaskError(
            "tokenizers_missing", f"text needs the package tokenizers ({error}); pip install 'steelyard[text]'"
        ) from error
    if not path.is_file():
        raise TaskError("data_not_found", f"there is no tokenizer {path}; name a tokenizer.json")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:
        # The package raises bare Exceptions.
        raise TaskError("invalid_tokenizer", f"{path} is no tokenizer file ({error}); export it as JSON") from error

"""What a bisection has found so far, in a file that the same command goes on from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from steelyard.bisect.candidates import Candidate
from steelyard.bisect.search import Answer
from steelyard.errors import UsageError
from steelyard.nightly.report_json import made, plain

_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One comparison with the first candidate: what it said, in one sentence, and the job that said so."""

    index: int
    answer: Answer
    reason: str
    job_id: str


class BisectRecord:
    """The comparisons of one question, kept in ``folder``; written at once or not at all."""

    def __init__(self, folder: Path, question: Sequence[str], candidates: Sequence[Candidate]) -> None:
        # Other candidates, another device or another condition are another question.
        text = json.dumps([list(question), [asdict(one) for one in candidates]], sort_keys=True)
        self.path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.json"
        self.comparisons = self._read()

    @property
    def answers(self) -> dict[int, Answer]:
        """The answers so far, by candidate."""
        return {one.index: one.answer for one in self.comparisons}

    def add(self, comparison: Comparison) -> None:
        """Keep another comparison."""
        self.comparisons = (*self.comparisons, comparison)
        document = {"version": _VERSION, "comparisons": plain(self.comparisons)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(document, indent=1), encoding="utf-8")
        partial.replace(self.path)

    def forget(self) -> None:
        """Begin anew."""
        self.path.unlink(missing_ok=True)
        self.comparisons = ()

    def _read(self) -> tuple[Comparison, ...]:
        try:
            return _comparisons(json.loads(self.path.read_text("utf-8")))
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UsageError(
                "bad_record", f"{self.path} does not hold a bisection ({error}): --restart begins anew"
            ) from error


def _comparisons(document: Any) -> tuple[Comparison, ...]:
    if document["version"] != _VERSION:
        raise ValueError(f"it is of version {document['version']!r}")
    return tuple(made(Comparison, one) for one in document["comparisons"])

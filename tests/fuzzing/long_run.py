"""Batches without end, each in a process of its own, so that one that crashes, hangs or eats memory ends alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzzing.batches import INPUT_FILE

EXAMPLES_PER_BATCH = 300
_BATCH_TIMEOUT_S = 600.0
_LAST_WORDS = 8_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One that was run; ``trouble`` is "" when nothing crashed."""

    target: str
    number: int
    trouble: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LongRun:
    """``folder`` holds ``progress.json`` and ``crashes/``; a run that was stopped goes on with the next batch."""

    folder: Path
    names: Sequence[str]
    examples_per_batch: int = EXAMPLES_PER_BATCH
    command: Sequence[str] = field(default=(sys.executable, "-m", "tests.fuzzing"))

    @property
    def crashes(self) -> Path:
        """Where what crashed is written, a file a batch."""
        return self.folder / "crashes"

    def progress(self) -> dict[str, int]:
        """Return how many batches of each target were run."""
        path = self.folder / "progress.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def run(self, seconds: float) -> Iterator[Batch]:
        """Run a batch of whichever target had fewest, until so much time is over; yield each."""
        self.crashes.mkdir(parents=True, exist_ok=True)
        deadline_s = time.monotonic() + seconds
        while time.monotonic() < deadline_s:
            done = self.progress()
            target = min(self.names, key=lambda name: done.get(name, 0))
            batch = self.run_one(target, done.get(target, 0))
            self._keep({**done, target: batch.number + 1})
            yield batch

    def run_one(self, target: str, number: int) -> Batch:
        """Run one batch, and keep its last input when it ends badly."""
        work = self.folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        trouble = self._trouble(target, number, work)
        if trouble:
            fed = work / INPUT_FILE
            shown = fed.read_text(encoding="utf-8", errors="replace") if fed.exists() else "nothing yet"
            name = target.replace(":", "-")
            (self.crashes / f"{name}-{number}.txt").write_text(f"{trouble}\n\ninput:\n{shown}\n", encoding="utf-8")
        shutil.rmtree(work, ignore_errors=True)
        return Batch(target=target, number=number, trouble=trouble)

    def _trouble(self, target: str, number: int, work: Path) -> str:
        words = [*self.command, "--batch", target, str(number), str(self.examples_per_batch), str(work)]
        try:
            # No preexec_fn: with one Python forks, and gRPC's threads of a parent that has some die in the child.
            done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=_BATCH_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return f"it did not end within {_BATCH_TIMEOUT_S:.0f} s"
        return "" if done.returncode == 0 else f"status {done.returncode}\n{done.stderr[-_LAST_WORDS:]}"

    def _keep(self, progress: dict[str, int]) -> None:
        # Replaced as a whole: a run that is killed here leaves no half file.
        temporary = self.folder / "progress.new"
        temporary.write_text(json.dumps(progress, indent=1, sort_keys=True))
        temporary.replace(self.folder / "progress.json")

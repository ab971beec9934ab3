"""Many campaigns, one line of JSON each, so that a run that was cut off goes on where it stopped."""

from __future__ import annotations

import itertools
import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.campaign import Campaign, Outcome
from tests.chaos.flaws import Flaw

FAULTS_PER_CAMPAIGN = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class LongRun:
    """``folder`` holds ``results.jsonl``, and the disks and logs of every campaign in which something did not hold."""

    folder: Path
    fault_count: int
    first_seed: int = 0

    @property
    def results(self) -> Path:
        """The file of the outcomes."""
        return self.folder / "results.jsonl"

    def outcomes(self) -> list[Outcome]:
        """Return the campaigns that were run."""
        if not self.results.exists():
            return []
        return [Outcome(**json.loads(line)) for line in self.results.read_text().splitlines()]

    def run(self, seconds: float) -> Iterator[Outcome]:
        """Run what is missing, until so much time is over; yield each outcome."""
        self.folder.mkdir(parents=True, exist_ok=True)
        deadline_s = time.monotonic() + seconds
        while struck(self.outcomes()) < self.fault_count and time.monotonic() < deadline_s:
            done = {outcome.seed for outcome in self.outcomes()}
            outcome = self.run_one(next(seed for seed in itertools.count(self.first_seed) if seed not in done))
            self._keep([*self.outcomes(), outcome])
            yield outcome

    def run_one(self, seed: int, fault_count: int = FAULTS_PER_CAMPAIGN, *, flaw: Flaw | None = None) -> Outcome:
        """Run the campaign of a seed, anew when it was run before; ``flaw`` is planted in it."""
        root = self.folder / f"seed-{seed}"
        shutil.rmtree(root, ignore_errors=True)
        outcome = Campaign(root, seed=seed, fault_count=fault_count, flaw=flaw).run()
        if not outcome.violations:
            shutil.rmtree(root)
        return outcome

    def _keep(self, outcomes: list[Outcome]) -> None:
        # Replaced as a whole: a run that is killed here leaves no half line.
        temporary = self.results.with_suffix(".new")
        temporary.write_text("".join(json.dumps(outcome.record()) + "\n" for outcome in outcomes))
        temporary.replace(self.results)


def struck(outcomes: list[Outcome]) -> int:
    """Return how many faults struck."""
    return sum(sum(outcome.fault_counts.values()) for outcome in outcomes)


def summary(outcomes: list[Outcome]) -> str:
    """Say in words how the campaigns went."""
    faults: Counter[str] = Counter()
    states: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for outcome in outcomes:
        reasons.update(outcome.end_reasons)
        faults.update(outcome.fault_counts)
        states.update(outcome.job_states)
    violations = [violation for outcome in outcomes for violation in outcome.violations]
    kinds = Counter(outcome.kind for outcome in outcomes)
    lines = [
        f"{len(outcomes)} campaigns, {faults.total()} faults, {states.total()} jobs, {len(violations)} violations",
        "kinds: " + ", ".join(f"{count} {name}" for name, count in sorted(kinds.items())),
        f"time: {sum(outcome.wall_s for outcome in outcomes) / 60:.0f} minutes",
        "faults: " + ", ".join(f"{count} {name}" for name, count in sorted(faults.items())),
        "jobs: " + ", ".join(f"{count} {name.removeprefix('JOB_STATE_')}" for name, count in sorted(states.items())),
        "reasons: " + ", ".join(f"{count} {name}" for name, count in sorted(reasons.items())),
        f"longest wait for the last job after the last fault: {max((one.calm_s for one in outcomes), default=0):.0f} s",
        *violations,
    ]
    return "\n".join(lines)

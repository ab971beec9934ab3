"""``python -m tests.chaos``: the long campaign of ``make chaos``; ``--seed`` replays one."""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.chaos.flaws import Flaw
from tests.chaos.long_run import FAULTS_PER_CAMPAIGN, LongRun, summary


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--folder", type=Path, default=Path(".chaos"))
    parser.add_argument("--minutes", type=float, default=24 * 60.0, help="begin no campaign after so long")
    parser.add_argument(
        "--first-seed", type=int, default=0, help="for a second run beside the first, in its own folder"
    )
    parser.add_argument("--seed", type=int, help="run this campaign alone, and record nothing")
    parser.add_argument("--steps", type=int, default=FAULTS_PER_CAMPAIGN, help="with --seed: so many faults")
    parser.add_argument(
        "--flaw", choices=[flaw.name for flaw in Flaw], help="with --seed: plant a flaw, which must be found"
    )
    options = parser.parse_args()
    run = LongRun(folder=options.folder.absolute(), fault_count=options.faults, first_seed=options.first_seed)
    if options.seed is not None:
        flaw = Flaw[options.flaw] if options.flaw else None
        outcomes = [run.run_one(options.seed, options.steps, flaw=flaw)]
    else:
        for outcome in run.run(options.minutes * 60):
            print(f"seed {outcome.seed}: {outcome.wall_s:.0f} s, {len(outcome.violations)} violations", flush=True)
        outcomes = run.outcomes()
    print(summary(outcomes))
    return 1 if any(outcome.violations for outcome in outcomes) else 0


if __name__ == "__main__":
    raise SystemExit(main())

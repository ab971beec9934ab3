"""``python -m tests.fuzzing``: new examples for every reader and every RPC, for as long as it is let."""

from __future__ import annotations

import argparse
import resource
import sys
from pathlib import Path

from tests.fuzzing.batches import run_batch, targets
from tests.fuzzing.long_run import LongRun

_MOST_MEMORY_BYTES = 6 * 1024**3


def main() -> int:
    """Run; 0 when nothing crashed, in this run or an earlier one in the same folder."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".fuzz"), help="where progress and crashes are kept")
    parser.add_argument("--seconds", type=float, default=3600.0, help="how long")
    parser.add_argument("--only", default="", help="targets whose name begins so")
    parser.add_argument("--batch", nargs=4, metavar=("TARGET", "NUMBER", "COUNT", "FOLDER"), help="one batch, here")
    options = parser.parse_args()
    if options.batch is not None:
        # A reader that allocates without end fails here, before the machine suffers.
        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY_BYTES, _MOST_MEMORY_BYTES))
        target, number, count, folder = options.batch
        run_batch(target, int(number), int(count), Path(folder))
        return 0
    names = [name for name in targets() if name.startswith(options.only)]
    if not names:
        parser.error(f"no target begins with {options.only!r}; there are {', '.join(targets())}")
    run = LongRun(folder=options.folder, names=names)
    for batch in run.run(options.seconds):
        print(
            f"{batch.target} {batch.number}: {batch.trouble.splitlines()[-1] if batch.trouble else 'fine'}", flush=True
        )
    crashes = sorted(run.crashes.iterdir())
    batches = sum(run.progress().values())
    print(f"{batches} batches of {run.examples_per_batch} examples over {len(names)} targets, {len(crashes)} crashes")
    for path in crashes:
        print(f"  {path}")
    return 1 if crashes else 0


if __name__ == "__main__":
    sys.exit(main())

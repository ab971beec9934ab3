"""``python -m tests.whole_run``: every test, several side by side; the few that fail run once more, by themselves.

Real processes, clocks and sockets share the machine with whatever else it does. What fails by itself, too, is a
failure; what does not is named at the end, to be mended: it counts on being alone. More than a few that fail are no
accident, and a failure at once.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

MOST_AGAIN = 5
_SOME_FAILED = 1
_FAILED_LAST = Path(".pytest_cache/v/cache/lastfailed")
PYTEST = (sys.executable, "-m", "coverage", "run", "-m", "pytest")


def main(arguments: Sequence[str], *, root: Path = Path(), pytest: Sequence[str] = PYTEST) -> int:
    """Run pytest with ``arguments`` in ``root`` and return its exit code: of the second run where there was one."""
    kept = root / _FAILED_LAST
    kept.unlink(missing_ok=True)
    code = subprocess.run([*pytest, *arguments], cwd=root, check=False).returncode
    failed = list(json.loads(kept.read_text(encoding="utf-8"))) if kept.exists() else []
    if code != _SOME_FAILED or not 0 < len(failed) <= MOST_AGAIN:
        return code
    _say(f"\n{len(failed)} failed beside the others; they run once more, by themselves")
    code = subprocess.run([*pytest, "-n", "0", *failed], cwd=root, check=False).returncode
    if code == 0:
        _say("\n  ".join(("passed by themselves, failed beside others (mend them):", *failed)))
    return code


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

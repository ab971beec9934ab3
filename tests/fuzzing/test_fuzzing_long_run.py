"""The long run goes on where it was stopped, and keeps the input of what crashes."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.fuzzing.long_run import Batch, LongRun

# A stand-in for a batch: writes what it was fed, and crashes on the number of one target.
PROGRAM = """
import sys, pathlib
target, number, count, folder = sys.argv[2:]
pathlib.Path(folder, "input.txt").write_text(f"fed to {target}")
if (target, number) == ("rpc:Bad", "1"):
    raise OverflowError("no such number")
"""


def run_of(folder: Path) -> LongRun:
    return LongRun(folder=folder, names=("rpc:Bad", "file:good"), command=(sys.executable, "-c", PROGRAM))


def test_every_target_gets_its_turn_and_a_second_run_goes_on(tmp_path: Path) -> None:
    seen = [batch for _, batch in zip(range(3), run_of(tmp_path).run(60), strict=False)]
    assert [(batch.target, batch.number) for batch in seen] == [("rpc:Bad", 0), ("file:good", 0), ("rpc:Bad", 1)]
    # A generator that was left keeps what it had counted before it was left.
    assert run_of(tmp_path).progress() == {"rpc:Bad": 2, "file:good": 1}
    assert next(run_of(tmp_path).run(60)) == Batch(target="file:good", number=1, trouble="")


def test_what_crashes_is_kept_with_its_input(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    run.crashes.mkdir(parents=True)
    assert run.run_one("rpc:Bad", 0).trouble == ""
    batch = run.run_one("rpc:Bad", 1)
    assert batch.trouble.startswith("status 1\n")
    (kept,) = run.crashes.iterdir()
    assert kept.name == "rpc-Bad-1.txt"
    assert "OverflowError: no such number" in kept.read_text()
    assert kept.read_text().endswith("input:\nfed to rpc:Bad\n")

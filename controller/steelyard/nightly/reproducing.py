"""The command line that measures again what a confirmation measured, as the suite measures."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from steelyard.nightly.notes import Factor
from steelyard.nightly.rollback import Rollback
from steelyard.suites.suite import MeasureSettings, RuntimeSlot


def reproducing(rollback: Rollback, *, artifact: str, device: str, slot: RuntimeSlot, measure: MeasureSettings) -> str:
    """Return the command line that measures what a confirmation measured.

    Args:
        rollback: What was put back.
        artifact: The digest of tonight's model.
        device: Its name.
        slot: The suite's runtime.
        measure: How the suite measures; what it leaves as it is goes without a flag.
    """
    is_runtime = rollback.factor is Factor.RUNTIME
    runtime = slot.runtime.partition("@")[0] if is_runtime else slot.runtime
    models = [artifact[:12]]
    if rollback.factor is Factor.MODEL:
        models.insert(0, rollback.artifact[:12])
    words = ["steelyard", "compare" if len(models) > 1 else "measure", *models]
    words += ["--device", device, "--threads", str(slot.threads), *_flag("--runtime", runtime)]
    words += [*_of_runtime(slot), *_of_measuring(measure)]
    if is_runtime:
        words += ["--vary", f"env={','.join(rollback.environments)}"]
    return shlex.join(words)


def _of_runtime(slot: RuntimeSlot) -> Iterator[str]:
    for provider in slot.providers:
        yield from ("--provider", provider)
    yield from _flag("--cores", slot.cores)
    yield from _flag("--graph-optimization", slot.graph_optimization)
    for name, wanted in (("spinning", slot.spinning), ("arena", slot.arena)):
        if wanted is not None:
            yield f"--{name}" if wanted else f"--no-{name}"
    if slot.allow_fallback:
        yield "--allow-fallback"


def _of_measuring(measure: MeasureSettings) -> Iterator[str]:
    if not measure.gate:
        yield "--no-gate"
    if measure.max_contention is not None:
        yield from ("--max-contention", f"{measure.max_contention * 100:g}%")
    if measure.sample_window_s != MeasureSettings().sample_window_s:
        yield from ("--sample-window", f"{measure.sample_window_s * 1000:g}ms")


def _flag(name: str, value: str) -> tuple[str, ...]:
    return (name, value) if value else ()

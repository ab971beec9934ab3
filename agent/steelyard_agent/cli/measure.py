"""``steelyard-agent measure``."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from steelyard_agent.cli.device import this_system
from steelyard_agent.cli.mode_arguments import DEFAULT_ROUNDS, mode_of
from steelyard_agent.cores import CoreSelection, select_cores
from steelyard_agent.emulation import find_emulator
from steelyard_agent.environments import read_environments
from steelyard_agent.errors import UsageError
from steelyard_agent.standalone import MeasurementError, measure_file
from steelyard_agent.standalone_text import report_lines, report_to_json
from steelyard_agent.state.directory import default_state_directory
from steelyard_agent.surroundings.android import BRING_TERMUX_FORWARD, background_cpuset
from steelyard_agent.worker.contract import ProviderSpec, RuntimeOptions
from steelyard_agent.worker.ending import BlockOutcome
from steelyard_agent.worker.failure import BlockStatus
from steelyard_agent.worker.modes import SUSTAINED

_MEBIBYTE = 1024 * 1024
# An external delegate: its path may hold colons, its options begin behind the first one that a name and "=" follow.
_DELEGATE = re.compile(r"(?P<name>delegate:.*?)(?::(?P<options>[\w.-]+=.*))?")


def measure(options: argparse.Namespace) -> int:
    """Measure one file and print what its launches said.

    Raises:
        MeasurementError: It cannot be measured, or Android keeps this process in the background.
        NoSuchCoresError: There are no cores of the kind that was named, or none of them is lent.
    """
    runtime, python = _runtime(options)
    mode = mode_of(options)
    # A curve is minutes long, and its points are its own rounds.
    rounds = options.rounds or (1 if mode.name == SUSTAINED else DEFAULT_ROUNDS)
    progress = _Progress(rounds)
    core_ids = select_cores(this_system(), options.cores) if isinstance(options.cores, CoreSelection) else options.cores
    _refuse_background()
    report = asyncio.run(
        measure_file(
            options.model,
            runtime=runtime or None,
            python=python,
            options=runtime_options(options),
            mode=mode,
            batch_size=options.batch,
            rounds=rounds,
            core_ids=core_ids,
            block_timeout_s=options.block_timeout,
            memory_limit_bytes=options.memory_limit * _MEBIBYTE if options.memory_limit else None,
            emulated_by=find_emulator(this_system(), os.environ, platform.machine()),
            on_launch=progress,
            on_phase=progress.phase,
        )
    )
    if options.json:
        print(json.dumps(report_to_json(report), indent=2))
    else:
        print("\n".join(report_lines(report)))
    return 0


def runtime_options(options: argparse.Namespace) -> RuntimeOptions:
    """Return what the flags say about the runtime; what they do not say is the runtime's own choice.

    Raises:
        UsageError: An input has two shapes.
    """
    return RuntimeOptions(
        providers=tuple(_provider(text) for text in options.provider),
        intra_op_thread_count=options.threads,
        graph_optimization=options.graph_optimization,
        spinning=False if options.no_spinning else None,
        arena=False if options.no_arena else None,
        allow_fallback=options.allow_fallback,
        input_shapes=_by_name(options.shape),
    )


def _provider(text: str) -> ProviderSpec:
    """Read ``NAME`` or ``NAME:key=value,key=value``, where NAME may be ``delegate:/path/lib.so``.

    Raises:
        UsageError: It has no name, or an option is not KEY=VALUE or is given twice.
    """
    delegate = _DELEGATE.fullmatch(text)
    name, rest = (delegate["name"], delegate["options"] or "") if delegate else text.partition(":")[::2]
    if not name:
        raise UsageError("bad_provider", f"--provider {text[:80]!r} has no name, as in cpu or cuda:device_id=0")
    given: dict[str, str] = {}
    for pair in filter(None, rest.split(",")):
        key, equals, value = pair.partition("=")
        if not (key and equals):
            raise UsageError("bad_provider", f"--provider {text[:80]!r}: {pair[:80]!r} is not KEY=VALUE")
        if key in given:
            raise UsageError("bad_provider", f"--provider {text[:80]!r} gives {key!r} twice; give it once")
        given[key] = value
    return ProviderSpec(name=name, options=given)


def _runtime(options: argparse.Namespace) -> tuple[str, Path | None]:
    """Return the runtime's name, and the interpreter of its environment where one is named behind an "@".

    Raises:
        UsageError: There is no such environment.
    """
    runtime, at, name = options.runtime.partition("@")
    if not at:
        return runtime, None
    if not (runtime and name):
        raise UsageError("bad_runtime", f"--runtime {options.runtime[:80]!r} is not NAME@ENV, as in litert@tflite")
    root = options.state_directory or default_state_directory(os.environ, Path.home())
    pythons = {one.name: one.python for one in read_environments(root)}
    if name not in pythons:
        there = ", ".join(pythons) or "none"
        raise UsageError(
            "no_such_environment",
            f"there is no runtime environment {name[:80]!r}; there is: {there}. "
            f"Add it with steelyard-agent environment add {name[:80]} --python PATH",
        )
    return runtime, pythons[name]


def _by_name(shapes: Sequence[tuple[str, tuple[int, ...]]]) -> dict[str, tuple[int, ...]]:
    by_name = dict(shapes)
    if len(by_name) < len(shapes):
        twice = next(name for name, _ in shapes if [other for other, _ in shapes].count(name) > 1)
        raise UsageError("shape_given_twice", f"--shape names input {twice!r} twice; give it once")
    return by_name


def _refuse_background() -> None:
    """Refuse figures from Android's background cpuset, as a job does.

    Raises:
        MeasurementError: NOT_VALID.
    """
    if name := background_cpuset(this_system()):
        message = f"Android keeps this process in its {name} cpuset: {BRING_TERMUX_FORWARD}"
        raise MeasurementError(BlockStatus.NOT_VALID, "background_cpuset", message)


class _Progress:
    """After each launch: refuses what ran in the background; one line on a terminal, nothing in a pipe."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds
        self._point_count = 0

    def phase(self, name: str) -> None:
        """Count the points of a curve, which takes minutes."""
        if name == "point" and sys.stderr.isatty():
            self._point_count += 1
            print(f"\rcurve: {self._point_count} points", end="", file=sys.stderr, flush=True)

    def __call__(self, index: int, outcome: BlockOutcome) -> None:
        _refuse_background()
        if sys.stderr.isatty():
            end = "\n" if index + 1 == self._rounds or outcome.result is None else ""
            print(f"\rlaunch {index + 1} of {self._rounds}", end=end, file=sys.stderr, flush=True)

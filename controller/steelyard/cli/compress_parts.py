"""`steelyard compress` for a model in parts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from steelyard.cli.follow import follow
from steelyard.cli.session import connected, console, emit_json, is_terminal, say
from steelyard.errors import UsageError


def run_parts(
    ctx: click.Context,
    parts: Path,
    recipes: Sequence[str],
    *,
    task: Path | None,
    device: str,
    tasks_dir: Path | None,
    seed: int,
    as_json: bool,
) -> None:
    """Compress the parts of a model and print what each costs the whole.

    Raises:
        SteelyardError: see ``steelyard.control.compress_parts``; no task.
    """
    if task is None:
        raise UsageError("no_task", f"{parts} is a model in parts, which needs the data of the whole; give --task FILE")
    from steelyard.compress.parts.part_tasks import CallLimits
    from steelyard.control.compress_parts import compress_parts
    from steelyard.report.parts import plain_parts, render_parts

    def progress(message: str, done: int, total: int) -> None:
        if done == total and is_terminal():
            say(f"{message}: {total} samples")

    with connected(ctx) as client:
        found = compress_parts(
            client,
            parts,
            recipes,
            task_path=task,
            device=device,
            tasks_dir=tasks_dir,
            limits=CallLimits(seed=seed),
            follow=follow,
            progress=progress,
        )
    if as_json:
        emit_json("parts", plain_parts(found))
        return
    out = console()
    out.print(render_parts(found))
    for part in found.parts:
        by = f" --task {tasks_dir / part.name}.toml" if tasks_dir is not None else ""
        out.print(f"measure it: steelyard measure {part.original.name} {part.variant.name}{by}", markup=False)

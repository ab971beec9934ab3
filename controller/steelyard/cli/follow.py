"""Following a job: a progress bar on a terminal, silence when piped; Ctrl-C cancels the job."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from steelyard.cli.session import console, is_terminal, say
from steelyard.durations import human_duration

if TYPE_CHECKING:
    from steelyard.control.job_handle import JobHandle
    from steelyard_protocol.v1 import control_pb2


_LONGEST_MESSAGE = 120


def follow(handle: JobHandle, title: str) -> control_pb2.Job:
    """Wait for a job's end and return it; raises SteelyardError when it did not end well."""
    if is_terminal():
        estimate = f"about {human_duration(handle.estimated_ms / 1000)}" if handle.estimated_ms else "measuring"
        say(f"{title}: {estimate}")
    try:
        return _with_bar(handle, title) if is_terminal() else handle.wait()
    except KeyboardInterrupt:
        handle.cancel()
        if is_terminal():
            say(f"cancelled; what it finished is kept: steelyard job show {handle.job_id[:12]}")
        raise


def _with_bar(handle: JobHandle, title: str) -> control_pb2.Job:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.table import Column

    # Without the title, which the line above has said: at 80 columns what a block waits for must fit.
    columns = (
        BarColumn(bar_width=12),
        TextColumn("{task.percentage:>3.0f} %", table_column=Column(no_wrap=True)),
        TimeElapsedColumn(table_column=Column(no_wrap=True, min_width=7)),
        TextColumn("{task.fields[message]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
    )
    with Progress(*columns, console=console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=None, message="")
        last = 0.0

        def show(event: control_pb2.JobEvent) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last < 0.05 and event.done < event.total:
                return
            last = now
            progress.update(
                task, completed=event.done, total=event.total or None, message=event.message[:_LONGEST_MESSAGE]
            )

        return handle.wait(show)

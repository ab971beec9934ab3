"""Following a job: a progress bar on a terminal, a line a minute in a log; Ctrl-C cancels the job."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from steelyard.cli.session import console, is_terminal, say
from steelyard.durations import human_duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from steelyard.control.job_handle import JobHandle
    from steelyard_protocol.v1 import control_pb2


_LONGEST_MESSAGE = 120
# Where nobody looks on, as in CI: what ends soon says nothing, what lasts shows that it lives.
_FIRST_LINE_S = 30.0
_LINE_EVERY_S = 60.0


def follow(handle: JobHandle, title: str, *, is_announced: bool = False) -> control_pb2.Job:
    """Wait for a job's end and return it; raises SteelyardError when it did not end well.

    ``is_announced``: a line has said what begins, and no other one is needed.
    """
    if is_terminal() and not is_announced:
        say(f"{title}: about {human_duration(handle.estimated_ms / 1000)}" if handle.estimated_ms else title)
    try:
        return _with_bar(handle, title) if is_terminal() else handle.wait(_lines(title))
    except KeyboardInterrupt:
        job = handle.cancel()
        if is_terminal():
            say(f"cancelled; what it finished is kept: {_next_step(job)}")
        raise


def _next_step(job: control_pb2.Job) -> str:
    from steelyard_protocol.v1 import control_pb2

    if job.kind == control_pb2.JOB_KIND_COMPRESSION:
        return "the same command goes on where it was"
    return f"steelyard job show {job.job_id[:12]}"


def _lines(title: str) -> Callable[[control_pb2.JobEvent], None]:
    next_at = time.monotonic() + _FIRST_LINE_S

    def show(event: control_pb2.JobEvent) -> None:
        nonlocal next_at
        if time.monotonic() < next_at:
            return
        next_at = time.monotonic() + _LINE_EVERY_S
        share = f" {event.done / event.total:.0%}" if event.total else ""
        message = f": {event.message[:_LONGEST_MESSAGE]}" if event.message else ""
        say(f"{title}{share}{message}")

    return show


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

"""`steelyard top`: watch a controller live."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import click

from steelyard.cli.parameters import Duration
from steelyard.cli.session import connected, console, emit_json
from steelyard.job_states import FINAL_STATES
from steelyard_protocol.v1 import control_pb2

if TYPE_CHECKING:
    from steelyard.control.client import Client
    from steelyard.report.top import Scene

# The newest; an unfinished job behind so many finished ones is not seen.
_JOB_COUNT = 1000


class Watch:
    """Looks again and again, and asks for the log of each job only from where it was read last."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._controller_id = client.controller().controller_id
        self._last_events: dict[str, control_pb2.JobEvent] = {}

    def look(self) -> Scene:
        """Return what is there now."""
        from steelyard.report.top import Scene

        jobs = self._client.newest_jobs(_JOB_COUNT)
        unfinished = {job.job_id for job in jobs if job.state not in FINAL_STATES}
        last_events = {job_id: event for job_id in unfinished if (event := self._last_event(job_id)) is not None}
        self._last_events = last_events
        return Scene(
            controller_id=self._controller_id, devices=self._client.devices(), jobs=jobs, last_events=last_events
        )

    def _last_event(self, job_id: str) -> control_pb2.JobEvent | None:
        last = self._last_events.get(job_id)
        while events := self._client.events(job_id, after=last.cursor if last is not None else 0).events:
            last = events[-1]
        return last


@click.command()
@click.option("--once", is_flag=True, help="Show what is there now, and end.")
@click.option(
    "--interval", "interval_s", type=Duration(), default="2s", show_default=True, metavar="TIME", help="Between looks."
)
@click.option("--json", "as_json", is_flag=True, help="What is there now as JSON on stdout, and end.")
@click.pass_context
def top(ctx: click.Context, once: bool, interval_s: float, as_json: bool) -> None:
    """Watch devices (state, heat, free disk, last seen) and the jobs that run or wait, until Ctrl-C.

    \b
    Examples:
      steelyard top
      steelyard top --once
      steelyard top --once --json
    """
    from steelyard.report.top import render_scene, scene_to_plain

    with connected(ctx) as client:
        watch = Watch(client)
        if as_json:
            emit_json("top", scene_to_plain(watch.look()))
            return
        screen = console()
        if once or not screen.is_terminal:
            screen.print(render_scene(watch.look(), now=datetime.now(tz=timezone.utc)))
            return
        from rich.live import Live

        with Live(console=screen, screen=True, auto_refresh=False) as live:
            try:
                while True:
                    live.update(render_scene(watch.look(), now=datetime.now(tz=timezone.utc)), refresh=True)
                    time.sleep(interval_s)
            except KeyboardInterrupt:
                # The way out of it, no interruption of anything.
                return

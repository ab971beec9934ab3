"""Who is told of a night: the dead man's switch at both ends, the channels at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steelyard.nightly.heartbeat import read_heartbeat
from steelyard.nightly.night_report import NightReport
from steelyard.nightly.notes import NOTIFICATION
from steelyard.nightly.notifying import notify_of
from steelyard.notify.reading import read_channels
from steelyard.notify.sending import ChannelResult
from steelyard.notify.world import World
from steelyard.suites.substitution import substitute_tables

if TYPE_CHECKING:
    from steelyard.control.client import Client
    from steelyard.suites.suite import Suite
    from steelyard_protocol.v1 import nightly_pb2


class Listeners:
    """A suite's switch and channels."""

    def __init__(self, suite: Suite, world: World) -> None:
        """Read both, so that a table that makes no sense is found before the night begins.

        Raises:
            SuiteError: with all problems of a table.
        """
        self._suite = suite
        self._world = world
        source = suite.sources[0].name
        read_channels(
            substitute_tables(suite.notify, world.environ, f"{source} [notify]"), folder=suite.folder, source=source
        )
        switch: dict[str, Any] = substitute_tables(suite.heartbeat, world.environ, f"{source} [heartbeat]")
        self._switch = read_heartbeat(switch, folder=suite.folder, source=source)

    def begin(self, client: Client, night: nightly_pb2.Night) -> None:
        """Say that the night begins."""
        result = self._switch.ping_start(self._world) if self._switch is not None else None
        if result is not None:
            self._note(client, night.night_id, result)

    def end(self, client: Client, report: NightReport, *, html: str = "") -> tuple[ChannelResult, ...]:
        """Say how the night ended; returns what could not be told, which the next report shows."""
        url = self._suite.night.report_url.replace("{night}", str(report.header.night_number))
        results = notify_of(
            report,
            self._suite.notify,
            client.nightly,
            folder=self._suite.folder,
            world=self._world,
            url=url,
            html=html,
        )
        if self._switch is not None:
            pinged = self._switch.ping_end(report.exit_code, self._world)
            self._note(client, report.header.night_id, pinged)
            results = (*results, pinged)
        return tuple(one for one in results if not one.is_sent)

    def fail(self, exit_code: int) -> None:
        """Tell the switch of a night that ends without a report."""
        if self._switch is not None:
            self._switch.ping_end(exit_code, self._world)

    def _note(self, client: Client, night_id: str, result: ChannelResult) -> None:
        client.nightly.put_item(night_id, NOTIFICATION, result.channel, result.to_plain())

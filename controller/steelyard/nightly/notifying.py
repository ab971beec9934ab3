"""Tells a night's channels and its dead man's switch, and notes what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from steelyard.nightly.digests import digest_of
from steelyard.nightly.heartbeat import Heartbeat, read_heartbeat
from steelyard.nightly.night_report import NightReport
from steelyard.nightly.notes import NOTIFICATION
from steelyard.notify.digest import Digest
from steelyard.notify.reading import read_channels
from steelyard.notify.sending import ChannelResult, Subscription, send_to_all
from steelyard.notify.world import World
from steelyard.suites.substitution import substitute_tables

if TYPE_CHECKING:
    from steelyard.control.client import Client
    from steelyard.suites.suite import Suite
    from steelyard_protocol.v1 import nightly_pb2

_NOT_SENT = "the run ended before it was sent"


class Notifier:
    """A suite's channels and switch. Made before the night begins, so that a wrong table is found then."""

    def __init__(self, suite: Suite, world: World) -> None:
        """Read the suite's tables.

        Raises:
            SuiteError: a table makes no sense, or the environment lacks a name.
        """
        source = suite.sources[0].name
        self._suite = suite
        self._world = world
        tables: dict[str, Any] = substitute_tables(suite.notify, world.environ, f"{source} notify")
        switch: dict[str, Any] = substitute_tables(suite.heartbeat, world.environ, f"{source} heartbeat")
        self._channels: Sequence[Subscription] = read_channels(tables, folder=suite.folder, source=source)
        self._heartbeat: Heartbeat | None = read_heartbeat(switch, folder=suite.folder, source=source)

    def begin(self, client: Client, night: nightly_pb2.Night) -> None:
        """Say that the night begins."""
        if self._heartbeat is not None:
            result = self._heartbeat.ping_start(self._world)
            if result is not None:
                self._note(client, night.night_id, result)

    def announce(self, client: Client, report: NightReport) -> None:
        """Note, just before the night ends, whom its digest is for: a run that is killed then is told of tomorrow."""
        night_id = report.header.night_id
        digest, done = self._digest(report), self._told(client, night_id)
        for one in self._channels:
            if one.wants(digest) and one.channel.name not in done:
                untold = ChannelResult(
                    channel=one.channel.name, kind=one.channel.kind, is_sent=False, reason=_NOT_SENT, attempt_count=0
                )
                self._note(client, night_id, untold)

    def end(self, client: Client, report: NightReport) -> tuple[ChannelResult, ...]:
        """Send the night's digest to the channels that want it and were not told before; return what failed."""
        night_id = report.header.night_id
        done = self._told(client, night_id)
        results = list(send_to_all(self._channels, self._digest(report), self._world, done=done))
        if self._heartbeat is not None:
            results.append(self._heartbeat.ping_end(report.exit_code, self._world))
        for one in results:
            self._note(client, night_id, one)
        return tuple(one for one in results if not one.is_sent)

    def fail(self, exit_code: int) -> None:
        """Tell the switch of a night that ends without a report."""
        if self._heartbeat is not None:
            self._heartbeat.ping_end(exit_code, self._world)

    def _digest(self, report: NightReport) -> Digest:
        url = self._suite.night.report_url.replace("{night}", str(report.header.night_number))
        return digest_of(report, url=url)

    def _told(self, client: Client, night_id: str) -> list[str]:
        """Return the channels that were told of the night."""
        notes = client.nightly.items(night_id, NOTIFICATION)
        return [channel for channel, note in notes.items() if note.get("is_sent")]

    def _note(self, client: Client, night_id: str, result: ChannelResult) -> None:
        client.nightly.put_item(night_id, NOTIFICATION, result.channel, result.to_plain())

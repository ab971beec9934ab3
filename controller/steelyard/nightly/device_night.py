"""One device's night from its turn to its confirmations, in a thread of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from steelyard.errors import SteelyardError
from steelyard.nightly.alert_messages import alert_of
from steelyard.nightly.confirmations import Confirmations
from steelyard.nightly.device_judgement import judge_device_night
from steelyard.nightly.device_session import DeviceSession
from steelyard.nightly.errors import StoppedError, is_gone
from steelyard.nightly.histories import read_facts
from steelyard.nightly.recording import record_device
from steelyard.nightly.runs import RunningNight
from steelyard.suites.cells import Cell, NightDevice
from steelyard.suites.planning import CellCost

if TYPE_CHECKING:
    from steelyard.control.client import Client

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0


def run_device(
    running: RunningNight, device: NightDevice, *, cells: Mapping[str, Cell], costs: Mapping[Cell, CellCost]
) -> None:
    """Measure, record, judge and confirm one device.

    A controller that is restarted meanwhile is waited for: every step is noted, and the session goes on where it was.

    What goes wrong with this device alone (it was removed meanwhile, say) is its gap, and not the end of the night.

    Raises:
        StoppedError: the night was told to stop.
        SteelyardError: the controller did not come back in time.
    """
    gone_since: float | None = None
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            with running.connect() as client:
                client.controller()
                gone_since, pause_s = None, _FIRST_PAUSE_S
                _run_once(running, device, client, cells=cells, costs=costs)
                return
        except SteelyardError as error:  # noqa: PERF203  (one turn a loss of the controller)
            if not is_gone(error):
                _give_up(running, device, error, cells=cells, costs=costs)
                return
            now = running.clock.elapsed_s()
            gone_since = now if gone_since is None else gone_since
            if now - gone_since > running.options.gone_s:
                raise
            running.say(f"{device.name}: the controller is away; trying again")
            if running.clock.wait(running.stop, pause_s):
                raise StoppedError from error
            pause_s = min(_LONGEST_PAUSE_S, 2 * pause_s)


def _give_up(
    running: RunningNight,
    device: NightDevice,
    error: SteelyardError,
    *,
    cells: Mapping[str, Cell],
    costs: Mapping[Cell, CellCost],
) -> None:
    """Note why a device's session ended early, and record what it had measured by then.

    Raises:
        SteelyardError: the controller is gone.
    """
    running.say(f"{device.name}: given up: {error}")
    with running.connect() as client:
        session = DeviceSession(running, device, client, cells=cells, costs=costs)
        session.give_up(error.reason, str(error))
        try:
            record_device(client, running, device, session.notes, session.sentinels)
        except SteelyardError as again:
            if is_gone(again):
                raise
            # The same that ended the session, most likely: the night goes on without this device.
            running.say(f"{device.name}: not recorded: {again}")


def _run_once(
    running: RunningNight,
    device: NightDevice,
    client: Client,
    *,
    cells: Mapping[str, Cell],
    costs: Mapping[Cell, CellCost],
) -> None:
    session = DeviceSession(running, device, client, cells=cells, costs=costs)
    session.measure()
    record_device(client, running, device, session.notes, session.sentinels)
    facts = read_facts(client, running.suite.name, device_id=device.device_id, up_to_night=running.night.night_number)
    environments = client.nightly.series.environments([one for each in facts for one in each.environment_ids])
    alerts = [
        alert_of(one)
        for one in client.nightly.alerts.find(running.suite.name, device_id=device.device_id, open_only=True)
    ]
    judgement = judge_device_night(
        device.device_id,
        facts,
        running.suite.metrics,
        night=running.night.night_number,
        environments=environments,
        alerts=alerts,
    )
    confirmations = Confirmations(running, device, client, costs=costs, used_s=session.used_s)
    confirmations.run(judgement, environments)
    if judgement.verdict.holds_back and running.suite.night.quarantine_drifted:
        client.fleet.quarantine(device.device_id, judgement.verdict.reason)
    session.done()

"""A night from its beginning to its report."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from steelyard.errors import SteelyardError
from steelyard.nightly.alert_messages import alert_message
from steelyard.nightly.clock import Clock, SystemClock
from steelyard.nightly.device_night import run_device
from steelyard.nightly.errors import StoppedError, is_gone
from steelyard.nightly.finding_devices import find_devices
from steelyard.nightly.night_building import BuiltNight, build_night
from steelyard.nightly.night_facts import NightFacts, read_night
from steelyard.nightly.night_planning import learnt_costs, note_plans
from steelyard.nightly.notes import ENDED_ALERTS, EndedAlertsNote, Journal
from steelyard.nightly.preparing import prepare_models
from steelyard.nightly.report_json import to_json
from steelyard.nightly.runner import is_dead, runner_name
from steelyard.nightly.runs import JudgePair, NightOptions, RunningNight
from steelyard.nightly.sentinel_model import sentinel_path
from steelyard.suites.cells import Cell, NightDevice, UnmetDevice, cells_of
from steelyard.suites.effective import suite_digest, suite_toml
from steelyard.suites.planning import CellCost
from steelyard_protocol.v1 import nightly_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from steelyard.control.client import Client
    from steelyard.nightly.night_report import NightReport
    from steelyard.suites.suite import Suite

_STOP_LOOK_S = 0.5
# Somebody may acknowledge an alert just then.
_TELLINGS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedNight:
    """A night that is over, with its document."""

    night: nightly_pb2.Night
    built: BuiltNight
    facts: NightFacts
    was_resumed: bool


def run_night(
    suite: Suite,
    connect: Callable[[], Client],
    *,
    options: NightOptions | None = None,
    clock: Clock | None = None,
    stop: threading.Event | None = None,
    say: Callable[[str], None] = lambda _text: None,
    on_begin: Callable[[nightly_pb2.Night, bool], None] = lambda _night, _resumed: None,
    on_told: Callable[[Client, NightReport], None] = lambda _client, _report: None,
    judge_pair: JudgePair | None = None,
) -> EndedNight:
    """Run a suite's next night, or go on with the one that was interrupted, and keep its document.

    Args:
        suite: What to measure.
        connect: Returns a client of the controller, a new one each time.
        options: Of this run.
        clock: The machine's when left out.
        stop: Ends the night where it is; what is finished is kept.
        say: Is told what happens, from several threads.
        on_begin: Is called once the night is ours, with whether it was begun before.
        on_told: Is called with its document just before the night ends; the same again after an interruption then.
        judge_pair: Judges jobs of two variants; by their recorded rounds when left out.

    Raises:
        StoppedError: ``stop`` was set.
        SteelyardError: the controller refuses, or is gone for good.
    """
    options = options or NightOptions()
    options = options if options.runner else replace(options, runner=runner_name())
    clock, stop = clock or SystemClock(), stop or threading.Event()
    with connect() as client:
        # A device that the suite does not name is refused before there is a night.
        find_devices(client, suite, options)
        begun = _begin(client, suite, options, clock, stop, say)
        options = replace(options, runner=begun.night.runner)
        on_begin(begun.night, begun.resumed)
        began_s = clock.elapsed_s()
        running = RunningNight(
            suite=suite,
            night=begun.night,
            previous=begun.previous if begun.HasField("previous") else None,
            options=options,
            connect=connect,
            stop=stop,
            began_s=began_s,
            ends_at_s=began_s + (suite.night.window_s if options.window_s is None else options.window_s),
            clock=clock,
            say=say,
            judge_pair=judge_pair,
        )
        with _held(running):
            return _run(client, running, on_told, was_resumed=begun.resumed)


def _run(
    client: Client, running: RunningNight, on_told: Callable[[Client, NightReport], None], *, was_resumed: bool
) -> EndedNight:
    suite = running.suite
    devices, unmet = find_devices(client, suite, running.options)
    sentinel = sentinel_path(suite)
    running = replace(
        running,
        models=prepare_models(
            client,
            suite,
            Journal(client.nightly, running.night.night_id),
            stop=running.stop,
            say=running.say,
        ),
        sentinel=None if sentinel is None else client.add_model(sentinel, name="sentinel"),
        agents={one.description.device_id: one.agent_version for one in client.devices()},
    )
    cells = [*cells_of(suite, devices), *_cells_of_unmet(suite, unmet)]
    costs = learnt_costs(client, suite, cells, running.previous)
    note_plans(client, running, devices, costs)
    _run_devices(running, devices, {cell.key: cell for cell in cells}, costs)
    facts, built = _told(
        client, running, lambda: read_night(client, running, devices=devices, unmet=unmet, cells=cells)
    )
    on_told(client, built.report)
    night = client.nightly.end(
        running.night.night_id,
        verdict=built.report.verdict.value,
        exit_code=built.report.exit_code,
        report=to_json(built.report).encode(),
        ended_at=facts.now,
    )
    return EndedNight(night=night, built=built, facts=facts, was_resumed=was_resumed)


def _told(client: Client, running: RunningNight, read: Callable[[], NightFacts]) -> tuple[NightFacts, BuiltNight]:
    """Build the night's document and keep its alerts; where somebody changed one meanwhile, it is told again."""
    journal, when = Journal(client.nightly, running.night.night_id), _Calendar(client, running.suite.name).when
    for left in reversed(range(_TELLINGS)):
        facts = read()
        built = build_night(facts, when=when)
        ended = EndedAlertsNote(alert_ids=tuple(one.alert_id for one in built.alerts if not one.is_open))
        journal.put(ENDED_ALERTS, "all", ended)
        try:
            client.nightly.alerts.put(running.night.night_id, [alert_message(one) for one in built.alerts])
        except SteelyardError as error:
            if error.reason != "alert_changed" or not left:
                raise
        else:
            return facts, built
    raise AssertionError("the last telling returns or raises")


def _cells_of_unmet(suite: Suite, unmet: Sequence[UnmetDevice]) -> tuple[Cell, ...]:
    slots = {slot.name: slot for slot in suite.devices}
    nobody = [
        NightDevice(device_id="", name=one.name, budget_s=suite.budget_s, slots=(slots[one.name],)) for one in unmet
    ]
    return cells_of(suite, nobody)


def _run_devices(
    running: RunningNight, devices: Sequence[NightDevice], cells: Mapping[str, Cell], costs: Mapping[Cell, CellCost]
) -> None:
    """Run every device in a thread of its own; the first failure, or the wish to stop, ends all."""
    if not devices:
        return
    with ThreadPoolExecutor(
        max_workers=min(len(devices), running.options.most_devices_at_once), thread_name_prefix="device"
    ) as pool:
        futures = [pool.submit(run_device, running, device, cells=cells, costs=costs) for device in devices]
        try:
            _wait_for(futures)
        except BaseException:
            running.stop.set()
            for one in futures:
                one.cancel()
            raise


def _wait_for(futures: Sequence[Future[None]]) -> None:
    pending = set(futures)
    while pending:
        # In steps: a signal is heard between them.
        done, pending = wait(pending, timeout=_STOP_LOOK_S, return_when=FIRST_EXCEPTION)
        for one in done:
            one.result()


# -- whose night it is ------------------------------------------------------------------------------------------


def _begin(
    client: Client,
    suite: Suite,
    options: NightOptions,
    clock: Clock,
    stop: threading.Event,
    say: Callable[[str], None],
) -> nightly_pb2.BeginNightResponse:
    """Begin the night, once nobody else runs one of the suite."""
    runner, was_said = options.runner, False
    while True:
        try:
            return client.nightly.begin(
                suite.name,
                suite_digest=suite_digest(suite),
                suite_text=suite_toml(suite),
                started_at=clock.now(),
                runner=runner,
                hold_s=options.hold_s,
            )
        except SteelyardError as error:
            if error.reason != "night_running":
                raise
            if not was_said:
                say(f"waiting: {error}")
                was_said = True
        holder = _holder(client, suite.name)
        if is_dead(holder):
            # A run of this machine that was killed: its night is ours at once, under its name.
            runner = holder
        elif clock.wait(stop, min(options.look_s, options.hold_s)):
            raise StoppedError


def _holder(client: Client, suite_name: str) -> str:
    """Return who holds the suite's night, "" for nobody."""
    return next((one.running.runner for one in client.nightly.latest(suite_name).suites), "")


@contextmanager
def _held(running: RunningNight) -> Iterator[None]:
    """Say again and again that the night is being run, and let go of it at the end."""
    over = threading.Event()

    def renew() -> None:
        while not over.wait(running.options.hold_s / 4):
            _renew(running, running.options.hold_s)

    keeper = threading.Thread(target=renew, name="night", daemon=True)
    keeper.start()
    try:
        yield
    except BaseException:
        over.set()
        keeper.join()
        # Another run may go on with it at once.
        _renew(running, 0.001)
        raise
    finally:
        over.set()
        keeper.join()


def _renew(running: RunningNight, hold_s: float) -> None:
    """Renew the hold; a controller that is away will hear of it the next time."""
    try:
        with running.connect() as client:
            client.nightly.renew(running.night.night_id, running.options.runner, hold_s)
    except SteelyardError as error:
        if not is_gone(error) and hold_s >= 1.0:
            running.say(f"the night could not be held: {error}")
            running.stop.set()


# -- small things -----------------------------------------------------------------------------------------------


class _Calendar:
    """When the nights of a suite began, asked for once each."""

    def __init__(self, client: Client, suite_name: str) -> None:
        self._client = client
        self._suite_name = suite_name
        self._known: dict[int, str] = {}

    def when(self, number: int) -> str:
        """Return the time at which a night began, "" where it is not known."""
        if number not in self._known:
            try:
                self._known[number] = self._client.nightly.night_of(self._suite_name, number).started_at.ToJsonString()
            except SteelyardError as error:
                if is_gone(error):
                    raise
                self._known[number] = ""
        return self._known[number]

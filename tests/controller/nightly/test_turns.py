"""Two nights at once: of one suite the second waits for the first, on one device their sessions do not mix."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from steelyard.nightly.notes import SessionNote, SessionState
from steelyard.nightly.runner import is_dead, runner_name
from steelyard.nightly.runs import NightOptions
from steelyard.nightly.turns import _is_ahead
from tests.controller.nightly.conftest import Shelf
from tests.support.simulated_fleet import SimulatedClock


def session(state: SessionState, at: str) -> SessionNote:
    return SessionNote(state=state, device="pi5", claimed_at=at)


def test_who_measures_comes_before_who_waits_and_who_asked_first_before_who_asked_later() -> None:
    early, late = "2026-11-28T02:00:00Z", "2026-11-28T02:00:01Z"
    running, waiting = SessionState.RUNNING, SessionState.WAITING
    assert _is_ahead(session(running, late), "b", session(waiting, early), "a")
    assert not _is_ahead(session(waiting, early), "b", session(running, late), "a")
    assert _is_ahead(session(waiting, early), "b", session(waiting, late), "a")
    assert not _is_ahead(session(waiting, late), "b", session(waiting, early), "a")
    assert not _is_ahead(session(SessionState.DONE, early), "b", session(waiting, late), "a")


def test_sessions_of_two_suites_on_one_device_follow_each_other(shelf: Shelf) -> None:
    other = Shelf(
        suite=replace(shelf.suite, name=f"{shelf.suite.name}-b"),
        fleet=shelf.fleet,
        folder=shelf.folder,
        clock=SimulatedClock(),
    )
    both_began = threading.Barrier(2, timeout=60.0)
    # The window holds more looks than the other session takes.
    options = NightOptions(hold_s=60.0, look_s=0.05)
    with ThreadPoolExecutor() as pool:
        nights = [
            pool.submit(one.night, options=options, on_begin=lambda _night, _resumed: both_began.wait() and None)
            for one in (shelf, other)
        ]
        reports = [one.result(timeout=120) for one in nights]
    assert [one.sentence for one in reports] == ["Nothing got worse; 1 of 1 cells were measured."] * 2
    mine = [other.suite.name in title for title in shelf.fleet.submitted()]
    assert len(mine) == 6
    # Each suite's three jobs (sentinel, cell, sentinel) stand together.
    assert mine in ([False] * 3 + [True] * 3, [True] * 3 + [False] * 3)


def test_a_second_run_of_a_suite_waits_for_the_first_and_is_a_night_of_its_own(shelf: Shelf) -> None:
    began = threading.Event()
    second_waits = threading.Event()

    def hold_the_first(_device: str, _title: str) -> None:
        began.set()
        assert second_waits.wait(60.0)

    shelf.fleet.before_job = hold_the_first
    second = Shelf(suite=shelf.suite, fleet=shelf.fleet, folder=shelf.folder, clock=SimulatedClock())
    with ThreadPoolExecutor() as pool:
        one = pool.submit(shelf.night)
        assert began.wait(60.0)

        def stand_still_while_the_first_one_measures(_elapsed_s: float) -> None:
            second_waits.set()
            assert one.exception(timeout=60.0) is None

        second.clock.on_wait = stand_still_while_the_first_one_measures
        two = pool.submit(second.night)
        assert one.result(timeout=120).header.night_number == 1
        assert two.result(timeout=120).header.night_number == 2
    assert any(text.startswith("waiting: ") for text in second.said)


def test_a_runner_of_this_machine_that_is_gone_is_known_to_be_dead() -> None:
    mine = runner_name()
    assert not is_dead(mine)
    gone = subprocess.run(
        [sys.executable, "-c", "from steelyard.nightly.runner import runner_name; print(runner_name())"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    ).stdout.strip()
    assert is_dead(gone) == Path("/proc/self/ns/pid").is_symlink()
    assert not is_dead(gone.replace(gone.rsplit(" ", 1)[-1], "elsewhere-1"))
    assert not is_dead("")
    assert str(os.getpid()) in mine

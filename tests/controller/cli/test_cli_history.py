"""`steelyard history` against a controller that holds nights."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from steelyard.control.client import Client
from tests.controller.cli.running import run_command
from tests.controller.store.messages import digest_of
from tests.controller.store.night_messages import point

SUITE = "history-of-tests"
FIRST = datetime(2026, 11, 1, 2, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def nights(client: Client) -> int:
    """Record nights of two series, with a gap, a step of 10 % and a change of the runtime."""
    for night in range(1, 17):
        begun = client.nightly.begin(
            SUITE, suite_digest=digest_of(SUITE), suite_text="", started_at=FIRST + timedelta(days=night - 1)
        )
        night_id = begun.night.night_id
        value = (20.0 + night % 3 * 0.01) * (1.1 if night > 8 else 1.0)
        p50 = point(gap_reason="offline") if night == 4 else point(value, low=value - 0.1, high=value + 0.1)
        p50.environment_index = 1
        environment = {"runtime": "onnxruntime 1.20.0" if night > 8 else "onnxruntime 1.19.2"}
        client.nightly.series.record(night_id, [p50, point(metric="placement", text="cpu:12")], [environment])
        client.nightly.abandon(night_id, "it only recorded")
    return 16


@pytest.fixture
def ask(nights: int, state: Path) -> tuple[str, ...]:
    return "--state-directory", str(state), "history", "--suite", SUITE


def test_one_series_is_plotted_with_its_gap_and_its_change(ask: tuple[str, ...]) -> None:
    ran = run_command(*ask, "--metric", "p50")
    assert ran.code == 0, ran.err
    assert "p50 of mobilenet on d1e2f3a4 (onnxruntime), suite history-of-tests" in ran.out
    assert "nights 1 to 16 (2026-11-01 to 2026-11-16)" in ran.out
    assert "a night 9  runtime onnxruntime 1.19.2 -> onnxruntime 1.20.0" in ran.out
    assert "a night 9  another level from here on: +10.0 %" in ran.out
    assert "4: offline" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80


def test_only_the_last_nights_are_shown_where_asked(ask: tuple[str, ...]) -> None:
    assert "nights 14 to 16" in run_command(*ask, "--metric", "p50", "--last", "3").out


def test_several_series_are_a_line_each(ask: tuple[str, ...]) -> None:
    ran = run_command(*ask, "--model", "mobile*")
    assert [line for line in ran.out.splitlines() if not line.startswith(" ")] == [
        "p50 of mobilenet on d1e2f3a4 (onnxruntime)",
        "placement of mobilenet on d1e2f3a4 (onnxruntime)",
    ]


def test_json_holds_nights_changes_and_environments(ask: tuple[str, ...]) -> None:
    told = run_command(*ask, "--metric", "p50", "--json").document
    (series,) = told["series"]
    assert (told["kind"], series["metric"], len(series["nights"])) == ("history", "p50", 16)
    assert (series["nights"][3]["gap_reason"], series["nights"][3]["value"]) == ("offline", None)
    assert [one["kind"] for one in series["changes"]] == ["environment", "level"]
    last = told["environments"][str(series["nights"][-1]["environment_id"])]
    assert last == {"runtime": "onnxruntime 1.20.0"}


def test_a_picture_is_written_where_it_was_told_to(ask: tuple[str, ...], tmp_path: Path) -> None:
    ran = run_command(*ask, "--svg", str(tmp_path / "a" / "p50.svg"))
    assert (ran.code, ran.out.strip()) == (0, str(tmp_path / "a" / "p50.svg"))
    assert (tmp_path / "a" / "p50.svg").read_text(encoding="utf-8").startswith("<svg ")


def test_a_series_that_is_not_there_is_a_wrong_name(ask: tuple[str, ...]) -> None:
    ran = run_command(*ask, "--model", "mobilenett")
    assert ran.code == 2
    assert "no series has the model 'mobilenett'; did you mean 'mobilenet'?" in ran.err

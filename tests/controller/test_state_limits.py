"""Durations and limits as they are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard.durations import parse_duration
from steelyard.errors import UsageError
from steelyard.settings import load_settings
from steelyard.state_limits import StateLimits


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90.0), ("250ms", 0.25), ("10m", 600.0), (" 1.5h ", 5400.0), ("2d", 172_800.0)]
)
def test_a_duration_is_read_in_every_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1s", "1w", "0", "20000h", "1 h"])
def test_what_is_no_duration_is_refused_with_its_value(text: str) -> None:
    with pytest.raises(ValueError, match=text.strip() or "''"):
        parse_duration(text)


def test_zero_is_taken_where_it_may_be() -> None:
    assert parse_duration("0s", may_be_zero=True) == 0.0


def limits_of(tmp_path: Path, text: str) -> StateLimits:
    environ = {"STEELYARD_STATE_LIMITS": text}
    return load_settings({}, environ=environ, cwd=tmp_path, user_file=tmp_path / "none.toml").state_limits


def test_limits_that_are_not_said_keep_their_defaults(tmp_path: Path) -> None:
    limits = limits_of(tmp_path, "queued=2h, staging=10m")
    assert limits == StateLimits(queued_s=7200.0, staging_s=600.0)


@pytest.mark.parametrize("text", ["queued", "asleep=2h", "queued=soon", "queued=0s"])
def test_a_limit_that_makes_no_sense_is_refused_with_where_it_was_said(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="STEELYARD_STATE_LIMITS") as caught:
        limits_of(tmp_path, text)
    assert caught.value.reason == "invalid_state_limit"


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="gating_s"):
        StateLimits(gating_s=0.0)

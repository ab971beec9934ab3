"""The flags of the gate, from words to options."""

from __future__ import annotations

from typing import Any

import click
import pytest
from click.testing import CliRunner

from steelyard.cli.gate_flags import GATE_FLAGS, gate_options
from steelyard.control.gate_plan import GateOptions
from steelyard.errors import UsageError


def read(*words: str) -> GateOptions:
    """Return the options that a command with these flags gets."""
    found: list[GateOptions] = []

    def keep(**flags: Any) -> None:
        found.append(gate_options(flags))

    command = click.command()(keep)
    for flag in reversed(GATE_FLAGS):
        command = flag(command)
    result = CliRunner().invoke(command, words, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return found[0]


def test_without_a_flag_the_gate_is_that_of_the_controller() -> None:
    assert read() == GateOptions()


def test_every_flag_says_something() -> None:
    words = "--gate-wait 90s --max-temperature 60 --max-other-load 0.5 --governor performance --min-charge 30%"
    assert read(*words.split(), "--max-contention", "2.5%") == GateOptions(
        wait_s=90.0,
        max_temperature_c=60.0,
        max_other_load=0.5,
        governor="performance",
        min_charge=0.3,
        max_contention=0.025,
    )
    assert read("--no-gate", "--max-contention", "100") == GateOptions(wanted=False, max_contention=1.0)


@pytest.mark.parametrize("text", ["101%", "-1", "half", "", "1e2", "30 percent", "nan"])
def test_what_is_no_percentage_is_refused_with_the_value(text: str) -> None:
    with pytest.raises(click.UsageError, match="is not a percentage from 0 to 100"):
        read("--min-charge", text)


def test_a_condition_of_a_gate_that_is_not_wanted_is_refused() -> None:
    with pytest.raises(UsageError, match="--max-temperature is a condition of the gate"):
        read("--no-gate", "--max-temperature", "60")

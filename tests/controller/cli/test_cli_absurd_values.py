"""Numbers and texts that no message can hold: refused as usage, never a crash report."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from steelyard.errors import EXIT_BUG
from tests.controller.cli.running import run_command


@pytest.mark.parametrize(
    "flags",
    [
        ("--shape", "image=99999999999999999999x1x12x12"),
        ("--budget", "0"),
        ("--budget", "99999999999999999h"),
        ("--budget", "9" * 80 + "h"),
        ("--device-wait", "99999999999999999h"),
        ("--sample-window", "9999999999h"),
        ("--block-timeout", "0"),
        ("--memory-limit", "99999999999999999999999999"),
        ("--cores", "99999999999999999999"),
        ("--cores", "3-1"),
        ("--cores", "0-65535"),
        ("--cores", "medium"),
        ("--cores", "1,,2"),
        ("--seed", "99999999999999999999999"),
        ("--title", os.fsdecode(b"bad\xff")),
    ],
    ids=" ".join,
)
def test_an_absurd_value_is_refused_in_one_line_that_names_it(
    flags: tuple[str, str],
) -> None:
    line = run_command("measure", "model.onnx", *flags).is_refused()
    value = repr(flags[1])[1:-1].partition("=")[2] or repr(flags[1])[1:-1]
    assert value.partition("x")[0][:80] in line


def test_a_crash_report_that_no_disk_takes_is_written_out_and_still_no_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(**_: object) -> None:
        raise ZeroDivisionError("planted")

    def full(_path: Path, *_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("steelyard.cli.main.cli.main", broken)
    monkeypatch.setattr(Path, "write_text", full)
    ran = run_command("device", "list")
    assert ran.code == EXIT_BUG
    assert "planted" in ran.err

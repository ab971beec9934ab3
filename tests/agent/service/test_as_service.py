"""The doctor as the service sees it, with programs of ours for systemctl, systemd-run and runuser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from steelyard_agent.cli import main
from steelyard_agent.errors import AgentError, UsageError
from steelyard_agent.service.as_service import doctor_as_service, read_unit

UNIT_TEXT = """\
# /etc/systemd/system/steelyard-agent.service
[Unit]
Description=x
[Service]
Type=notify
ExecStart=/opt/x run
User=steelyard
SupplementaryGroups=video
CapabilityBoundingSet=
; a comment = not a setting
[Install]
WantedBy=multi-user.target
# /etc/systemd/system/steelyard-agent.service.d/override.conf
[Service]
ProtectSystem=full
"""


def programs(folder: Path, *names: str) -> Callable[[str], str | None]:
    """Write programs that note their arguments; systemctl prints the unit."""
    (folder / "unit").write_text(UNIT_TEXT)
    for name in names:
        text = (
            f'cat "{folder}/unit"' if name == "systemctl" else f'printf "%s\\n" "$@" > "{folder}/{name}.words"; exit 3'
        )
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return lambda name: str(folder / name) if name in names else None


def test_the_sandbox_is_the_units_with_its_drop_ins_and_without_how_it_starts() -> None:
    unit = read_unit(UNIT_TEXT)
    assert unit.user == "steelyard"
    assert unit.sandbox() == (
        "User=steelyard",
        "SupplementaryGroups=video",
        "CapabilityBoundingSet=",
        "ProtectSystem=full",
    )


def test_systemd_run_is_given_the_units_settings(tmp_path: Path) -> None:
    way, status = doctor_as_service(
        ("/bin/x", "doctor"), is_root=True, find=programs(tmp_path, "systemctl", "systemd-run", "runuser")
    )
    words = (tmp_path / "systemd-run.words").read_text().splitlines()
    assert "--property=ProtectSystem=full" in words
    assert not any("ExecStart" in word or "Type=notify" in word for word in words)
    assert words[-3:] == ["--", "/bin/x", "doctor"]
    assert status == 3
    assert way.startswith("by systemd-run")


def test_without_systemd_run_the_user_alone_is_taken_and_that_is_said(tmp_path: Path) -> None:
    way, _ = doctor_as_service(("/bin/x",), is_root=True, find=programs(tmp_path, "systemctl", "runuser"))
    assert (tmp_path / "runuser.words").read_text().splitlines() == ["-u", "steelyard", "--", "/bin/x"]
    assert "not shown" in way


def test_without_a_unit_or_without_root_a_sentence_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="steelyard deploy") as missing:
        doctor_as_service(("/bin/x",), is_root=True, find=lambda _: None)
    assert missing.value.reason == "no_service"
    with pytest.raises(UsageError, match="sudo"):
        doctor_as_service(("/bin/x",), is_root=False, find=programs(tmp_path, "systemctl"))


def test_the_service_view_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--as-service", "--fix"]) == 2
    assert "only looks" in capsys.readouterr().err

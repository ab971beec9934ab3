"""Units, read as systemd reads them; judged by systemd-analyze where it is installed."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from steelyard.deploy.layout import system_layout, user_layout
from steelyard.deploy.unit import HARDENING, agent_command, agent_unit, tunnel_unit

ANALYZE = shutil.which("systemd-analyze")


def system_unit(name: str = "pi5") -> str:
    layout = system_layout()
    command = agent_command(layout, name=name, controller="")
    return agent_unit(layout, command=command, user="steelyard", groups=("video",), has_default_state=True)


def service_of(text: str) -> dict[str, str]:
    parser = configparser.RawConfigParser(strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return dict(parser["Service"])


def test_the_service_is_watched_restarted_and_its_own_user() -> None:
    service = service_of(system_unit())
    expected = {
        "Type": "notify",
        "WatchdogSec": "120",
        "Restart": "on-failure",
        "User": "steelyard",
        "StateDirectory": "steelyard-agent",
        "OOMPolicy": "continue",
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "PrivateTmp": "yes",
    }
    assert expected.items() <= service.items()


@pytest.mark.parametrize(
    "closing",
    ["PrivateDevices", "ProtectClock", "DeviceAllow", "DevicePolicy", "MemoryDenyWriteExecute", "ProtectProc"],
)
def test_nothing_closes_what_a_meter_or_a_runtime_needs(closing: str) -> None:
    assert closing not in service_of(system_unit())


def test_no_path_that_a_meter_reads_is_hidden() -> None:
    hidden = {
        "InaccessiblePaths",
        "TemporaryFileSystem",
        "ProcSubset",
        "RootDirectory",
        "PrivateNetwork",
        "PrivateUsers",
    }
    assert not hidden & {name for name, _ in HARDENING}
    # The one setting that hides folders makes homes read-only instead.
    assert dict(HARDENING)["ProtectHome"] == "read-only"


def test_percent_and_dollar_in_a_name_reach_the_agent_as_they_are() -> None:
    assert '"50%% of $$a b"' in service_of(system_unit("50% of $a b"))["ExecStart"]


def test_a_line_break_never_gets_into_a_unit() -> None:
    with pytest.raises(ValueError, match="unit"):
        system_unit("a\nExecStartPre=/bin/x")


def test_a_state_elsewhere_is_named_as_writable() -> None:
    layout = system_layout("/image")
    text = agent_unit(layout, command=("/x",), user="steelyard", has_default_state=False)
    assert service_of(text)["ReadWritePaths"] == "/image/var/lib/steelyard-agent"


@pytest.mark.skipif(ANALYZE is None, reason="no systemd-analyze here: install systemd")
def test_systemd_finds_no_fault_with_the_units(tmp_path: Path) -> None:
    assert ANALYZE is not None
    layout = user_layout("/home/pi", has_systemd=True)
    user_text = agent_unit(
        layout, command=agent_command(layout, name="x", controller=""), user="", has_default_state=True
    )
    texts = {
        "system": system_unit().replace("/opt/steelyard/current/bin/python", "/bin/true"),
        "user": user_text.replace(f"{layout.current}/bin/python", "/bin/true"),
        "tunnel": tunnel_unit(command=("/bin/true", "-N"), device="ssh://pi@board"),
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.service").write_text(text)
        done = subprocess.run(
            [ANALYZE, "verify", "--man=no", f"{tmp_path / name}.service"], capture_output=True, text=True
        )
        complaints = [line for line in done.stderr.splitlines() if f"{name}.service" in line]
        assert complaints == [], done.stderr


@pytest.mark.skipif(ANALYZE is None, reason="no systemd-analyze here: install systemd")
def test_the_exposure_that_systemd_computes_stays_low(tmp_path: Path) -> None:
    assert ANALYZE is not None
    path = tmp_path / "steelyard-agent.service"
    path.write_text(system_unit())
    done = subprocess.run(
        [ANALYZE, "security", "--offline=yes", "--no-pager", str(path)], capture_output=True, text=True
    )
    found = re.search(r"Overall exposure level.*?: ([0-9.]+)", done.stdout)
    if found is None:
        pytest.skip(f"this systemd-analyze cannot judge a file: {done.stderr.strip()[:100]}")
    # A service without any hardening has 9.2 to 9.6.
    assert float(found[1]) < 4.0

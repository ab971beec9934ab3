"""`steelyard deploy` and `undeploy` as typed: a device enrolls, dials back with its certificate, and is removed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from steelyard.cli.main import cli
from steelyard.control.connect import connect
from steelyard.errors import UsageError
from steelyard.settings import Settings
from tests.loopback.test_deploy import LOGIN, NAME, Device, device, more_wheels  # noqa: F401  (fixtures)
from tests.support.sshd import sshd_program

pytestmark = pytest.mark.skipif(
    (sshd_program() is None or sys.platform != "linux") and not os.environ.get("CI"),
    reason="no sshd here (in CI this is a failure): install openssh-server and openssh-client",
)


def run(settings: Settings, *words: str) -> Result:
    return CliRunner().invoke(
        cli, ["--state-directory", str(settings.state_directory), *words], catch_exceptions=False, standalone_mode=False
    )


def test_a_device_is_enrolled_by_deploy_and_forgotten_by_undeploy(
    device: Device,  # noqa: F811
    more_wheels: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    settings = Settings(state_directory=tmp_path / "state", agent_listen="127.0.0.1:0", secure_listen="127.0.0.1:0")
    before, target = device.files(), str(device.remote.target)
    reach = [part for option in device.remote.options for part in ("--ssh-option", option)]
    place = ["--root", str(device.root), *reach]
    wished = ["--name", NAME, "--runtime", "none", "--service-user", LOGIN, "--wheels", str(more_wheels), *place]

    with connect(settings=settings) as client:
        plan = run(settings, "deploy", target, *wished, "--dry-run")
        assert "enroll it as 'far-board' with a one-time code" in plan.stdout
        assert "nothing was changed" in plan.stderr
        # Without a terminal and without --yes the answer is no.
        assert "nothing was changed" in run(settings, "deploy", target, *wished).stderr
        assert device.files() == before

        done = run(settings, "deploy", target, *wished, "--yes")
        assert "has dialled back" in done.stdout
        found = client.device(NAME)
        assert found.online
        assert found.standing == "enrolled"

        # Without the name that it was given; another device may have the board's own.
        nameless = [word for word in wished if word not in {"--name", NAME}]
        again = run(settings, "deploy", target, *nameless, "--yes")
        assert f"{NAME} runs" in again.stdout
        assert "it is there already" in again.stdout
        assert "keeps that name" in again.stderr
        client.identity.suspend_device(NAME)
        with pytest.raises(UsageError, match="steelyard device resume far-board"):
            run(settings, "deploy", target, *wished, "--yes")
        # A removed one that is brought again enrolls again.
        client.identity.remove_device(NAME)
        assert "has dialled back" in run(settings, "deploy", target, *wished, "--yes").stdout
        assert client.device(NAME).standing == "enrolled"

        assert "removed" in run(settings, "undeploy", target, *place, "--yes").stdout
        assert device.files() == before
        nothing = run(settings, "undeploy", target, *place, "--yes").stdout
        assert "no agent of ours; one that was brought with --user is removed with --user" in nothing


def test_a_controller_that_listens_to_nobody_says_so_before_anything_is_copied(
    device: Device,  # noqa: F811
    more_wheels: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    settings = Settings(state_directory=tmp_path / "state", agent_listen="127.0.0.1:0")
    before, target = device.files(), str(device.remote.target)
    reach = [part for option in device.remote.options for part in ("--ssh-option", option)]
    place = ["--root", str(device.root), "--service-user", LOGIN, "--wheels", str(more_wheels), *reach]
    with connect(settings=settings), pytest.raises(UsageError, match="--secure-listen"):
        run(settings, "deploy", target, "--runtime", "none", *place, "--yes")
    assert device.files() == before

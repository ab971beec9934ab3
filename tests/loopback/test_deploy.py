"""An agent brought onto a "device" by a real sshd: into an empty root, offline; upgraded, rolled back, removed."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from steelyard.control.client import Client
from steelyard.deploy.agent_wheel import AgentWheel, named_wheel, pack_agent_wheel
from steelyard.deploy.deployment import Deployment, Errand
from steelyard.deploy.errors import DeployError
from steelyard.deploy.layout import ServiceKind
from steelyard.deploy.plan import Plan, Wishes, make_plan
from steelyard.deploy.probe import DeviceFacts, probe
from steelyard.deploy.remote import Remote
from steelyard.deploy.target import SshTarget
from steelyard.errors import NotFoundError
from tests.support import fake_systemctl
from tests.support.processes import wait_until
from tests.support.sshd import SshServer, running_sshd, sshd_program
from tests.support.wheels_here import NEEDED, changed_wheel, pack_empty, pack_installed

NAME = "far-board"
LOGIN = pwd.getpwuid(os.getuid()).pw_name
UNIT = "steelyard-agent.service"
WANTING_METADATA = "Metadata-Version: 2.1\nName: steelyard\nVersion: 0.1.0\nRequires-Dist: no-such-thing\n"

pytestmark = pytest.mark.skipif(
    (sshd_program() is None or sys.platform != "linux") and not os.environ.get("CI"),
    reason="no sshd here (in CI this is a failure): install openssh-server and openssh-client",
)


@dataclass(frozen=True, kw_only=True)
class Device:
    """A root folder, what stands for systemd, and the way to it."""

    root: Path
    home: Path
    systemd: Path
    scratch: Path
    remote: Remote

    def files(self) -> list[str]:
        return sorted(str(path) for folder in (self.root, self.home) for path in folder.rglob("*"))

    @property
    def running_label(self) -> str:
        return (self.root / "opt/steelyard/current").readlink().name

    @property
    def pid(self) -> int:
        return int((self.systemd / f"{UNIT}.pid").read_text())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> AgentWheel:
    return pack_agent_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def more_wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("more-wheels")
    for name in (*NEEDED, "pip"):
        pack_installed(name, folder)
    # The process that waits for work never imports it.
    pack_empty("numpy", "2.0.0", folder)
    return folder


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    folders = {name: tmp_path / name for name in ("ssh", "root", "home", "systemd", "scratch", "bin")}
    for folder in folders.values():
        folder.mkdir()
    # The device has files of its own, which stay.
    (folders["root"] / "etc").mkdir()
    (folders["root"] / "etc" / "hostname").write_text("far-board\n")
    write_programs(folders["bin"])
    environment = {
        "PATH": f"{folders['bin']}:/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": str(folders["home"]),
        "TMPDIR": str(folders["scratch"]),
        "FAKE_SYSTEMD": str(folders["systemd"]),
        "FAKE_UNITS": str(folders["root"] / "etc/systemd/system"),
        # The device has no internet.
        "PIP_NO_INDEX": "1",
        "PIP_CONFIG_FILE": "/dev/null",
        # Half of what an installation takes.
        "PIP_NO_COMPILE": "1",
    }
    with running_sshd(folders["ssh"], environment=environment) as server:
        remote = Remote(SshTarget(host="127.0.0.1", user=LOGIN, port=server.port), options=options_of(server))
        found = Device(remote=remote, **{name: folders[name] for name in ("root", "home", "systemd", "scratch")})
        yield found
        if (folders["systemd"] / f"{UNIT}.pid").exists():
            remote.run(f"systemctl stop {UNIT}")


def options_of(server: SshServer) -> tuple[str, ...]:
    return (f"UserKnownHostsFile={server.known_hosts}", f"IdentityFile={server.key}", "IdentitiesOnly=yes")


def write_programs(folder: Path) -> None:
    """Let the device have one Python, a systemctl of ours, and no way to become somebody else."""
    base = getattr(sys, "_base_executable", sys.executable)
    fake = Path(__file__).parents[1] / "support" / "fake_systemctl.py"
    mine = f"python3.{sys.version_info.minor}"
    texts = {f"python3.{minor}": "exit 1" for minor in range(10, 15)}
    texts |= {mine: f'exec "{base}" "$@"', "python3": f'exec "{base}" "$@"'}
    texts |= {"systemctl": f'exec "{sys.executable}" "{fake}" "$@"', "sudo": "exit 1", "udevadm": "exit 0"}
    for name, text in texts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)


def online(client: Client) -> bool:
    try:
        return client.device(NAME).online
    except NotFoundError:
        return False


def came_online(client: Client) -> bool:
    wait_until(lambda: online(client))
    return True


def no_code() -> str:
    raise AssertionError("a device behind a tunnel needs no join code")


@dataclass(frozen=True, kw_only=True)
class Bringing:
    """Deploys wheels to a device, for a controller."""

    device: Device
    facts: DeviceFacts
    client: Client
    more_wheels: Path

    def plan(self, wheel: AgentWheel) -> Plan:
        wishes = Wishes(
            name=NAME,
            runtime="none",
            service_user=LOGIN,
            root=str(self.device.root),
            controller=self.client.controller().agent_address,
        )
        return make_plan(self.facts, wishes, label=wheel.label, wheel_name=wheel.path.name)

    def bring(self, wheel: AgentWheel, dialled_back: Callable[[str], bool] | None = None) -> list[str]:
        said: list[str] = []
        errand = Errand(plan=self.plan(wheel), facts=self.facts, wheel=wheel, more_wheels=self.more_wheels)
        Deployment(self.device.remote, say=said.append).carry_out(
            errand, code=no_code, dialled_back=dialled_back or (lambda _id: came_online(self.client))
        )
        return said

    def remove(self, wheel: AgentWheel) -> bool:
        layout = self.plan(wheel).layout
        return Deployment(self.device.remote, say=print).remove(layout, user=LOGIN, as_root=False)


def variant(wheel: AgentWheel, folder: Path, name: str, text: str) -> AgentWheel:
    return named_wheel(changed_wheel(wheel.path, folder, {name: text}))


def reason_of(bringing: Bringing, wheel: AgentWheel, dialled_back: Callable[[str], bool] | None = None) -> str:
    with pytest.raises(DeployError) as refused:
        bringing.bring(wheel, dialled_back)
    return refused.value.reason


@pytest.fixture
def bringing(device: Device, client: Client, more_wheels: Path) -> Bringing:
    return Bringing(device=device, facts=as_on_debian(probe(device.remote)), client=client, more_wheels=more_wheels)


def as_on_debian(facts: DeviceFacts) -> DeviceFacts:
    """Without python3-venv a Debian has no pip for a venv; it saves time here, too."""
    return replace(facts, interpreters=tuple(replace(one, has_pip=False) for one in facts.interpreters))


def test_installed_upgraded_rolled_back_and_removed_without_a_trace(
    bringing: Bringing, wheel: AgentWheel, tmp_path: Path
) -> None:
    device, before = bringing.device, bringing.device.files()
    bringing.bring(wheel)
    assert device.running_label == wheel.label
    first_pid = device.pid

    wanting = variant(wheel, tmp_path / "wanting", f"steelyard-{wheel.version}.dist-info/METADATA", WANTING_METADATA)
    assert reason_of(bringing, wanting) == "device_step_failed"
    assert device.pid == first_pid
    assert device.running_label == wheel.label
    assert [path.name for path in (device.root / "opt/steelyard/versions").iterdir()] == [wheel.label]
    assert list(device.scratch.iterdir()) == []

    newer = variant(wheel, tmp_path / "newer", "steelyard_agent/state/__init__.py", '"""A newer version."""\n')
    bringing.bring(newer)
    assert device.running_label == newer.label != wheel.label
    assert device.pid != first_pid

    broken = variant(wheel, tmp_path / "broken", "steelyard_agent/cli/run.py", "raise SystemExit(9)\n")
    with pytest.raises(DeployError, match=r"did not start on far-board \(.+\); the version before it") as refused:
        bringing.bring(broken)
    assert refused.value.reason == "rolled_back"
    assert device.running_label == newer.label
    assert came_online(bringing.client)
    assert not (device.root / "opt/steelyard/versions" / broken.label).exists()

    assert bringing.remove(wheel)
    assert device.files() == before
    assert list(device.scratch.iterdir()) == []
    assert not (device.systemd / f"{UNIT}.pid").exists()
    assert not (device.systemd / f"{UNIT}.enabled").exists()
    assert not bringing.remove(wheel)


def test_a_version_that_does_not_dial_back_makes_way(bringing: Bringing, wheel: AgentWheel, tmp_path: Path) -> None:
    bringing.bring(wheel)
    newer = variant(wheel, tmp_path / "newer", "steelyard_agent/state/__init__.py", '"""A newer version."""\n')
    assert reason_of(bringing, newer, dialled_back=lambda _id: False) == "rolled_back"
    assert bringing.device.running_label == wheel.label
    assert came_online(bringing.client)


def test_without_root_and_systemd_the_agent_is_a_process_in_the_folders_of_the_login(
    bringing: Bringing, wheel: AgentWheel
) -> None:
    device, before = bringing.device, bringing.device.files()
    wishes = Wishes(name=NAME, runtime="none", as_user=True, controller=bringing.client.controller().agent_address)
    plan = make_plan(bringing.facts, wishes, label=wheel.label, wheel_name=wheel.path.name)
    assert plan.layout.kind is ServiceKind.PROCESS
    deployment = Deployment(device.remote, say=print)
    errand = Errand(plan=plan, facts=bringing.facts, wheel=wheel, more_wheels=bringing.more_wheels)
    try:
        deployment.carry_out(errand, code=no_code, dialled_back=lambda _id: came_online(bringing.client))
        pid = int((device.home / ".local/share/steelyard-agent/agent.pid").read_text())
        assert fake_systemctl.runs(pid)
    finally:
        deployment.remove(plan.layout, user=plan.user, as_root=False)
    assert not fake_systemctl.runs(pid)
    assert device.files() == before


def test_looking_changes_nothing(device: Device) -> None:
    before = device.files()
    facts = probe(device.remote)
    assert facts.has_systemd
    assert not facts.has_internet
    assert facts.interpreter is not None
    assert facts.interpreter.version == sys.version_info[:2]
    assert facts.machine == os.uname().machine
    assert device.files() == before
    assert list(device.scratch.iterdir()) == []


def test_the_device_says_which_addresses_it_reaches(bringing: Bringing, wheel: AgentWheel) -> None:
    there = bringing.client.controller().agent_address
    deployment = Deployment(bringing.device.remote, say=print)
    assert deployment.reachable(bringing.plan(wheel), ("127.0.0.1:1", there)) == (there,)


def test_a_device_that_is_not_there_is_a_sentence(device: Device) -> None:
    with pytest.raises(DeployError) as refused:
        Remote(SshTarget(host="127.0.0.1", user=LOGIN, port=1)).run("true")
    assert refused.value.reason == "unreachable"

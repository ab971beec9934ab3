"""`steelyard deploy` and `steelyard undeploy`."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import click

from steelyard.cli.session import connected, say
from steelyard.deploy.plan import RUNTIMES

if TYPE_CHECKING:
    from steelyard.control.client import Client
    from steelyard.deploy.agent_wheel import AgentWheel
    from steelyard.deploy.deployment import Deployment, Errand
    from steelyard.deploy.installed import Installed
    from steelyard.deploy.plan import Plan
    from steelyard.deploy.remote import Remote
    from steelyard_protocol.v1 import control_pb2

_DIAL_BACK_S = 120.0
_LOOK_EVERY_S = 1.0

_SSH_OPTION = click.option(
    "--ssh-option", "ssh_options", multiple=True, metavar="NAME=VALUE", help="An option of ssh (-o); again for more."
)
_ROOT = click.option(
    "--root", default="", metavar="DIR", help="A folder of the device to treat as its root (an image in the making)."
)
_USER = click.option("--user", "as_user", is_flag=True, help="Without root: in your own folders, run by you.")
_YES = click.option("--yes", is_flag=True, help="Do it without a question.")


@click.command()
@click.argument("target", metavar="ssh://[USER@]HOST[:PORT]")
@click.option("--name", default="", help="What the device is called. [default: its host name]")
@click.option(
    "--runtime", type=click.Choice(RUNTIMES), help="What runs models there. [default: onnxruntime on 64 bits]"
)
@click.option("--wheel", type=click.Path(path_type=Path), metavar="FILE", help="Install this wheel of steelyard.")
@click.option(
    "--wheels",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Take all that the wheel needs from here; nothing is fetched.",
)
@click.option("--service-user", default="steelyard", show_default=True, help="Whom the service runs as.")
@click.option(
    "--tunnel",
    "tunnel_port",
    type=click.IntRange(1024, 65_535),
    metavar="PORT",
    help="Reach this controller by an ssh tunnel from this port of the device, not over the network.",
)
@_USER
@_ROOT
@_SSH_OPTION
@click.option("--dry-run", is_flag=True, help="Look at the device and print the plan; nothing is changed.")
@_YES
@click.pass_context
def deploy(
    ctx: click.Context,
    target: str,
    name: str,
    runtime: str | None,
    wheel: Path | None,
    wheels: Path | None,
    service_user: str,
    tunnel_port: int | None,
    as_user: bool,
    root: str,
    ssh_options: tuple[str, ...],
    dry_run: bool,
    yes: bool,
) -> None:
    """Bring an agent onto a device by ssh, or upgrade the one that is there.

    The device is looked at, a plan is printed, and one question is asked. A version that does not start, or does not
    dial back, makes way for the one before it.

    \b
    Examples:
      steelyard deploy ssh://pi@raspberrypi --dry-run
      steelyard deploy ssh://pi@raspberrypi --name pi5 --yes
      steelyard deploy ssh://board --tunnel 7433
    """
    import tempfile

    from steelyard.deploy.deployment import Deployment, Errand
    from steelyard.deploy.plan import Wishes, make_plan
    from steelyard.deploy.probe import probe

    remote = _remote(target, ssh_options)
    wishes = Wishes(
        name=name,
        runtime=runtime or "",
        as_user=as_user,
        service_user=service_user,
        root=root,
        controller=f"127.0.0.1:{tunnel_port}" if tunnel_port else "",
    )
    with tempfile.TemporaryDirectory(prefix="steelyard-wheel-") as folder:
        packed = _wheel(wheel, Path(folder))
        say(f"looking at {remote.target}")
        facts = probe(remote)
        plan = make_plan(facts, wishes, label=packed.label, wheel_name=packed.path.name, has_wheels=wheels is not None)
        deployment = Deployment(remote, say=say)
        there = deployment.installed(plan)
        click.echo("\n".join(f"- {line}" for line in plan.lines(there)))
        if dry_run or not _agreed(yes):
            say("nothing was changed")
            return
        errand = Errand(plan=plan, facts=facts, wheel=packed, more_wheels=wheels)
        with connected(ctx) as client, _tunnel(client, remote, tunnel_port):
            _deploy(client, deployment, errand, there)


@click.command()
@click.argument("target", metavar="ssh://[USER@]HOST[:PORT]")
@_USER
@_ROOT
@_SSH_OPTION
@_YES
@click.pass_context
def undeploy(
    _ctx: click.Context, target: str, as_user: bool, root: str, ssh_options: tuple[str, ...], yes: bool
) -> None:
    """Remove an agent that `deploy` brought, its unit, its user, its state and its key.

    What the controller knows of the device stays; `steelyard device remove` refuses its certificate.

    \b
    Example:
      steelyard undeploy ssh://pi@raspberrypi
    """
    from steelyard.deploy.deployment import Deployment
    from steelyard.deploy.plan import Wishes, choose_layout
    from steelyard.deploy.probe import probe
    from steelyard.deploy.tunnel import end_tunnel

    remote = _remote(target, ssh_options)
    facts = probe(remote)
    layout = choose_layout(facts, Wishes(as_user=as_user, root=root))
    click.echo(
        f"- stop the agent and remove {layout.prefix}, {layout.state}{f', {layout.unit}' if layout.unit else ''}"
    )
    if not _agreed(yes):
        say("nothing was changed")
        return
    as_root = facts.root == "sudo" and bool(layout.rules)
    was_there = Deployment(remote, say=say).remove(layout, user=facts.login, as_root=as_root)
    end_tunnel(remote, home=Path.home())
    elsewhere = "" if as_user else "; one that was brought with --user is removed with --user"
    click.echo(f"{remote.target}: {'removed' if was_there else f'there was no agent of ours{elsewhere}'}")


def _deploy(client: Client, deployment: Deployment, errand: Errand, there: Installed) -> None:
    from dataclasses import replace

    plan = errand.plan
    if plan.enrolls:
        errand = replace(errand, enrolls=not _is_ours(client, there))
        # Before anything is copied: an agent that reaches nobody would be for nothing.
        ports = client.identity.authorities()
        _refuse_unreachable(deployment, plan, ports.enrollment_addresses if errand.enrolls else ports.addresses)
    before = {one.description.device_id: _last_seen(one) for one in client.devices()}

    def code() -> str:
        return str(client.identity.invite_device(use_count=1, valid_s=3600.0, tags=()).code)

    def dialled_back(device_id: str) -> bool:
        say(f"waiting for {plan.name} to dial back")
        return _came(client, device_id, before=before.get(device_id))

    name = client.device(deployment.carry_out(errand, code=code, dialled_back=dialled_back)).description.name
    click.echo(f"{name} runs {plan.label} and has dialled back")
    if name != plan.name:
        say(f"it is called {name} here and keeps that name: {plan.name} is another's, or it had joined before")


def _is_ours(client: Client, there: Installed) -> bool:
    """Return whether the device holds a certificate of this controller that still counts.

    Raises:
        UsageError: ``device_suspended``.
    """
    from steelyard.errors import NotFoundError, UsageError

    if client.controller().controller_id not in there.controller_ids or not there.device_id:
        return False
    try:
        device = client.device(there.device_id)
    except NotFoundError:
        return False
    if device.standing == "suspended":
        name = device.description.name
        raise UsageError(
            "device_suspended", f"device {name} is suspended and could not dial back: `steelyard device resume {name}`"
        )
    return device.standing == "enrolled"


def _refuse_unreachable(deployment: Deployment, plan: Plan, addresses: Sequence[str]) -> None:
    """Refuse to go on where no address of this controller answers the device.

    Raises:
        DeployError: ``controller_unreachable``.
    """
    from steelyard.deploy.errors import DeployError

    if not deployment.reachable(plan, addresses):
        raise DeployError(
            "controller_unreachable",
            f"{plan.name} reaches this controller at none of {', '.join(addresses)}: a firewall may stand "
            "between; open the port, or run deploy again with --tunnel 7433",
        )


@contextmanager
def _tunnel(client: Client, remote: Remote, port: int | None) -> Iterator[None]:
    if port is None:
        yield
        return
    from steelyard.deploy.tunnel import keep_tunnel, open_tunnel, tunnel_command

    controller_port = int(client.controller().agent_address.rpartition(":")[2])
    command = tunnel_command(remote, device_port=port, controller_port=controller_port)
    unit = keep_tunnel(remote, command, home=Path.home())
    if unit is not None:
        say(f"the tunnel is held open by {unit}")
        yield
        return
    with open_tunnel(remote, command):
        yield
    say(f"no systemd of yours holds the tunnel, and it ends now; run this, and leave it running: {shlex.join(command)}")


def _last_seen(device: control_pb2.Device) -> datetime:
    return device.last_seen.ToDatetime(tzinfo=timezone.utc)


def _came(client: Client, device_id: str, *, before: datetime | None) -> bool:
    """Wait until a device is there and was heard of since ``before``.

    The agent that ran until now ended before the new one was ready, and its session with it: who is online is new.
    """
    from steelyard.errors import NotFoundError

    deadline_s = time.monotonic() + _DIAL_BACK_S
    while time.monotonic() < deadline_s:
        # Behind a tunnel a device is known from its first session on.
        with suppress(NotFoundError):
            device = client.device(device_id)
            if device.online and _last_seen(device) != before:
                return True
        time.sleep(_LOOK_EVERY_S)
    return False


def _remote(target: str, ssh_options: tuple[str, ...]) -> Remote:
    from steelyard.deploy.remote import Remote
    from steelyard.deploy.target import parse_target

    return Remote(parse_target(target), options=ssh_options)


def _wheel(named: Path | None, folder: Path) -> AgentWheel:
    from steelyard.deploy.agent_wheel import named_wheel, pack_agent_wheel

    return named_wheel(named) if named is not None else pack_agent_wheel(folder)


def _agreed(yes: bool) -> bool:
    """Ask once; without a terminal and without --yes the answer is no."""
    import sys

    if yes:
        return True
    return sys.stdin.isatty() and click.confirm("Do it?", err=True)

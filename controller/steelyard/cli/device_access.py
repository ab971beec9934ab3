"""`steelyard device invite`, `remove`, `suspend` and `resume`."""

from __future__ import annotations

import click

from steelyard.cli.parameters import DURATION
from steelyard.cli.session import connected, emit_json, say
from steelyard_protocol.v1 import control_pb2


@click.command("invite")
@click.option(
    "--uses", "use_count", type=click.IntRange(1, 10_000), default=1, help="How many devices may use the code."
)
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Tag every device that uses it; again for more.")
@click.option("--valid", "valid_s", type=DURATION, default="1h", help="How long the code is good for.")
@click.option("--qr", is_flag=True, help="Also draw it as a QR code.")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def invite_device(
    ctx: click.Context, use_count: int, tags: tuple[str, ...], valid_s: float, qr: bool, as_json: bool
) -> None:
    """Make a join code, and print what to run on the device.

    The device makes its own key, checks by the code that it speaks to this controller, and gets a certificate.

    \b
    Examples:
      steelyard device invite
      steelyard device invite --uses 50 --tag rack1 --valid 8h
      steelyard device invite --qr
    """
    from steelyard.cli.invitation import show_invitation

    with connected(ctx) as client:
        invitation = client.identity.invite_device(use_count=use_count, valid_s=valid_s, tags=tags)
    show_invitation(invitation, command="steelyard-agent enroll", as_json=as_json, qr=qr)


@click.command("remove")
@click.argument("name", metavar="DEVICE")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def remove_device(ctx: click.Context, name: str, as_json: bool) -> None:
    """Refuse a device from now on, also where it is connected.

    Its results stay. It comes back with a new join code only.

    \b
    Example:
      steelyard device remove pi5
    """
    with connected(ctx) as client:
        _tell(
            client.identity.remove_device(name), "is removed: its certificate is refused from now on", as_json=as_json
        )


@click.command("suspend")
@click.argument("name", metavar="DEVICE")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def suspend_device(ctx: click.Context, name: str, as_json: bool) -> None:
    """Refuse a device until it is resumed.

    \b
    Example:
      steelyard device suspend pi5
    """
    with connected(ctx) as client:
        _tell(
            client.identity.suspend_device(name),
            "is suspended; `steelyard device resume` lets it in again",
            as_json=as_json,
        )


@click.command("resume")
@click.argument("name", metavar="DEVICE")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def resume_device(ctx: click.Context, name: str, as_json: bool) -> None:
    """Let a suspended device in again, and a drained one take work again.

    \b
    Example:
      steelyard device resume pi5
    """
    with connected(ctx) as client:
        _tell(client.identity.resume_device(name), "may connect and takes work again", as_json=as_json)


def _tell(device: control_pb2.Device, what: str, *, as_json: bool) -> None:
    if as_json:
        from steelyard.report.plain import to_plain

        emit_json("device", {"device": to_plain(device)})
        return
    say(f"device {device.description.name} ({device.description.device_id[:8]}) {what}")

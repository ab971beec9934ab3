"""`steelyard device`."""

from __future__ import annotations

from datetime import datetime, timezone

import click

from steelyard.cli.device_access import invite_device, remove_device, resume_device, suspend_device
from steelyard.cli.device_power import device_power
from steelyard.cli.device_rules import (
    device_history,
    drain_device,
    quarantine,
    replace_device,
    tag_device,
)
from steelyard.cli.session import connected, console, emit_json


@click.group()
def device() -> None:
    """List, show, invite and remove devices, and look after them."""


@device.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def list_devices(ctx: click.Context, as_json: bool) -> None:
    """List the devices that this controller has seen.

    \b
    Example:
      steelyard device list
    """
    with connected(ctx) as client:
        devices = client.devices()
        if as_json:
            from steelyard.report.plain import to_plain

            emit_json("devices", {"devices": [to_plain(one) for one in devices]})
            return
        if not devices:
            click.echo(
                "no device yet: `steelyard measure MODEL` measures this machine; `steelyard deploy ssh://USER@HOST` "
                "brings an agent onto another one, `steelyard device invite` makes a code for one that is there"
            )
            return
        from steelyard.report.terminal import render_devices

        console().print(render_devices(devices, now=datetime.now(tz=timezone.utc)))


@device.command("show")
@click.argument("name", metavar="DEVICE")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def show_device(ctx: click.Context, name: str, as_json: bool) -> None:
    """Show what a device is, can run and can measure.

    What it cannot has its reason.

    \b
    Example:
      steelyard device show local
    """
    with connected(ctx) as client:
        found = client.device(name)
        if as_json:
            from steelyard.report.plain import to_plain

            emit_json("device", {"device": to_plain(found)})
            return
        from steelyard.report.terminal import render_device

        console().print(render_device(found, now=datetime.now(tz=timezone.utc)))


for _command in (
    invite_device,
    remove_device,
    suspend_device,
    resume_device,
    tag_device,
    drain_device,
    quarantine,
    device_power,
    device_history,
    replace_device,
):
    device.add_command(_command)

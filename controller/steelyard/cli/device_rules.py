"""`steelyard device tag`, `drain`, `quarantine`, `history` and `replace`."""

from __future__ import annotations

import textwrap
from datetime import timezone

import click

from steelyard.cli.session import connected, console, emit_json, say
from steelyard.cli.visible import visible
from steelyard.errors import UsageError
from steelyard_protocol.v1 import fleet_pb2, health_pb2


# Without -h for help: a tag that is taken away may begin with it.
@click.command("tag", context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
@click.argument("name", metavar="DEVICE")
@click.argument("changes", metavar="+TAG|-TAG...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def tag_device(ctx: click.Context, name: str, changes: tuple[str, ...], as_json: bool) -> None:
    """Add tags to a device and take tags away.

    A tag stands for every device that has it: `steelyard measure MODEL --device tag:rack1` runs on the first free one
    that fits.

    \b
    Example:
      steelyard device tag pi5 +rack1 -old
    """
    for change in changes:
        if change[:1] not in {"+", "-"} or not change[1:]:
            raise UsageError("bad_tag_change", f"{change!r} adds or takes away no tag: write +rack1 or -rack1")
    added = [change[1:] for change in changes if change[0] == "+"]
    removed = [change[1:] for change in changes if change[0] == "-"]
    with connected(ctx) as client:
        device = client.fleet.tag(name, added=added, removed=removed)
    if as_json:
        from steelyard.report.plain import to_plain

        emit_json("device", {"device": to_plain(device)})
        return
    say(f"device {device.description.name} has {', '.join(device.tags) or 'no tags'}")


@click.command("drain")
@click.argument("name", metavar="DEVICE")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def drain_device(ctx: click.Context, name: str, as_json: bool) -> None:
    """Let a device finish what it does and take nothing new.

    Jobs that name it wait; `steelyard device resume` lets it work again.

    \b
    Example:
      steelyard device drain pi5
    """
    with connected(ctx) as client:
        device = client.fleet.drain(name)
    if as_json:
        from steelyard.report.plain import to_plain

        emit_json("device", {"device": to_plain(device)})
        return
    doing = f"finishes job {device.running_job_id[:12]} and" if device.running_job_id else "does nothing and"
    say(f"device {device.description.name} {doing} takes nothing new; `steelyard device resume` ends that")


@click.group("quarantine")
def quarantine() -> None:
    """Models that crashed on a device, and devices that cannot be trusted.

    A model whose workers crashed three times in a row on a device is not sent there again until that is lifted.
    """


@quarantine.command("list")
@click.argument("name", metavar="[DEVICE]", default="")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def list_quarantines(ctx: click.Context, name: str, as_json: bool) -> None:
    """List what is quarantined, on one device or on all.

    \b
    Examples:
      steelyard device quarantine list
      steelyard device quarantine list pi5
    """
    with connected(ctx) as client:
        found = client.fleet.quarantines(name)
    if as_json:
        from steelyard.report.plain import to_plain

        emit_json("quarantines", {"quarantines": [to_plain(one) for one in found]})
        return
    if not found:
        click.echo("nothing is quarantined")
        return
    from rich.table import Table

    table = Table("device", "what", "since", "why")
    for one in found:
        since = f"{one.since.ToDatetime(tzinfo=timezone.utc).astimezone():%Y-%m-%d %H:%M}"
        table.add_row(one.device_name or one.device_id[:8], _what(one), since, one.reason)
    console().print(table)


@quarantine.command("set")
@click.argument("name", metavar="DEVICE")
@click.option("--reason", required=True, help="Why its figures cannot be trusted; said to whoever waits for it.")
@click.pass_context
def set_quarantine(ctx: click.Context, name: str, reason: str) -> None:
    """Send a device nothing new because its figures cannot be trusted.

    \b
    Example:
      steelyard device quarantine set pi5 --reason 'the fan is broken'
    """
    with connected(ctx) as client:
        device = client.fleet.quarantine(name, reason)
    say(f"device {device.description.name} takes nothing new: {device.quarantined_because}")


@quarantine.command("lift")
@click.argument("name", metavar="DEVICE")
@click.option("--artifact", default="", metavar="MODEL", help="Only for this model, by its name or digest.")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def lift_quarantine(ctx: click.Context, name: str, artifact: str, as_json: bool) -> None:
    """Trust a device and the models on it again.

    \b
    Examples:
      steelyard device quarantine lift pi5
      steelyard device quarantine lift pi5 --artifact model-static-int8
    """
    with connected(ctx) as client:
        lifted = client.fleet.lift_quarantine(name, artifact)
    if as_json:
        from steelyard.report.plain import to_plain

        emit_json("quarantines", {"lifted": [to_plain(one) for one in lifted]})
        return
    say(f"lifted on {name}: {', '.join(map(_what, lifted)) or 'nothing was quarantined'}")


@click.command("history")
@click.argument("name", metavar="DEVICE")
@click.option("--most", type=click.IntRange(1, 500), default=50, show_default=True, help="So many lines.")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def device_history(ctx: click.Context, name: str, most: int, as_json: bool) -> None:
    """Show what happened to a device, the newest first.

    Connections, boots, restarts, versions of its agent, its clock, disk and supply, and what people did with it. The
    last 500 lines are kept.

    \b
    Example:
      steelyard device history pi5
    """
    with connected(ctx) as client:
        events = client.fleet.events(name, most=most)
    if as_json:
        from steelyard.report.plain import to_plain

        emit_json("device-history", {"events": [to_plain(one) for one in events]})
        return
    for event in events:
        click.echo(_line(event, console().width))
    if not events:
        click.echo("nothing happened to it yet")


@click.command("replace")
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def replace_device(ctx: click.Context, old: str, new: str, as_json: bool) -> None:
    """Let a device take the place of another one.

    The sessions of the old one go on under the new one, and whatever is told of them says that the device changed.
    Results stay with the device that measured them.

    \b
    Example:
      steelyard device replace pi5 pi5-2
    """
    with connected(ctx) as client:
        done = client.fleet.replace(old, new)
    if as_json:
        from steelyard.report.plain import to_plain

        emit_json("replacement", {"replacement": to_plain(done)})
        return
    taken = f"{done.old_device_name} ({done.old_device_id[:8]})"
    say(f"{done.new_device_name} ({done.new_device_id[:8]}) took the place of {taken}")


def _line(event: health_pb2.DeviceEvent, width: int) -> str:
    """Return what happened; what a device said of it neither steers the terminal nor looks like another line."""
    at = f"{event.at.ToDatetime(tzinfo=timezone.utc).astimezone():%Y-%m-%d %H:%M:%S}  "
    what = "" if event.message.startswith(event.kind) else f"{event.kind}: "
    text = visible(" ".join(f"{what}{event.message}".split()))
    return textwrap.fill(
        text, width, initial_indent=at, subsequent_indent=" " * len(at), break_on_hyphens=False, break_long_words=False
    )


def _what(one: fleet_pb2.Quarantine) -> str:
    if not one.artifact_digest:
        return "the device"
    return f"{one.artifact_name or 'a model'} ({one.artifact_digest[:12]})"

"""`steelyard user`."""

from __future__ import annotations

from datetime import timezone

import click

from steelyard.cli.parameters import DURATION
from steelyard.cli.session import connected, console, emit_json, say
from steelyard_protocol.v1 import identity_pb2


@click.group()
def user() -> None:
    """Invite, list and remove people, and tokens of CI, who may use the controller over a network.

    On the controller's own machine its user needs none of this: the socket in the state directory is theirs alone.
    """


@user.command("invite")
@click.argument("name", metavar="NAME")
@click.option(
    "--role",
    type=click.Choice(["read", "run", "administer"]),
    required=True,
    help="read: see; run: also submit and cancel; administer: also invite, remove and configure.",
)
@click.option("--valid", "valid_s", type=DURATION, default="1h", help="How long the code is good for.")
@click.option("--qr", is_flag=True, help="Also draw it as a QR code.")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def invite_user(ctx: click.Context, name: str, role: str, valid_s: float, qr: bool, as_json: bool) -> None:
    """Make a join code for a person, and print what that person runs.

    A name that is known gets another code, for another machine, say; its role changes at once.

    \b
    Examples:
      steelyard user invite ada --role run
      steelyard user invite ci --role run --valid 10m
    """
    from steelyard.cli.invitation import show_invitation
    from steelyard.identity.roles import parse_role
    from steelyard.report.plain import to_plain

    with connected(ctx) as client:
        invitation, invited = client.identity.invite_user(name, parse_role(role), valid_s=valid_s)
    show_invitation(invitation, command="steelyard login", as_json=as_json, qr=qr, more={"user": to_plain(invited)})


@user.command("token")
@click.argument("name", metavar="NAME")
@click.option(
    "--pool",
    "pools",
    multiple=True,
    metavar="POOL",
    help="That it may measure on: raspberry-pi-5, or tag:rack1; repeatable.",
)
@click.option("--device", "devices", multiple=True, metavar="NAME", help="That it may measure on; repeatable.")
@click.option(
    "--valid", "valid_s", type=DURATION, default="30d", help="How long the token is good for; 30d by default."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def make_token(
    ctx: click.Context, name: str, pools: tuple[str, ...], devices: tuple[str, ...], valid_s: float, as_json: bool
) -> None:
    """Make a token for a job of CI, which measures on some devices and does nothing else that lasts.

    The line that is printed goes into the secret variable STEELYARD_TOKEN: every command there uses it. It is shown
    once and kept nowhere. Another token of the same NAME ends the older one; `steelyard user remove NAME` ends it, too.

    \b
    Examples:
      steelyard user token ci --pool raspberry-pi-5 --valid 30d
      steelyard user token ci --pool tag:rack1 --device pi5
    """
    from steelyard.cli.gate import pool_address
    from steelyard.control.token import TOKEN_VARIABLE, encode_token
    from steelyard.report.plain import to_plain

    with connected(ctx) as client:
        made, holder = client.identity.issue_token(name, (*map(pool_address, pools), *devices), valid_s=valid_s)
    if as_json:
        emit_json("token", {"token": encode_token(made), "user": to_plain(holder)})
        return
    click.echo(encode_token(made))
    end = _day(holder, "certificate_not_after")
    say(f"measures on {', '.join(holder.scope)} until {end}; leads to {', '.join(made.addresses)}")
    say(f"put it into the secret variable {TOKEN_VARIABLE}: it is shown this once, and whoever has it comes in")


@user.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def list_users(ctx: click.Context, as_json: bool) -> None:
    """List the people and tokens that may use this controller over a network.

    \b
    Example:
      steelyard user list
    """
    with connected(ctx) as client:
        users = client.identity.users()
    if as_json:
        from steelyard.report.plain import to_plain

        emit_json("users", {"users": [to_plain(one) for one in users]})
        return
    if not users:
        click.echo("nobody yet: `steelyard user invite NAME --role run` makes a code for somebody")
        return
    from rich.table import Table

    table = Table("name", "role", "measures on", "made", "good until")
    for one in users:
        reach = ", ".join(one.scope) or ("" if one.role == identity_pb2.USER_ROLE_READ else "every device")
        table.add_row(one.name, _role(one), reach, _day(one, "created_at"), _day(one, "certificate_not_after"))
    console().print(table)


@user.command("remove")
@click.argument("name", metavar="NAME")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def remove_user(ctx: click.Context, name: str, as_json: bool) -> None:
    """Refuse a person or a token from now on; calls under way end, and codes that were not used yet are void.

    \b
    Example:
      steelyard user remove ada
    """
    with connected(ctx) as client:
        removed = client.identity.remove_user(name)
    if as_json:
        from steelyard.report.plain import to_plain

        emit_json("user", {"user": to_plain(removed)})
        return
    say(f"{removed.name} ({_role(removed)}) may not use this controller any more")


def _role(one: identity_pb2.User) -> str:
    return "token" if one.scope else identity_pb2.UserRole.Name(one.role).removeprefix("USER_ROLE_").lower()


def _day(one: identity_pb2.User, field: str) -> str:
    if not one.HasField(field):  # type: ignore[arg-type]
        return "has not logged in"
    return f"{getattr(one, field).ToDatetime(tzinfo=timezone.utc).astimezone():%Y-%m-%d}"

"""Showing a join code: the line to paste on stdout, what to know of it on stderr."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

import click

from steelyard.cli.session import emit_json, human_duration, say
from steelyard.errors import UsageError
from steelyard_protocol.v1 import identity_pb2


def show_invitation(
    invitation: identity_pb2.JoinInvitation,
    *,
    command: str,
    as_json: bool,
    qr: bool,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Print a join code.

    Args:
        invitation: From the controller.
        command: What to run on the other machine, without the code.
        as_json: One JSON document instead of a line.
        qr: Also as a QR code, when this is for people.
        more: What else the JSON holds.
    """
    line = f"{command} {invitation.code}"
    if as_json:
        from steelyard.report.plain import to_plain

        emit_json("invitation", {"invitation": to_plain(invitation), "command": line, **(more or {})})
        return
    if qr:
        _draw(invitation.code)
    click.echo(line)
    end = invitation.not_after.ToDatetime(tzinfo=timezone.utc).astimezone()
    # In whole minutes: it was made a moment ago.
    left_s = 60 * round((end - datetime.now(tz=timezone.utc)).total_seconds() / 60)
    times = "once" if invitation.use_count == 1 else f"{invitation.use_count} times"
    until = f"{end:%Y-%m-%d %H:%M} ({human_duration(left_s)})"
    say(f"good {times}, until {until}; leads to {', '.join(invitation.addresses)}")
    say("whoever has this code comes in: send it by a way that you trust")


def _draw(code: str) -> None:
    try:
        import segno
    except ImportError as error:
        raise UsageError(
            "qr_missing", "--qr needs segno: run `pip install 'steelyard[qr]'`, or leave --qr out"
        ) from error
    # In capitals a QR code needs a third less room (its alphanumeric mode); a join code's case does not matter.
    segno.make(code.upper(), error="l", micro=False).terminal(out=sys.stdout, border=2, compact=True)

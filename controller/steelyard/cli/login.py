"""`steelyard login`."""

from __future__ import annotations

from datetime import datetime, timezone

import click

from steelyard.cli.session import emit_json, say


@click.command()
@click.argument("code", metavar="CODE")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
def login(code: str, as_json: bool) -> None:
    """Log in to a controller on another machine with a code of `steelyard user invite`.

    Makes a key here, checks by the code that the right controller answers, and keeps the certificate that it gives in
    your configuration folder. Other commands use it with --controller HOST:PORT, and renew it by that.

    With - for CODE it is read from standard input, where it stands in no list of processes and no shell history.

    \b
    Examples:
      steelyard login sy1-aeaw...
      steelyard login -
    """
    import sys

    from steelyard.control.login import log_in
    from steelyard.control.logins import Logins

    made = log_in(sys.stdin.readline().strip() if code == "-" else code)
    folder = Logins().save(made)
    end = datetime.fromtimestamp(made.not_after_s, tz=timezone.utc)
    if as_json:
        emit_json(
            "login",
            {
                "login": {
                    "controller_id": made.controller_id,
                    "user": made.user,
                    "addresses": list(made.addresses),
                    "not_after": end.isoformat(),
                    "folder": str(folder),
                }
            },
        )
        return
    say(f"logged in to controller {made.controller_id[:8]} as {made.user}, until {end.astimezone():%Y-%m-%d} or later")
    say(f"use it with --controller {made.addresses[0]} (or STEELYARD_CONTROLLER)")

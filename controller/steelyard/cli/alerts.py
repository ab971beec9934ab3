"""`steelyard alerts`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, TypeVar

import click

from steelyard.cli.parameters import UNTIL
from steelyard.cli.session import connected, console, emit_json, say
from steelyard.errors import UsageError

if TYPE_CHECKING:
    from steelyard.nightly.triaging import Person, Triage
    from steelyard.triage.alert import Alert
    from steelyard.triage.silence import Silence

_STATES = (
    *("suspected", "confirming", "confirmed", "not_reproduced", "undecided", "acknowledged", "fixed", "accepted"),
    *("invalid", "infrastructure", "device"),
)
_Command = TypeVar("_Command", bound=Callable[..., Any])


@click.group()
def alerts() -> None:
    """See what nights found and what became of it, and say what you make of it (docs/alerts.md).

    ALERT is an id, or its first 4 or more characters. Several may be given, or matchers (model=mobilenet* device=pi5),
    which stand for the open alerts that all of them fit: by suite, model, device, runtime or metric.

    \b
    Examples:
      steelyard alerts list
      steelyard alerts ack 3f9a --reason 'ticket 41' --until 14d
      steelyard alerts accept model=mobilenet --reason 'a larger model, as meant'
    """


def _said(command: _Command) -> _Command:
    """Add what every change is made with: who and why, and JSON."""
    flags = (
        click.option("--reason", required=True, metavar="TEXT", help="Why; kept with it."),
        click.option("--who", metavar="NAME", help="Who says so; this machine's user else."),
        click.option("--json", "as_json", is_flag=True, help="As JSON on stdout."),
    )
    for flag in reversed(flags):
        command = flag(command)
    return command


@alerts.command("list")
@click.option("--suite", default="", metavar="NAME", help="Of this suite only.")
@click.option("--state", "states", multiple=True, type=click.Choice(_STATES), help="In this state; repeatable.")
@click.option("--all", "everything", is_flag=True, help="Closed alerts and silences that are over as well.")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def list_alerts(ctx: click.Context, suite: str, states: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """List the open alerts, the newest first, and the silences that hold.

    \b
    Examples:
      steelyard alerts list
      steelyard alerts list --suite shelf --state confirmed
      steelyard alerts list --all --json
    """
    from steelyard.report.night.triage import render_alerts, render_silences
    from steelyard.triage.alert import AlertState

    with _triage(ctx) as triage:
        chosen = [AlertState(one) for one in states]
        found = triage.alerts(suite, states=chosen, open_only=not (everything or chosen))
        silences = triage.silences(active_only=not everything)
    if as_json:
        emit_json("alerts", {"alerts": [_plain(one) for one in found], "silences": [_plain(one) for one in silences]})
        return
    if not found:
        click.echo("no alert is open" if not (everything or chosen) else "there is no such alert")
    else:
        console().print(render_alerts(found))
    if silences:
        click.echo()
        console().print(render_silences(silences))


@alerts.command("show")
@click.argument("alert_id", metavar="ALERT")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def show_alert(ctx: click.Context, alert_id: str, as_json: bool) -> None:
    """Show all of an alert: what was measured, what changed, and who did what about it.

    \b
    Example:
      steelyard alerts show 3f9a
    """
    from steelyard.report.night.triage import render_alert

    with _triage(ctx) as triage:
        alert = triage.alert(alert_id)
        silences = [one for one in triage.silences() if one.matches(alert.subject)]
    if as_json:
        emit_json("alert", {"alert": _plain(alert), "silences": [_plain(one) for one in silences]})
        return
    console().print(render_alert(alert, silences))


@alerts.command("ack")
@click.argument("alert_ids", nargs=-1, required=True, metavar="ALERT...")
@click.option(
    "--until", type=UNTIL, metavar="TIME", help="For so long (14d), or until a day (2026-12-24); else for good."
)
@_said
@click.pass_context
def acknowledge(
    ctx: click.Context,
    alert_ids: tuple[str, ...],
    until: timedelta | datetime | None,
    reason: str,
    who: str | None,
    as_json: bool,
) -> None:
    """Say that you know of an alert: it is no news any more, until it gets clearly worse.

    \b
    Examples:
      steelyard alerts ack 3f9a --reason 'ticket 41' --until 14d
      steelyard alerts ack runtime=onnxruntime* metric=p50 --reason 'waits for 1.20.1'
    """
    person = _person(who, reason)
    end = _end(until, person.now) if until is not None else None
    _change(ctx, alert_ids, lambda triage, one: triage.acknowledge(one, person, until=end), as_json=as_json)


@alerts.command("accept")
@click.argument("alert_ids", nargs=-1, required=True, metavar="ALERT...")
@_said
@click.pass_context
def accept(ctx: click.Context, alert_ids: tuple[str, ...], reason: str, who: str | None, as_json: bool) -> None:
    """Take a change as meant: from its first night on it is what later nights are held against.

    \b
    Examples:
      steelyard alerts accept 3f9a --reason 'a larger model, as meant'
      steelyard alerts accept model=mobilenet --reason 'a larger model, as meant'
    """
    person = _person(who, reason)
    _change(ctx, alert_ids, lambda triage, one: triage.accept(one, person), as_json=as_json)


@alerts.command("close")
@click.argument("alert_ids", nargs=-1, required=True, metavar="ALERT...")
@click.option(
    "--as",
    "state",
    type=click.Choice(["fixed", "infrastructure", "device"]),
    default="fixed",
    show_default=True,
    help="It is gone; the network, the rack or the controller did it; the board did it.",
)
@_said
@click.pass_context
def close(
    ctx: click.Context, alert_ids: tuple[str, ...], state: str, reason: str, who: str | None, as_json: bool
) -> None:
    """Close an alert by hand. The same change seen again opens another one.

    \b
    Examples:
      steelyard alerts close 3f9a --reason 'fixed in runtime 1.20.1'
      steelyard alerts close 3f9a --as device --reason 'its fan was broken'
    """
    _close(ctx, alert_ids, state, _person(who, reason), as_json=as_json)


@alerts.command("invalid")
@click.argument("alert_ids", nargs=-1, required=True, metavar="ALERT...")
@_said
@click.pass_context
def invalid(ctx: click.Context, alert_ids: tuple[str, ...], reason: str, who: str | None, as_json: bool) -> None:
    """Close an alert as a false alarm; reports count these.

    \b
    Example:
      steelyard alerts invalid 3f9a --reason 'somebody used the board'
    """
    _close(ctx, alert_ids, "invalid", _person(who, reason), as_json=as_json)


@alerts.command("silence")
@click.argument("matchers", nargs=-1, required=True, metavar="MATCHER...")
@click.option(
    "--until", type=UNTIL, required=True, metavar="TIME", help="For so long (14d), or until a day (2026-12-24)."
)
@_said
@click.pass_context
def silence(
    ctx: click.Context,
    matchers: tuple[str, ...],
    until: timedelta | datetime,
    reason: str,
    who: str | None,
    as_json: bool,
) -> None:
    """Let what fits all matchers be no news for a while, whatever nights find.

    MATCHER is suite, model, device, runtime or metric, "=", and a pattern with * and ?. Alerts are opened all the same,
    and stand in the report as known; when the silence ends they are news.

    \b
    Examples:
      steelyard alerts silence device=pi5 --until 14d --reason 'the fan is on order'
      steelyard alerts silence model='mobilenet*' metric=energy --until 2026-12-24 --reason 'new meter'
    """
    from steelyard.triage.silence import parse_matcher

    person, wanted = _person(who, reason), [parse_matcher(text) for text in matchers]
    with _triage(ctx) as triage:
        made = triage.silence(wanted, person, until=_end(until, person.now))
    _tell_silence(made, f"holds until {made.expires_at}", as_json=as_json)


@alerts.command("unsilence")
@click.argument("silence_id", metavar="SILENCE")
@_said
@click.pass_context
def unsilence(ctx: click.Context, silence_id: str, reason: str, who: str | None, as_json: bool) -> None:
    """End a silence before its time.

    \b
    Example:
      steelyard alerts unsilence 9c1e --reason 'the fan is here'
    """
    person = _person(who, reason)
    with _triage(ctx) as triage:
        over = triage.end_silence(silence_id, person)
    _tell_silence(over, "is over", as_json=as_json)


@contextmanager
def _triage(ctx: click.Context) -> Iterator[Triage]:
    from steelyard.nightly.triaging import Triage

    with connected(ctx) as client:
        yield Triage(client.nightly)


def _person(who: str | None, reason: str) -> Person:
    from steelyard.nightly.triaging import Person

    return Person(who=who if who is not None else _user(), reason=reason, now=datetime.now(tz=timezone.utc))


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError) as error:
        raise UsageError("bad_person", "this machine does not tell its user's name: say who with --who NAME") from error


def _end(until: timedelta | datetime, now: datetime) -> datetime:
    return now + until if isinstance(until, timedelta) else until


def _close(ctx: click.Context, alert_ids: Sequence[str], word: str, person: Person, *, as_json: bool) -> None:
    from steelyard.triage.alert import AlertState

    state = AlertState(word)
    _change(ctx, alert_ids, lambda triage, one: triage.close(one, state, person), as_json=as_json)


def _change(
    ctx: click.Context, texts: Sequence[str], change: Callable[[Triage, Alert], Alert], *, as_json: bool
) -> None:
    from steelyard.report.night.triage import short_id, state_text

    with _triage(ctx) as triage:
        changed = []
        for alert in triage.chosen(texts):
            changed.append(change(triage, alert))
            if not as_json:
                say(f"alert {short_id(alert.alert_id)} ({alert.subject}) is {state_text(changed[-1])}")
    if as_json:
        emit_json("alerts", {"alerts": [_plain(one) for one in changed]})


def _tell_silence(silence: Silence, what: str, *, as_json: bool) -> None:
    if as_json:
        emit_json("silence", {"silence": _plain(silence)})
        return
    say(f"silence {silence.silence_id} ({silence}) {what}")


def _plain(one: Alert | Silence) -> Any:
    from steelyard.nightly.report_json import plain

    return plain(one)

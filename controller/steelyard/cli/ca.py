"""`steelyard ca`: the controller's authority."""

from __future__ import annotations

import os
from datetime import timezone
from pathlib import Path

import click

from steelyard.cli.passphrase import read_passphrase
from steelyard.cli.session import connected, console, emit_json, say, state_directory_of
from steelyard.cli.writing import writing
from steelyard.errors import UsageError
from steelyard_protocol.v1 import identity_pb2


@click.group()
def ca() -> None:
    """Show, export, import and change the controller's authority, which signs devices and people."""


@ca.command("show")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def show(ctx: click.Context, as_json: bool) -> None:
    """Show the authorities that are trusted now, and how many hold certificates of each.

    \b
    Example:
      steelyard ca show
    """
    with connected(ctx) as client:
        found = client.identity.authorities()
    if as_json:
        from steelyard.report.plain import to_plain

        emit_json("authorities", to_plain(found))
        return
    click.echo(f"controller {found.controller_id} ({found.controller_name})")
    click.echo(f"devices and people dial {', '.join(found.addresses)}")
    click.echo(f"they enroll at {', '.join(found.enrollment_addresses)}")
    _print_authorities(list(found.authorities))


@ca.command("export")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@click.option(
    "--passphrase-file", type=click.Path(path_type=Path, dir_okay=False), help="Read it there; else asked for."
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.pass_context
def export(ctx: click.Context, path: Path, passphrase_file: Path | None, force: bool) -> None:
    """Write the authority with its key to FILE, encrypted: with it a controller that lost its disk goes on.

    The file is PKCS#12, which openssl opens, too.

    \b
    Examples:
      steelyard ca export authority.p12
      steelyard ca export authority.p12 --passphrase-file passphrase.txt
    """
    if path.exists() and not force:
        raise UsageError("output_exists", f"{path} is there already: name another file, or add --force")
    passphrase = read_passphrase(passphrase_file, confirm=True)
    with connected(ctx) as client:
        archive = client.identity.export_authority(passphrase)
    partial = path.with_name(f".{path.name}.partial")
    with writing(path, next_step="name another FILE"):
        partial.unlink(missing_ok=True)
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(archive)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    say(f"wrote {path}; whoever has it and the passphrase can let anybody in: keep the two apart")


@ca.command("import")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@click.option(
    "--passphrase-file", type=click.Path(path_type=Path, dir_okay=False), help="Read it there; else asked for."
)
@click.pass_context
def import_(ctx: click.Context, path: Path, passphrase_file: Path | None) -> None:
    """Put an exported authority into a new state directory; no controller may run there.

    Devices know the new controller as the one that they were enrolled with.

    \b
    Example:
      steelyard --state-directory ~/moved ca import authority.p12
    """
    from steelyard.membership.importing import import_authority

    state_directory = state_directory_of(ctx)
    try:
        archive = path.read_bytes()
    except OSError as error:
        raise UsageError(
            "unreadable_file", f"{path} cannot be read ({error.strerror}); name a file that is there"
        ) from error
    passphrase = read_passphrase(passphrase_file, confirm=False)
    controller_id = import_authority(state_directory, archive, passphrase)
    say(f"{state_directory} is controller {controller_id[:8]} now; start it with `steelyard serve`")


@ca.command("rotate")
@click.option("--finish", is_flag=True, help="Trust the new authority alone from now on.")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def rotate(ctx: click.Context, finish: bool, as_json: bool) -> None:
    """Make a new authority beside the old one; both are trusted until everybody holds the new one.

    Devices get it with their next renewal, within days. The old one goes by itself when all that were seen lately have
    it, or with --finish at once: whoever has not must be invited again. When the old key may be known to somebody, do
    both at once.

    \b
    Examples:
      steelyard ca rotate
      steelyard ca rotate --finish
    """
    with connected(ctx) as client:
        before = client.identity.authorities().authorities
        authorities = client.identity.rotate_authority(finish=finish)
    if as_json:
        from steelyard.report.plain import to_plain

        emit_json("authorities", {"authorities": [to_plain(one) for one in authorities]})
        return
    _print_authorities(authorities)
    kept = {one.fingerprint for one in authorities}
    gone = sum(one.holder_count for one in before if one.fingerprint not in kept)
    if gone:
        say(f"{gone} certificates of the old authority count no more: invite those devices and people again")


def _print_authorities(authorities: list[identity_pb2.Authority]) -> None:
    from rich.table import Table

    table = Table("authority", "signs", "held by", "until")
    for one in authorities:
        signs = [
            word
            for word, said in (("devices, people", one.signs_clients), ("the controller", one.signs_controller))
            if said
        ]
        end = one.not_after.ToDatetime(tzinfo=timezone.utc)
        table.add_row(one.fingerprint[:16], ", ".join(signs), str(one.holder_count), f"{end:%Y-%m-%d}")
    console().print(table)

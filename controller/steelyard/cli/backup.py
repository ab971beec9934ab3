"""`steelyard backup` and `steelyard restore`."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import click

from steelyard.cli.passphrase import read_passphrase
from steelyard.cli.session import emit_json, say, state_directory_of
from steelyard.errors import IncompleteError, UsageError


@click.command()
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@click.option("--with-identity", is_flag=True, help="Also the authority's keys, encrypted by a passphrase.")
@click.option(
    "--passphrase-file", type=click.Path(path_type=Path, dir_okay=False), help="Read it there; else asked for."
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.option("--json", "as_json", is_flag=True, help="What is in it, as JSON on stdout.")
@click.pass_context
def backup(
    ctx: click.Context, path: Path, with_identity: bool, passphrase_file: Path | None, force: bool, as_json: bool
) -> None:
    """Copy a controller's state into FILE (a tar): the database as of one moment, and all blobs that it names.

    The controller may run, and is not disturbed; this command reads its state directory, so it runs on its machine.
    Without --with-identity a restored controller is unknown to the devices that were enrolled.

    \b
    Examples:
      steelyard backup monday.tar
      steelyard backup monday.tar --with-identity --passphrase-file passphrase.txt
    """
    from steelyard.backup.write import write_backup

    if passphrase_file is not None and not with_identity:
        raise UsageError("nothing_to_encrypt", "--passphrase-file has nothing to encrypt: add --with-identity")
    if path.exists() and not force:
        raise UsageError("output_exists", f"{path} is there already: name another file, or add --force")
    state_directory = state_directory_of(ctx)
    passphrase = read_passphrase(passphrase_file, confirm=True) if with_identity else None
    written = write_backup(state_directory, path.absolute(), datetime.now(tz=timezone.utc), passphrase=passphrase)
    manifest = written.manifest
    if as_json:
        from dataclasses import asdict

        emit_json("backup", {**asdict(manifest), "damaged_digests": list(written.damaged_digests)})
    say(f"wrote {path}: {_contents(manifest.blob_count, manifest.blob_bytes + manifest.database_bytes)}")
    if written.damaged_digests:
        raise IncompleteError(
            "blobs_damaged",
            f"{len(written.damaged_digests)} blobs changed on the disk and are not in it, the first "
            f"{written.damaged_digests[0]}; check the disk, and bring them again or take them from an older backup",
        )


@click.command()
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@click.option("--with-identity", is_flag=True, help="Also the authority's keys that are in it.")
@click.option(
    "--passphrase-file", type=click.Path(path_type=Path, dir_okay=False), help="Read it there; else asked for."
)
@click.pass_context
def restore(ctx: click.Context, path: Path, with_identity: bool, passphrase_file: Path | None) -> None:
    """Put a backup into the state directory, which must be empty or new; everything in it is verified before.

    Never run both, the controller that was copied and the restored one: devices would not know which one to believe.

    \b
    Example:
      steelyard --state-directory ~/restored restore monday.tar --with-identity
    """
    from steelyard.backup.restore import read_manifest, restore_backup

    if passphrase_file is not None and not with_identity:
        raise UsageError("nothing_to_decrypt", "--passphrase-file has nothing to decrypt: add --with-identity")
    state_directory = state_directory_of(ctx)
    manifest = read_manifest(path)
    passphrase = read_passphrase(passphrase_file, confirm=False) if with_identity else None
    restore_backup(path, state_directory, passphrase=passphrase)
    say(
        f"{state_directory} is controller {manifest.controller_id[:8]} as of {manifest.taken_at}: "
        f"{_contents(manifest.blob_count, manifest.blob_bytes + manifest.database_bytes)}"
    )
    if manifest.with_identity and not with_identity:
        say("its keys were left out: with --with-identity the devices that were enrolled know it again")


def _contents(blob_count: int, size_bytes: int) -> str:
    return f"{blob_count} blobs, {size_bytes / 1e6:.1f} MB"

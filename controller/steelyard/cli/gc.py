"""`steelyard gc`: make room in a controller's state directory."""

from __future__ import annotations

import click

from steelyard.cli.parameters import Duration
from steelyard.cli.session import connected, emit_json, say
from steelyard_protocol.v1 import upkeep_pb2


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@click.option(
    "--keep-samples",
    "keep_samples_s",
    type=Duration(),
    metavar="TIME",
    help="Remove raw samples of measurements that ended longer ago (90d); their figures stay. Else all are kept.",
)
@click.option(
    "--grace",
    "grace_s",
    type=Duration(),
    default="7d",
    show_default=True,
    metavar="TIME",
    help="Keep what nothing names for so long, an hour at least: an upload is named when it is complete.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def gc(ctx: click.Context, dry_run: bool, keep_samples_s: float | None, grace_s: float, as_json: bool) -> None:
    """Remove blobs that nothing names (models, data, results and outputs that were never registered), while it runs.

    Nothing that a model, variant, task, job, finished step or recorded round names is removed. With --keep-samples the
    raw samples and meter traces of old measurements go, too: what they said stays as it was, and says so, but cannot be
    extended, bundled or computed anew.

    \b
    Examples:
      steelyard gc --dry-run
      steelyard gc --keep-samples 90d
    """
    with connected(ctx) as client:
        found = client.collect_garbage(keep_samples_s=keep_samples_s or 0.0, grace_s=grace_s, dry_run=dry_run)
    for one in found.kept_samples:
        say(f"job {one.job_id[:12]} keeps its samples: {one.reason}")
    if as_json:
        from steelyard.report.plain import to_plain

        emit_json("garbage", to_plain(found))
        return
    _print(found)


def _print(found: upkeep_pb2.CollectGarbageResponse) -> None:
    removed = "would remove" if found.dry_run else "removed"
    if found.sampleless_job_ids:
        click.echo(f"{removed} the raw samples of {_count(len(found.sampleless_job_ids), 'measurement')}")
    click.echo(f"{removed} {_blobs(found.removed_blob_count, found.removed_bytes)}")
    if found.removed_partial_bytes:
        click.echo(f"removed unfinished uploads of {_megabytes(found.removed_partial_bytes)}")
    click.echo(f"named, kept: {_blobs(found.referenced_blob_count, found.referenced_bytes)}")
    if found.young_blob_count:
        click.echo(f"not named, but young: {_blobs(found.young_blob_count, found.young_bytes)}")


def _blobs(count: int, size_bytes: int) -> str:
    return f"{_count(count, 'blob')}, {_megabytes(size_bytes)}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"

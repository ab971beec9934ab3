"""`steelyard bundle`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from steelyard.cli.progress import progress_bar
from steelyard.cli.reader import reader_may_leave
from steelyard.cli.session import connected, console, emit_json, say
from steelyard.cli.visible import visible
from steelyard.cli.writing import writing
from steelyard.errors import EXIT_FINE, EXIT_UNMET

if TYPE_CHECKING:
    from steelyard.bundle import JobVerification, Verification

_WRITE = "write"
_FILE = click.Path(path_type=Path)


class _WritesByDefault(click.Group):
    """A group whose first word may be a job: `steelyard bundle 3f9a -o FILE` writes."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the command in front of its options."""
        if args and args[0].startswith("-") and args[0] not in ctx.help_option_names:
            args = [_WRITE, *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Put the command in front of a job."""
        return super().resolve_command(ctx, args if args[0] in self.commands else [_WRITE, *args])


@click.group(cls=_WritesByDefault)
def bundle() -> None:
    """Write measurements as one archive, and verify one from its raw samples.

    \b
    Examples:
      steelyard bundle 3f9a -o fashion.zip
      steelyard bundle verify fashion.zip
      steelyard bundle show fashion.zip --report fashion.html
    """


@bundle.command(_WRITE)
@click.argument("jobs", nargs=-1, required=True, metavar="JOB...")
@click.option("-o", "--output", type=_FILE, required=True, help="The archive: a .zip file.")
@click.option("--title", default="", help="What the bundle is called; the titles of its measurements when left out.")
@click.option("--with-models", is_flag=True, help="With the model files, which verifying does not need.")
@click.option(
    "--anonymous", is_flag=True, help="Without names and ids of devices, hosts and users, addresses, serials and paths."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def write(
    ctx: click.Context,
    jobs: tuple[str, ...],
    output: Path,
    title: str,
    with_models: bool,
    anonymous: bool,
    as_json: bool,
) -> None:
    """Write finished measurements into one archive.

    It holds the plan, the recipes, every raw sample, the outputs and labels that accuracy follows from, the devices,
    and what was computed, with the SHA-256 of each part. JOB is an id, the first characters of one, or the title that
    several measurements share. The word `write` may be left out.

    \b
    Examples:
      steelyard bundle 3f9a 77c1 -o fashion.zip
      steelyard bundle fashion-resnet -o fashion.zip --anonymous
      steelyard bundle write 3f9a -o fashion.zip --with-models
    """
    from steelyard.bundle import write_bundle

    with connected(ctx) as client, writing(output), progress_bar(f"writing {output.name}") as on_progress:
        written = write_bundle(
            client,
            jobs,
            output,
            title=title,
            with_models=with_models,
            anonymous=anonymous,
            on_progress=on_progress,
        )
    if as_json:
        manifest = written.manifest
        payload = {
            "path": str(output),
            "digest": written.digest,
            "size_bytes": written.size_bytes,
            "is_anonymous": manifest.is_anonymous,
            "jobs": [job.job_id for job in manifest.jobs],
            "member_count": len(manifest.members),
        }
        emit_json("bundle", payload)
        return
    what = _count(len(written.manifest.jobs), "measurement")
    say(f"{what}, {_count(len(written.manifest.members), 'part')}, {written.size_bytes:,} bytes")
    say(f"its content is {written.digest}: publish this beside it")
    click.echo(str(output))


@bundle.command()
@click.argument("file", type=_FILE, metavar="FILE")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def verify(ctx: click.Context, file: Path, as_json: bool) -> None:
    """Check a bundle, and compute every figure of it again from the raw samples.

    Needs no controller, no model and no device. Intervals, verdicts and the decision are recomputed by the same
    analysis and compared with what the bundle claims, within 1e-9 of each figure; the stop rule is asked again after
    each of its looks. Exit code 1 when anything differs or the archive was changed.

    \b
    Example:
      steelyard bundle verify fashion.zip
    """
    from steelyard.bundle import verify_bundle

    with progress_bar(f"reading {file.name}") as on_progress:
        found = verify_bundle(file, on_progress=on_progress)
    with reader_may_leave():
        if as_json:
            emit_json("bundle_verification", _plain(found))
        else:
            for line in _lines(found):
                # Titles and sentences come from the archive.
                click.echo(visible(line))
    ctx.exit(EXIT_FINE if found.agrees else EXIT_UNMET)


@bundle.command()
@click.argument("file", type=_FILE, metavar="FILE")
@click.option("--report", "report_path", type=_FILE, metavar="FILE.html", help="Also write the HTML report.")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
def show(file: Path, report_path: Path | None, as_json: bool) -> None:
    """Show the tables and the decision that a bundle claims.

    The parts that are read are checked against their checksums; nothing is recomputed: `steelyard bundle verify` does.

    \b
    Examples:
      steelyard bundle show fashion.zip
      steelyard bundle show fashion.zip --report fashion.html
    """
    from steelyard.bundle import open_bundle, read_measurements
    from steelyard.cli.measuring import write_report
    from steelyard.report.plain import to_plain

    with open_bundle(file) as archive:
        measurements = read_measurements(archive)
        digest, manifest = archive.digest, archive.manifest
    if report_path is not None:
        write_report(measurements, report_path, measurements[0].controller_id)
        say(f"report: {report_path}")
    if as_json:
        payload = {
            "digest": digest,
            "written_by": manifest.written_by,
            "measurements": [to_plain(one) for one in measurements],
        }
        emit_json("measurement", payload)
        return
    from steelyard.report.terminal import render_measurement

    out = console()
    hidden = ", anonymous" if manifest.is_anonymous else ""
    out.print(
        f"{manifest.title}: bundle {digest[:12]}, written by steelyard {manifest.written_by}{hidden}", markup=False
    )
    for measurement in measurements:
        out.print(render_measurement(measurement))
    say(f"as claimed; to recompute it: steelyard bundle verify {file}")


def _lines(found: Verification) -> list[str]:
    from steelyard.bundle.build import own_version

    lines = [line for one in found.jobs for line in _job_lines(one)]
    if found.other_version:
        lines.append(
            f"written by steelyard {found.other_version}, this is {own_version()}: where the analysis changed between "
            "them, a difference is no manipulation; the one that wrote it decides"
        )
    if found.agrees:
        lines.append("verified: verdicts and decision follow from the samples, figures within 1e-9")
        return [*lines, f"content {found.digest}"]
    troubles = [trouble for job in found.jobs for trouble in job.troubles]
    more = f" ({len(troubles)} differ in all)" if len(troubles) > 1 else ""
    return [*lines, f"not verified: {troubles[0]}{more}"]


def _job_lines(one: JobVerification) -> list[str]:
    figures = _count(one.comparison.figure_count, "figure")
    count = len(one.troubles)
    what = f"{_count(count, 'difference')} in {figures}" if count else f"all {figures} agree"
    lines = [f"{one.job.title} on {one.job.device_name} ({one.job.job_id[:12]}): {what}"]
    if one.comparison.not_claimed:
        lines.append(f"  {_count(one.comparison.not_claimed, 'figure')} more, which its version did not claim")
    if one.has_unknown:
        lines.append("  it claims fields that this version does not know: not compared")
    for stop in one.stops:
        why = stop.reason or ("see below" if stop.trouble else "it did not end there by the rule")
        lines.append(f"  stop rule asked after {', '.join(map(str, stop.looks))} rounds: {why}")
    return lines


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _plain(found: Verification) -> dict[str, object]:
    return {
        "agrees": found.agrees,
        "digest": found.digest,
        "written_by": found.manifest.written_by,
        "versions": dict(found.manifest.versions),
        "relative_tolerance": found.relative_tolerance,
        "jobs": [
            {
                "job_id": one.job.job_id,
                "title": one.job.title,
                "device_name": one.job.device_name,
                "figure_count": one.comparison.figure_count,
                "not_claimed_count": one.comparison.not_claimed,
                "has_unknown_fields": one.has_unknown,
                "looks": list(one.stops[-1].looks),
                "stop_reason": one.stops[-1].reason,
                "differences": [
                    {"where": other.where, "claimed": other.claimed, "recomputed": other.recomputed}
                    for other in one.comparison.differences
                ],
                "stop_troubles": [stop.trouble for stop in one.stops if stop.trouble],
            }
            for one in found.jobs
        ],
    }

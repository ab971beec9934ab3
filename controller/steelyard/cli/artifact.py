"""`steelyard artifact` and `steelyard variant`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from steelyard.cli.list_flags import ListChoice, list_flags
from steelyard.cli.models import known_model
from steelyard.cli.session import connected, console, emit_json, say
from steelyard.cli.writing import writing

if TYPE_CHECKING:
    from steelyard.control.client import Client
    from steelyard_protocol.v1 import control_pb2


@click.group()
def artifact() -> None:
    """List models and variants, how each was made, and get files back."""


@click.group()
def variant() -> None:
    """List variants, with what each scored."""


@artifact.command("add")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@click.option("--name", default="", help="What it is called (default: the file's name without its ending).")
@click.option(
    "--confidential",
    is_flag=True,
    help="Devices remove it, and variants made from now on, when the job ends, and say so. For good.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def add_artifact(ctx: click.Context, path: Path, name: str, confidential: bool, as_json: bool) -> None:
    """Add a model file; the same bytes are the same model.

    \b
    Examples:
      steelyard artifact add mobilenet.onnx
      steelyard artifact add customer.onnx --confidential
    """
    from steelyard.report.plain import to_plain

    with connected(ctx) as client:
        added = client.add_model(path, name=name, confidential=confidential)
    if as_json:
        emit_json("artifact", {"artifact": to_plain(added)})
        return
    kept = "; devices keep it no longer than a job" if added.confidential else ""
    click.echo(f"added {added.name} ({added.digest[:12]}, {added.size_bytes:,} bytes){kept}")


@artifact.command("list")
@list_flags
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def list_artifacts(ctx: click.Context, /, as_json: bool, **flags: object) -> None:
    """List models and variants, newest first.

    \b
    Examples:
      steelyard artifact list
      steelyard artifact list --name mobilenet --sort size --limit 5
    """
    from steelyard.report.plain import to_plain

    with connected(ctx) as client:
        artifacts = _chosen(client, flags)
        if as_json:
            emit_json("artifacts", {"artifacts": [to_plain(one) for one in artifacts]})
            return
        if not artifacts:
            click.echo(
                "no model yet: `steelyard compress MODEL --recipe static-int8` or `steelyard measure MODEL` adds one"
            )
            return
        from steelyard.report.terminal import render_artifacts

        console().print(render_artifacts(artifacts))


@variant.command("list")
@list_flags
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def list_variants(ctx: click.Context, /, as_json: bool, **flags: object) -> None:
    """List variants, newest first, with the sizes and the score of each.

    \b
    Examples:
      steelyard variant list
      steelyard variant list --parent fashion_resnet --sort size
    """
    from steelyard.report.plain import to_plain

    with connected(ctx) as client:
        variants = [one for one in _chosen(client, flags) if one.HasField("lineage")]
        if as_json:
            emit_json("variants", {"variants": [to_plain(one) for one in variants]})
            return
        if not variants:
            click.echo("no variant yet: `steelyard compress MODEL --recipe static-int8` makes one")
            return
        from steelyard.report.listings import render_variants

        console().print(render_variants(variants))


@artifact.command("show")
@click.argument("name", metavar="ARTIFACT")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def show_artifact(ctx: click.Context, name: str, as_json: bool) -> None:
    """Show one model: inputs, outputs, and how it was made.

    \b
    Example:
      steelyard artifact show fashion_resnet-static-int8
    """
    from steelyard.report.plain import to_plain

    with connected(ctx) as client:
        found = known_model(client, name)
        if as_json:
            emit_json("artifact", {"artifact": to_plain(found)})
            return
        from steelyard.report.terminal import render_artifact

        out = console()
        for part in render_artifact(found):
            out.print(part)


@artifact.command("export")
@click.argument("name", metavar="ARTIFACT")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.pass_context
def export_artifact(ctx: click.Context, name: str, path: Path, force: bool) -> None:
    """Write a model as a file: the original, a variant, or what any step on the way made.

    \b
    Example:
      steelyard artifact export fashion_resnet-equalize equalized.onnx
    """
    from steelyard.errors import UsageError

    with connected(ctx) as client:
        found = known_model(client, name)
        if path.exists() and not force:
            raise UsageError("output_exists", f"{path} is there already: name another file, or add --force")
        content = client.download(found.digest)
    partial = path.with_name(f".{path.name}.partial")
    with writing(path, next_step="name another FILE"):
        try:
            partial.write_bytes(content)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    say(f"wrote {path}: {found.name} ({found.digest[:12]}, {found.size_bytes:,} bytes)")


def _chosen(client: Client, flags: dict[str, object]) -> list[control_pb2.Artifact]:
    parent = str(flags["parent"] or "")
    limit = flags["limit"]
    choice = ListChoice(
        name=str(flags["name_part"]),
        parent=client.artifact(parent).digest if parent else "",
        format=str(flags["model_format"] or ""),
        sort=str(flags["sort"]),
        reverse=bool(flags["reverse"]),
        limit=limit if isinstance(limit, int) else None,
    )
    return choice.of(client.artifacts())

"""`steelyard artifact`."""

from __future__ import annotations

import click

from steelyard.cli.session import connected, console, emit_json


@click.group()
def artifact() -> None:
    """List models and variants, and how each was made."""


@artifact.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def list_artifacts(ctx: click.Context, as_json: bool) -> None:
    """List models and variants, newest first.

    \b
    Example:
      steelyard artifact list
    """
    from steelyard.report.plain import to_plain

    with connected(ctx) as client:
        artifacts = client.artifacts()
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
        found = client.artifact(name)
        if as_json:
            emit_json("artifact", {"artifact": to_plain(found)})
            return
        from steelyard.report.terminal import render_artifact

        out = console()
        for part in render_artifact(found):
            out.print(part)

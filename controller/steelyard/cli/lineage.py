"""`steelyard lineage`."""

from __future__ import annotations

import click

from steelyard.cli.models import known_model
from steelyard.cli.session import connected, console, emit_json
from steelyard.family import children_of, parent_of, root_of


@click.command()
@click.argument("name", metavar="VARIANT")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def lineage(ctx: click.Context, name: str, as_json: bool) -> None:
    """Show how a variant was made, as a tree.

    The tree begins with the first model; below it stand the steps of the recipe with their scores. Every model in the
    tree is kept: `steelyard artifact export NAME FILE` gives any of them back.

    \b
    Examples:
      steelyard lineage model-static-int8
      steelyard lineage model.onnx
      steelyard lineage 3f9a --json
    """
    with connected(ctx) as client:
        found = known_model(client, name)
        artifacts = {one.digest: one for one in client.artifacts()}
    artifacts[found.digest] = found
    children = children_of(sorted(artifacts.values(), key=lambda one: one.created_at.ToNanoseconds()))
    root = root_of(found.digest, artifacts)
    if as_json:
        from steelyard.report.plain import to_plain

        ancestors = []
        digest = parent_of(found)
        while digest and digest not in ancestors:
            ancestors.append(digest)
            digest = parent_of(artifacts[digest]) if digest in artifacts else ""
        emit_json(
            "lineage",
            {"artifact": to_plain(found), "ancestors": ancestors, "children": children.get(found.digest, [])},
        )
        return
    from steelyard.report.lineage import render_steps, render_tree

    out = console()
    out.print(render_tree(root, artifacts, children, found.digest))
    if found.HasField("lineage") and found.lineage.parent_digest in artifacts:
        out.print()
        out.print(render_steps(artifacts[found.lineage.parent_digest], found))

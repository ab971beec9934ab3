"""The flag that names files of plugins, read before the command runs."""

from __future__ import annotations

from pathlib import Path

import click


def _use(ctx: click.Context, _param: click.Parameter, paths: tuple[Path, ...]) -> None:
    """Use the files for as long as the command runs."""
    if not paths or ctx.resilient_parsing:
        return
    from steelyard.plugins.files import forget_file, use_file

    for path in paths:
        found = use_file(path)
        ctx.call_on_close(lambda found=found: forget_file(found))


# Before other flags are looked at: those may name what a plugin brings.
PLUGIN_FLAG = click.option(
    "--plugin",
    "plugins",
    multiple=True,
    is_eager=True,
    expose_value=False,
    type=click.Path(path_type=Path),
    callback=_use,
    metavar="FILE",
    help="Python file with steps, metrics and the like of your own, run here and by the controller; repeatable.",
)

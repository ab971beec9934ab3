"""The flag that names files of plugins, used for as long as the command runs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import click

_Function = TypeVar("_Function", bound=Callable[..., Any])


def plugin_flag(function: _Function) -> _Function:
    """Add ``--plugin FILE`` to a command, which uses the files while it runs."""

    @functools.wraps(function)
    def with_plugins(*arguments: Any, plugin_paths: tuple[Path, ...], **named: Any) -> Any:
        from steelyard.plugins.files import forget_file, use_file

        with ExitStack() as used:
            for path in plugin_paths:
                used.callback(forget_file, use_file(path))
            return function(*arguments, **named)

    return _OPTION(with_plugins)  # type: ignore[return-value]


_OPTION = click.option(
    "--plugin",
    "plugin_paths",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Python file with steps, metrics and the like of your own, run here and by the controller; repeatable.",
)

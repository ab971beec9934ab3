"""The flags of every command that runs a model: by what it is run, and on which sizes of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from steelyard.cli.parameters import DURATION, INPUT_SHAPE
from steelyard.priorities import DEFAULT_PRIORITY, PRIORITIES

_Function = TypeVar("_Function", bound=Callable[..., Any])

RUN_FLAGS = (
    click.option("--threads", type=click.IntRange(1, 1024), default=1, show_default=True, help="Of the runtime."),
    click.option(
        "--runtime",
        default="",
        metavar="NAME[@ENV]",
        help="onnxruntime, litert, openvino or tflite-runtime, in a runtime environment of the device where one is "
        "named; by the file when left out.",
    ),
    click.option("--provider", "providers", multiple=True, metavar="P", help="NAME or NAME:key=value,...; repeatable."),
    click.option("--allow-fallback", is_flag=True, help="Go on also when part of the model runs elsewhere."),
    click.option(
        "--shape",
        "shapes",
        type=INPUT_SHAPE,
        multiple=True,
        metavar="NAME=1x3x224x224",
        help="Sizes of a dynamic input; repeatable.",
    ),
    click.option(
        "--priority",
        type=click.Choice(list(PRIORITIES)),
        default=DEFAULT_PRIORITY,
        show_default=True,
        help="Who goes first where several jobs want the device: a more urgent one at the end of a round.",
    ),
    click.option("--device-wait", type=DURATION, default="30s", show_default=True, help="For the device to connect."),
    click.option("--json", "as_json", is_flag=True, help="Results as JSON on stdout."),
)


def with_flags(flags: Sequence[Callable[[_Function], _Function]]) -> Callable[[_Function], _Function]:
    """Return a decorator that adds flags to a command, in their order."""

    def add(command: _Function) -> _Function:
        for flag in reversed(flags):
            command = flag(command)
        return command

    return add

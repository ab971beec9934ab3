"""The flags of `measure` and `compare` that say whether outputs are compared with the controller's own."""

from __future__ import annotations

import click

NUMERIC_FLAGS = (
    click.option(
        "--numeric-check/--no-numeric-check",
        default=True,
        show_default=True,
        help="Compare the device's outputs for a few inputs with the controller's own run of the same file.",
    ),
    click.option(
        "--check-layers", is_flag=True, help="Also find the first layer whose outputs diverge (ONNX); sends a copy."
    ),
)

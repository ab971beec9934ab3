"""The flags of passes that look into a model and at a device's limits, shared by `measure` and `compare`."""

from __future__ import annotations

import click

PROFILE_FLAGS = (
    click.option("--operators", is_flag=True, help="Also profile each operator, in a run of its own."),
    click.option("--roofline", is_flag=True, help="Also probe what the device can do at most, some seconds."),
)

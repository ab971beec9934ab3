"""The flags of `measure` and `compare` that say which changes matter and when an interval is narrow enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from steelyard.cli.parameters import SHARE
from steelyard.control.verdict_options import VerdictOptions

VERDICT_FLAGS = (
    click.option(
        "--min-effect", type=SHARE, metavar="PERCENT", help="Least change that is faster or slower; 2 % when left out."
    ),
    click.option(
        "--margin", type=SHARE, metavar="PERCENT", help='Change that "no difference" rules out; 3 % when left out.'
    ),
    click.option(
        "--target-half-width",
        type=SHARE,
        metavar="PERCENT",
        help="Of the interval of p50, to stop where nothing is compared; 2 % when left out.",
    ),
)


def verdict_options(flags: Mapping[str, Any]) -> VerdictOptions:
    """Return what the flags say of verdicts.

    Raises:
        click.BadParameter: a share of nothing, which would stand for the default.
    """
    given = {name: flags[name] for name in ("min_effect", "margin", "target_half_width")}
    for name, value in given.items():
        if value == 0.0:
            flag = name.replace("_", "-")
            raise click.BadParameter(f"0 is no share that rounds could show; give one such as --{flag} 1%")
    return VerdictOptions(
        minimum_effect=given["min_effect"] or 0.0,
        equivalence_margin=given["margin"] or 0.0,
        target_half_width=given["target_half_width"] or 0.0,
    )

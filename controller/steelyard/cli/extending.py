"""`steelyard measure --extend JOB`: more rounds for a finished measurement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from steelyard.cli.session import LOCAL, choose_device
from steelyard.errors import UsageError

if TYPE_CHECKING:
    from steelyard.control.client import Client
    from steelyard.control.job_handle import JobHandle

EXTEND_FLAG = click.option(
    "--extend", "extended_job", metavar="JOB", help="Add rounds to this finished measurement; no MODEL then."
)
# Everything else is settled by the measurement that is extended.
_FREE = frozenset(
    {
        "extended_job",
        "max_rounds",
        "budget",
        "device_wait",
        "device",
        "local",
        "priority",
        "title",
        "as_json",
        "report_path",
    }
)


def refuse_what_is_settled(ctx: click.Context, job_id: str) -> None:
    """Raise UsageError for a model or a flag beside ``--extend`` that the extended measurement has settled."""
    settled = [one for one in ctx.command.params if one.name not in _FREE and _is_given(ctx, one.name or "")]
    if settled:
        # A pair of flags is named whole: which half was typed is not kept.
        names = ", ".join(
            "MODEL" if isinstance(one, click.Argument) else "/".join([one.opts[0], *one.secondary_opts])
            for one in settled
        )
        raise UsageError(
            "settled_by_extended",
            f"{names} cannot be given beside --extend {job_id}: models, plan and requirements are those of that job; "
            "leave it out, or measure anew without --extend",
        )


def extend(ctx: click.Context, client: Client, job_id: str, flags: Mapping[str, Any]) -> JobHandle:
    """Submit the extension that the flags say."""
    device = flags["device"] or (LOCAL if flags["local"] else "")
    if client.job(job_id).device == LOCAL:
        choose_device(ctx, device or None, local=flags["local"])
    return client.extend(
        job_id,
        max_round_count=flags["max_rounds"] if _is_given(ctx, "max_rounds") else 0,
        budget_s=flags["budget"],
        device_wait_s=flags["device_wait"],
        priority=flags["priority"],
        device=device,
        title=flags["title"],
    )


def _is_given(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE

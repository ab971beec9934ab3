"""Asks a worker what each runtime offers: the supervisor itself never imports one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from steelyard_agent.description import RuntimeDescription
from steelyard_agent.jobs.rounds import BlockRunner
from steelyard_agent.worker.block import KIND_PROBE, Block
from steelyard_agent.worker.failure import BlockStatus

# Importing a large runtime from a slow card took tens of seconds on old boards.
_PROBE_TIMEOUT_S = 120.0


async def probe_runtimes(
    names: Sequence[str], *, run_block: BlockRunner, work_folder: Path
) -> tuple[RuntimeDescription, ...]:
    """Return version and usable providers of every named runtime; its reason names what of it cannot be used."""
    return tuple([await _probe(name, run_block, work_folder) for name in names])


async def _probe(name: str, run_block: BlockRunner, work_folder: Path) -> RuntimeDescription:
    outcome = await run_block(
        Block(kind=KIND_PROBE, runtime_name=name),
        timeout_s=_PROBE_TIMEOUT_S,
        memory_limit_bytes=None,
        work_dir=work_folder,
    )
    if outcome.status is not BlockStatus.OK or outcome.result is None:
        return RuntimeDescription(name=name, reason=outcome.message or outcome.status.value.lower())
    probes = outcome.result.provider_probes
    lacking = [f"{probe['name']}: {probe['reason']}" for probe in probes if probe.get("reason")]
    return RuntimeDescription(
        name=name,
        version=outcome.result.runtime_version,
        providers=tuple(probe["name"] for probe in probes if not probe.get("reason")),
        reason="; ".join(lacking),
    )

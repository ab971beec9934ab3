"""Asks a worker what each runtime offers: the supervisor itself never imports one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from steelyard_agent.description import RuntimeDescription
from steelyard_agent.environments import RuntimeEnvironment
from steelyard_agent.jobs.block_running import BlockRunner
from steelyard_agent.worker.block import KIND_PROBE, Block
from steelyard_agent.worker.failure import BlockStatus

# Importing a large runtime from a slow card took tens of seconds on old boards.
_PROBE_TIMEOUT_S = 120.0


async def probe_runtimes(
    names: Sequence[str], *, run_block: BlockRunner, work_folder: Path
) -> tuple[RuntimeDescription, ...]:
    """Return version and providers of every named runtime in the agent's own environment, or why it cannot be used."""
    return tuple([await _probe(name, None, run_block, work_folder) for name in names])


async def probe_environment(
    environment: RuntimeEnvironment, names: Sequence[str], *, run_block: BlockRunner, work_folder: Path
) -> tuple[RuntimeDescription, ...]:
    """Return the runtimes that can be used in another environment; when none can, all of them with their reasons."""
    found = tuple([await _probe(name, environment, run_block, work_folder) for name in names])
    return tuple(one for one in found if one.version) or found


async def _probe(
    name: str, environment: RuntimeEnvironment | None, run_block: BlockRunner, work_folder: Path
) -> RuntimeDescription:
    outcome = await run_block(
        Block(kind=KIND_PROBE, runtime_name=name),
        timeout_s=_PROBE_TIMEOUT_S,
        memory_limit_bytes=None,
        work_dir=work_folder,
        python=environment.python if environment else None,
    )
    where = environment.name if environment else ""
    if outcome.status is not BlockStatus.OK or outcome.result is None:
        return RuntimeDescription(name=name, environment=where, reason=outcome.message or outcome.status.value.lower())
    probes = outcome.result.provider_probes
    usable = tuple(probe["name"] for probe in probes if not probe.get("reason"))
    return RuntimeDescription(
        name=name,
        environment=where,
        version=outcome.result.runtime_version,
        providers=usable,
        reason="" if usable else "none of its providers can be used here",
        compiling_providers=outcome.result.compiling_providers,
        unusable_providers=tuple((probe["name"], probe["reason"]) for probe in probes if probe.get("reason")),
    )

"""Which provider of ONNX Runtime runs which node, and when that is a fallback that nobody asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from steelyard_agent.runtimes.onnxruntime_providers import CPU
from steelyard_agent.worker.failure import BlockFailure, BlockStatus

_NOT_TOLD = "this ONNX Runtime does not tell which provider runs which node"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """The providers that run nodes, in order of preference, with their node counts (None: not told)."""

    providers: tuple[str, ...]
    placements: dict[str, int | None]
    notes: tuple[str, ...] = ()


def place(session: Any, wanted: list[str], *, allow_fallback: bool) -> Placed:
    """Return where the nodes of a session run.

    Raises:
        BlockFailure: FALLBACK when another than the first provider wanted runs nodes and that was not allowed.
    """
    registered = [str(name) for name in session.get_providers()]
    if not allow_fallback and registered[0] != wanted[0]:
        raise _fallback(f"{wanted[0]} was asked for and {registered[0]} took its place")
    if wanted[0] == CPU:
        # Counting costs time while loading, and there is nothing to count: nodes have nowhere else to go.
        return Placed(providers=(CPU,), placements={CPU: None})
    counts = _node_counts(session)
    if counts is None:
        # Without the count, the session itself refuses nodes on the CPU unless a fallback is allowed.
        providers = tuple(registered) if allow_fallback else (wanted[0],)
        return Placed(providers=providers, placements=dict.fromkeys(providers), notes=(_NOT_TOLD,))
    used = tuple(sorted(counts, key=lambda name: registered.index(name) if name in registered else len(registered)))
    shares = f"of {sum(counts.values())} nodes, " + ", ".join(f"{counts[name]} on {name}" for name in used)
    if used != (wanted[0],) and not allow_fallback:
        raise _fallback(f"{wanted[0]} was asked for; {shares}")
    notes = () if used == (wanted[0],) else (f"fell back: {shares}",)
    return Placed(providers=used, placements={name: counts[name] for name in used}, notes=notes)


def _fallback(what: str) -> BlockFailure:
    return BlockFailure(BlockStatus.FALLBACK, "provider_fallback", f"{what}; --allow-fallback measures it all the same")


def _node_counts(session: Any) -> dict[str, int] | None:
    """Return the number of nodes by the provider that runs them, None where this version does not tell."""
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return None
    counts: dict[str, int] = {}
    for subgraph in session.get_provider_graph_assignment_info():
        counts[subgraph.ep_name] = counts.get(subgraph.ep_name, 0) + len(subgraph.get_nodes())
    return counts or None

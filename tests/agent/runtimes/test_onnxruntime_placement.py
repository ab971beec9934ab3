"""Where the nodes of a session run, and which of it is a fallback: for providers that this machine does not have."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from steelyard_agent.runtimes.onnxruntime_placement import place
from steelyard_agent.worker.failure import BlockFailure, BlockStatus

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"


@dataclass
class Subgraph:
    ep_name: str
    node_count: int

    def get_nodes(self) -> list[int]:
        return list(range(self.node_count))


class OldSession:
    """A session of a version that does not tell which provider runs which node."""

    def __init__(self, *providers: str) -> None:
        self._providers = list(providers)

    def get_providers(self) -> list[str]:
        return self._providers


class Session(OldSession):
    def __init__(self, *providers: str, nodes: dict[str, int]) -> None:
        super().__init__(*providers)
        self._nodes = nodes

    def get_provider_graph_assignment_info(self) -> list[Subgraph]:
        return [Subgraph(name, count) for name, count in self._nodes.items()]


def test_a_provider_that_runs_everything_is_placed_with_its_count() -> None:
    placed = place(Session(CUDA, CPU, nodes={CUDA: 42}), [CUDA], allow_fallback=False)
    assert (placed.providers, placed.placements, placed.notes) == ((CUDA,), {CUDA: 42}, ())


def test_a_fallback_among_accelerators_is_one_too() -> None:
    session = Session(TENSORRT, CUDA, nodes={CUDA: 2, TENSORRT: 40})
    with pytest.raises(BlockFailure, match=r"of 42 nodes, 40 on Tensorrt.*, 2 on CUDA.*--allow-fallback") as caught:
        place(session, [TENSORRT, CUDA], allow_fallback=False)
    assert caught.value.status is BlockStatus.FALLBACK
    placed = place(session, [TENSORRT, CUDA], allow_fallback=True)
    assert placed.placements == {TENSORRT: 40, CUDA: 2}
    assert placed.providers == (TENSORRT, CUDA)
    assert "fell back: of 42 nodes" in placed.notes[0]


def test_a_session_that_changed_its_provider_is_a_fallback() -> None:
    with pytest.raises(BlockFailure, match="CPUExecutionProvider took its place") as caught:
        place(OldSession(CPU), [CUDA], allow_fallback=False)
    assert caught.value.status is BlockStatus.FALLBACK


def test_a_version_that_does_not_tell_is_said_to_be_one() -> None:
    allowed = place(OldSession(CUDA, CPU), [CUDA], allow_fallback=True)
    assert allowed.placements == {CUDA: None, CPU: None}
    assert "does not tell" in allowed.notes[0]
    # Without the permission the session itself refuses nodes on the CPU.
    assert place(OldSession(CUDA, CPU), [CUDA], allow_fallback=False).placements == {CUDA: None}


def test_a_provider_that_was_never_registered_comes_last() -> None:
    placed = place(Session(CUDA, nodes={"OddExecutionProvider": 1, CUDA: 2}), [CUDA], allow_fallback=True)
    assert placed.providers == (CUDA, "OddExecutionProvider")

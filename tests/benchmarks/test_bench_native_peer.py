"""The native peer: it runs a model of ours, and what is missing is said in a sentence."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from benchmarks import native_peer, run, worker_vs_native
from benchmarks.bench_models import BenchModel, bench_models
from benchmarks.latency_block import RUNTIME
from benchmarks.native_peer import NativePeer, PeerError, build_peer

from steelyard_agent.worker.codec import decode_runtime_options


def test_models_are_the_same_whenever_they_are_written(tmp_path: Path) -> None:
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
    pairs = zip(bench_models(tmp_path / "one"), bench_models(tmp_path / "other"), strict=True)
    assert all(one.path.read_bytes() == other.path.read_bytes() for one, other in pairs)


def test_the_worker_understands_the_options_that_it_shares_with_the_peer() -> None:
    options = decode_runtime_options(dict(RUNTIME))
    assert (options.intra_op_thread_count, options.graph_optimization) == (1, "all")
    assert (options.arena, options.spinning) == (True, True)


def _build(folder: Path) -> NativePeer | None:
    """Build the peer; None, after it was said, on a machine without a C compiler, which tests do not ask for."""
    if any(shutil.which(name) for name in ("cc", "gcc", "clang")):
        return build_peer(folder)
    with pytest.raises(PeerError, match="no C compiler"):
        build_peer(folder)
    return None


async def test_the_peer_takes_samples_of_a_model_and_explains_what_it_cannot_run(tmp_path: Path) -> None:
    peer = await asyncio.to_thread(_build, tmp_path)
    if peer is None:
        return
    tiny = bench_models(tmp_path)[0]
    samples = await peer.samples_ns(tiny, 1)
    assert len(samples) >= 10
    assert min(samples) > 0
    missing = BenchModel(name="none", path=tmp_path / "none.onnx", input_name="x", shape=(1,), output_name="y")
    with pytest.raises(PeerError, match=r"failed with none: .*none\.onnx"):
        await peer.samples_ns(missing, 1)


def test_without_a_compiler_the_benchmark_says_so_and_is_a_failure_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    monkeypatch.setattr(run, "_DOCUMENT", tmp_path / "benchmarks.md")
    assert run.main([worker_vs_native.NAME, "--rounds", "1000000"]) == 4
    assert "no C compiler" in capsys.readouterr().err


def test_a_source_that_does_not_compile_is_told_with_the_compiler_s_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.c"
    broken.write_text("int main(")
    monkeypatch.setattr(native_peer, "_SOURCE", broken)
    with pytest.raises(PeerError, match=r"could not compile broken\.c: .*error|no C compiler"):
        build_peer(tmp_path)

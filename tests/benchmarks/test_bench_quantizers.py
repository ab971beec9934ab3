"""The quantizers that are set side by side, and the process that each runs in."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from benchmarks.compression import compress_process
from benchmarks.compression.compress_process import QuantizerError, last_line, run_quantizer
from benchmarks.compression.kernels import counted
from benchmarks.compression.peers import PEERS, Quantizer, our_quantizers, versions_of

_TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder for programs of the test's own, which run as the peers' do."""
    monkeypatch.setattr(compress_process, "PROGRAMS", tmp_path)
    return tmp_path


def test_every_quantizer_has_its_program_and_every_peer_its_pinned_environment() -> None:
    for one in (*our_quantizers(["avx2"]), *PEERS):
        assert (compress_process.PROGRAMS / one.program).is_file()
    for peer in PEERS:
        lines = (_TOOLS / f"requirements-bench-{peer.environment}.txt").read_text().splitlines()
        assert all("==" in line for line in lines if not line.startswith("#"))
        assert versions_of(peer)["numpy"]


def test_a_quantizer_of_an_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match="formats are onnx and tflite"):
        Quantizer(name="x", program="x.py", formats=frozenset({"caffe"}))


def test_a_program_is_told_what_is_asked_and_what_it_took_is_told_back(programs: Path) -> None:
    (programs / "large.py").write_text(
        "import json, sys, pathlib\n"
        "asked = json.loads(pathlib.Path(sys.argv[1]).read_text())\n"
        "held = bytearray(64 * 2**20)\n"
        "pathlib.Path(asked['out']).write_text(asked['word'])\n"
    )
    out = programs / "out"
    taken = run_quantizer(Path(sys.executable), "large.py", {"out": str(out), "word": "made"}, work=programs)
    assert out.read_text() == "made"
    assert 64 * 2**20 < taken.peak_rss_bytes < 200 * 2**20
    assert taken.seconds > 0


def test_a_program_that_fails_tells_its_own_last_line(programs: Path) -> None:
    (programs / "broken.py").write_text("raise RuntimeError('no such kernel')\n")
    with pytest.raises(QuantizerError, match="RuntimeError: no such kernel"):
        run_quantizer(Path(sys.executable), "broken.py", {"out": str(programs / "out")}, work=programs)


def test_a_program_that_writes_no_model_has_failed_also_where_an_older_file_lies(programs: Path) -> None:
    (programs / "idle.py").write_text("")
    out = programs / "out"
    out.write_text("older")
    with pytest.raises(QuantizerError, match="wrote no model"):
        run_quantizer(Path(sys.executable), "idle.py", {"out": str(out)}, work=programs)


def test_the_last_line_is_the_last_that_says_something() -> None:
    assert last_line("first\n  second  \n\n") == "second"
    assert last_line("") == ""


def test_operators_that_multiply_are_counted_by_what_they_compute_in() -> None:
    found = counted({"QLinearConv": 3, "QGemm": 1, "FusedConv": 2, "MatMul": 1, "QuantizeLinear": 2, "Relu": 9})
    assert (found.integer, found.in_float, found.conversions) == (4, 3, 2)
    assert found.text() == "4 of 7, 2 Q/DQ"

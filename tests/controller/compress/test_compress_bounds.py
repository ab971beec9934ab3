"""A model that never returns, and a controller that dies, do not leave a compression running for ever."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from steelyard.compress.errors import CompressionInputError
from steelyard.compress.messages import CompressionRequest
from steelyard.compress.recipe_text import load_recipe
from steelyard.compress.sessions import drawn_feed, open_session, run_bounded
from tests.support.models import endless_model, linear_model
from tests.support.processes import wait_until


def test_an_inference_that_does_not_end_is_stopped(tmp_path: Path) -> None:
    session = open_session(endless_model(tmp_path / "endless.onnx"))
    feed = drawn_feed(session, 0)
    assert isinstance(feed, dict)
    with pytest.raises(CompressionInputError, match="Loop") as caught:
        run_bounded(session, feed, limit_s=0.1)
    assert caught.value.reason == "model_never_returned"


def test_an_inference_that_ends_gives_its_outputs(tmp_path: Path) -> None:
    session = open_session(linear_model(tmp_path / "linear.onnx"))
    feed = drawn_feed(session, 0)
    assert isinstance(feed, dict)
    (logits,) = run_bounded(session, feed)
    assert logits.shape == (1, 3)


def test_a_compression_ends_with_the_controller_that_started_it(tmp_path: Path) -> None:
    request = CompressionRequest(
        model_path=str(endless_model(tmp_path / "endless.onnx")),
        recipe_toml=load_recipe("float16").to_toml(),
        out_dir=str(tmp_path / "out"),
    )
    script = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-m', 'steelyard.compress'], stdin=subprocess.PIPE)\n"
        "child.stdin.write(sys.argv[1].encode()); child.stdin.close()\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, request.to_line()], stdout=subprocess.DEVNULL) as parent:
        try:
            wait_until(lambda: psutil.Process(parent.pid).children())
            (child,) = psutil.Process(parent.pid).children()
            # It watches from its first moment on, and is in the model that never returns when it made its folder.
            wait_until((tmp_path / "out").is_dir)
        finally:
            parent.kill()
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_an_inference_that_allocates_without_end_is_said_to() -> None:
    class Hungry:
        def run(self, *_: object) -> None:
            raise RuntimeError("bfc_arena.cc:360 void* onnxruntime::BFCArena::AllocateRawInternal")

    with pytest.raises(CompressionInputError, match="more memory") as caught:
        run_bounded(Hungry(), {})
    assert caught.value.reason == "model_out_of_memory"

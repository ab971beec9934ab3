"""Where tflite-runtime cannot run, it says why; that it runs is tests/contracts/test_runtime_contract_elsewhere.py."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from steelyard_agent.runtimes.tflite_runtime import TfliteRuntime
from steelyard_agent.worker.failure import BlockFailure, BlockStatus


def test_without_the_library_it_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tflite_runtime", None)
    with pytest.raises(BlockFailure, match=r"Python 3\.11 or older and numpy below 2") as caught:
        TfliteRuntime().probe()
    assert caught.value.status is BlockStatus.RUNTIME_MISSING


def test_beside_a_numpy_that_it_was_not_built_for_it_says_so_before_anything_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    package = ModuleType("tflite_runtime")
    package.__version__ = "2.14.0"
    monkeypatch.setitem(sys.modules, "tflite_runtime", package)
    with pytest.raises(BlockFailure, match=r"2\.14\.0 was built for numpy below 2 and finds numpy 2\.") as caught:
        TfliteRuntime().version()
    assert (caught.value.status, caught.value.reason) == (BlockStatus.RUNTIME_MISSING, "numpy_too_new")

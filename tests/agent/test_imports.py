"""What is not imported: an idle supervisor stays small, a measured worker stays alone."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import steelyard_agent

RUNTIMES = {"onnxruntime", "onnx", "openvino", "ai_edge_litert", "tflite_runtime", "tensorflow", "torch"}


def modules_after(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after running ``code``."""
    script = f"{code}\nimport sys\nprint('MODULES', *sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.rpartition("MODULES ")[2].split())


def below(package: str) -> list[str]:
    """Every module of a package, without the ones that run when they are imported."""
    found = importlib.import_module(package)
    names = [one.name for one in pkgutil.walk_packages(found.__path__, prefix=f"{package}.")]
    return [package, *(name for name in names if not name.endswith("__main__"))]


def test_the_supervisor_imports_no_numpy_and_no_runtime() -> None:
    supervisor = [*below("steelyard_agent.cli"), *below("steelyard_agent.link"), *below("steelyard_agent.jobs")]
    supervisor += [*below("steelyard_agent.state"), *below("steelyard_agent.meters")]
    supervisor += [*below("steelyard_agent.enrollment"), *below("steelyard_agent.policy")]
    loaded = modules_after("import " + ", ".join(supervisor))
    assert {"grpc", "steelyard_protocol"} <= loaded
    assert loaded & (RUNTIMES | {"cryptography", "numpy", "click", "rich", "sqlalchemy", "steelyard"}) == set()


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["run", "--help"]], ids=" ".join)
def test_the_agents_help_imports_no_wire_and_no_numpy(words: list[str]) -> None:
    asked = f"try:\n    main({words!r})\nexcept SystemExit as end:\n    assert not end.code"
    code = f"from steelyard_agent.cli import main\n{asked}"
    assert modules_after(code) & (RUNTIMES | {"numpy", "grpc", "google", "click"}) == set()


def test_the_measured_worker_imports_the_standard_library_and_numpy_only() -> None:
    loaded = modules_after("import " + ", ".join([*below("steelyard_agent.worker"), "steelyard_agent.worker.__main__"]))
    assert loaded & (RUNTIMES | {"grpc", "google", "psutil", "steelyard_protocol", "steelyard", "click"}) == set()
    ours_or_standard = sys.stdlib_module_names | {"numpy", "steelyard_agent", "__main__"}
    bare = modules_after("import numpy")
    assert loaded - bare - ours_or_standard == set()


def test_a_runtime_adapter_imports_its_runtime_on_use_only() -> None:
    loaded = modules_after("import " + ", ".join(below("steelyard_agent.runtimes")))
    assert loaded & (RUNTIMES | {"grpc", "google", "psutil"}) == set()


def test_agent_and_controller_never_meet() -> None:
    for folder, other in (("steelyard_agent", "steelyard"), ("steelyard", "steelyard_agent")):
        root = Path(steelyard_agent.__file__).parents[2] / ("agent" if folder == "steelyard_agent" else "controller")
        for path in (root / folder).rglob("*.py"):
            lines = path.read_text().splitlines()
            for line in lines:
                words = line.split()
                if words[:1] in (["import"], ["from"]):
                    assert words[1].partition(".")[0] != other, path

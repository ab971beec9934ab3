"""What is not imported: the package and the command's help stay instant."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"grpc", "google", "numpy", "onnx", "onnxruntime", "rich", "sqlalchemy", "alembic", "scipy", "jinja2", "torch"}


def modules_after(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after running ``code``."""
    script = f"{code}\nimport sys\nprint('MODULES', *sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.rpartition("MODULES ")[2].split())


def test_importing_the_package_imports_nothing_heavy() -> None:
    loaded = modules_after("import steelyard")
    assert loaded & (HEAVY | {"click", "platformdirs"}) == set()


@pytest.mark.parametrize("words", [["--help"], ["--version"]], ids=" ".join)
def test_the_commands_help_imports_no_command(words: list[str]) -> None:
    loaded = modules_after(f"from steelyard.cli.main import run\nassert run({words!r}) == 0")
    assert "click" in loaded
    assert loaded & HEAVY == set()


def test_the_statistics_import_no_store_no_wire_and_no_model_library() -> None:
    loaded = modules_after("import steelyard.stats.shipping, steelyard.stats.stopping, steelyard.stats.requirements")
    assert loaded & {"grpc", "google", "sqlalchemy", "onnx", "onnxruntime", "torch", "rich", "click"} == set()


def test_the_client_imports_no_store_and_no_model_library() -> None:
    loaded = modules_after("import steelyard\nsteelyard.connect")
    assert "grpc" in loaded
    assert loaded & {"sqlalchemy", "alembic", "onnx", "onnxruntime", "torch", "rich", "scipy"} == set()

"""PyTorch programs become ONNX models that compute the same; what cannot is named with its line."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from click.testing import CliRunner

from steelyard.cli.import_model import import_model as command
from steelyard.errors import EXIT_USAGE, SteelyardError
from steelyard.train.importing.importing import ImportedModel, ImportRequest, import_model
from steelyard.train.importing.inputs import parse_input

torch = pytest.importorskip("torch", reason="torch is not installed (pip install 'steelyard[train]')")

NET = """
import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv2d(3, 4, 3, padding=1)
        self.last = torch.nn.Linear(4, 2)

    def forward(self, image):
        seen = torch.relu(self.first(image)).mean((2, 3))
        return self.last(seen)


class Branching(Net):
    def forward(self, image):
        if image.sum() > 0:
            return super().forward(image)
        return self.last(self.first(image).mean((2, 3)))


class Exotic(torch.nn.Module):
    def forward(self, image):
        return torch.special.bessel_j0(image)


def build():
    return Net()


def broken():
    raise RuntimeError("no such backbone")


def words():
    return "no module"


def leaves():
    raise SystemExit("no arguments")


def wide(width):
    return torch.nn.Linear(width, 2)
"""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "net.py"
    path.write_text(NET)
    return path


def made_of(net: Path, name: str = "Net") -> Any:
    space: dict[str, Any] = {"__name__": "net_of_a_test"}
    exec(compile(net.read_text(), str(net), "exec"), space)
    return space[name]().eval()


def imported(source: object, tmp_path: Path, **more: Any) -> ImportedModel:
    lines: list[str] = []
    request = ImportRequest(
        source=str(source), inputs=(parse_input("1x3x8x8"),), out_path=tmp_path / "out.onnx", **more
    )
    return import_model(request, progress=lines.append)


def refused(source: object, tmp_path: Path, **more: Any) -> SteelyardError:
    with pytest.raises(SteelyardError) as caught:
        imported(source, tmp_path, **more)
    assert not (tmp_path / "out.onnx").exists()
    return caught.value


def test_a_factory_with_a_state_dict_is_imported_by_the_command(net: Path, tmp_path: Path) -> None:
    torch.save(made_of(net).state_dict(), tmp_path / "net.pt")
    out = tmp_path / "made.onnx"
    words = [f"{net}:build", "--weights", str(tmp_path / "net.pt"), "--input", "1x3x8x8", "-o", str(out), "--json"]
    done = CliRunner().invoke(command, words, catch_exceptions=False)
    told = json.loads(done.stdout)
    assert (told["kind"], told["inputs"], told["parameter_count"]) == ("import", ["image"], 4 * 27 + 4 + 10)
    (given,) = onnx.load_model(out).graph.input
    sizes = [one.dim_param or one.dim_value for one in given.type.tensor_type.shape.dim]
    assert sizes == ["batch", 3, 8, 8]


def test_an_exported_program_keeps_its_names(net: Path, tmp_path: Path) -> None:
    batch = torch.export.Dim("batch")
    program = torch.export.export(made_of(net), (torch.zeros(2, 3, 8, 8),), dynamic_shapes=({0: batch},))
    torch.export.save(program, tmp_path / "net.pt2")
    made = imported(tmp_path / "net.pt2", tmp_path)
    assert (made.kind, made.input_names) == ("ExportedProgram", ("image",))
    assert made.difference < 1e-5


def test_an_exported_program_of_one_batch_is_told_to_keep_it(net: Path, tmp_path: Path) -> None:
    program = torch.export.export(made_of(net), (torch.zeros(1, 3, 8, 8),))
    torch.export.save(program, tmp_path / "net.pt2")
    assert "--fixed-batch to keep it (--input 1x3x8x8)" in str(refused(tmp_path / "net.pt2", tmp_path))
    assert imported(tmp_path / "net.pt2", tmp_path, open_batch=False).difference < 1e-5


@pytest.mark.parametrize(("sizes", "reason"), [("1x3x8x8", "batch_fixed"), ("2x3x9x9", "invalid_input")])
def test_an_exported_program_tells_the_sizes_that_it_was_exported_for(
    net: Path, tmp_path: Path, sizes: str, reason: str
) -> None:
    program = torch.export.export(made_of(net), (torch.zeros(2, 3, 8, 8),))
    torch.export.save(program, tmp_path / "net.pt2")
    request = ImportRequest(
        source=str(tmp_path / "net.pt2"), inputs=(parse_input(sizes),), out_path=tmp_path / "out.onnx"
    )
    with pytest.raises(SteelyardError, match="--input 2x3x8x8") as caught:
        import_model(request, progress=lambda _: None)
    assert caught.value.reason == reason


class Planted:
    """What a pickle may do as it is loaded."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self._path,)


def rewritten(path: Path, part: str, change: Callable[[bytes], bytes]) -> Path:
    """Return a copy of an archive in which the parts with these letters in their names are others."""
    copy = path.with_name(f"planted{path.suffix}")
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(copy, "w") as after:
        for name in before.namelist():
            after.writestr(name, change(before.read(name)) if part in name else before.read(name))
    return copy


def test_nothing_in_an_exported_program_runs_while_it_is_read(net: Path, tmp_path: Path) -> None:
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(made_of(net), (torch.zeros(2, 3, 8, 8),), dynamic_shapes=({0: batch},))
    torch.export.save(program, tmp_path / "net.pt2")
    planted, content = tmp_path / "planted", io.BytesIO()
    torch.save({"x": Planted(planted)}, content)
    pickled = rewritten(tmp_path / "net.pt2", "sample_inputs", lambda _: content.getvalue())
    assert refused(pickled, tmp_path).reason == "bare_pickle"
    code = f"__import__('pathlib').Path('{planted.as_posix()}').touch()".encode()
    evaluated = rewritten(
        tmp_path / "net.pt2", ".json", lambda one: re.sub(rb'("expr_str": ?")[^"]*', rb"\g<1>" + code, one)
    )
    assert refused(evaluated, tmp_path).reason == "bare_pickle"
    assert not planted.exists()


def test_torchscript_is_imported(net: Path, tmp_path: Path) -> None:
    with pytest.warns(DeprecationWarning, match="deprecated"):
        torch.jit.trace(made_of(net), torch.zeros(1, 3, 8, 8)).save(str(tmp_path / "net.ts"))
    made = imported(tmp_path / "net.ts", tmp_path)
    assert (made.kind, made.input_names) == ("TorchScript", ("image",))


def test_a_branch_on_values_is_named_with_its_line(net: Path, tmp_path: Path) -> None:
    error = refused(f"{net}:Branching", tmp_path)
    assert (error.reason, error.exit_code) == ("not_traceable", EXIT_USAGE)
    assert "net.py:18: if image.sum() > 0: (it goes by the values in a tensor" in str(error)
    assert "torch.where" in str(error)
    assert "Guard" not in str(error)


def test_a_module_of_one_batch_is_told_of_the_flag(net: Path, tmp_path: Path) -> None:
    net.write_text(NET.replace("return self.last(seen)", "return self.last(seen.reshape(2, 4))"))
    error = refused(f"{net}:build", tmp_path)
    assert error.reason == "batch_fixed"
    assert "batch is always 2; write it for any size (x.shape[0], not len(x)), or add --fixed-batch" in str(error)


def test_an_operator_that_onnx_lacks_is_named_with_its_line(net: Path, tmp_path: Path) -> None:
    error = refused(f"{net}:Exotic", tmp_path)
    assert error.reason == "unknown_torch_op"
    assert "special_bessel_j0" in str(error)
    assert "net.py:25: return torch.special.bessel_j0(image)" in str(error)


def test_a_bare_pickle_is_loaded_only_when_asked(net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 2)), tmp_path / "whole.pt")
    assert refused(tmp_path / "whole.pt", tmp_path).reason == "bare_pickle"
    assert imported(tmp_path / "whole.pt", tmp_path, allow_pickle=True).kind == "pickled module"


@pytest.mark.parametrize(
    ("name", "reason", "words"),
    [
        ("broken", "factory_failed", "net.py:33: raise RuntimeError"),
        ("words", "no_module", "returned a str"),
        ("leaves", "factory_failed", "net.py:41: raise SystemExit"),
        ("wide", "factory_failed", "failed (TypeError: wide() missing 1 required"),
        ("absent", "no_factory", "no callable absent"),
        ("", "no_factory", "names no callable"),
    ],
)
def test_a_factory_that_gives_no_module_is_named(net: Path, tmp_path: Path, name: str, reason: str, words: str) -> None:
    error = refused(f"{net}:{name}" if name else net, tmp_path)
    assert error.reason == reason
    assert words in str(error)


def test_weights_of_another_network_and_weights_that_are_a_pickle_are_refused(net: Path, tmp_path: Path) -> None:
    torch.save({"other": torch.zeros(1)}, tmp_path / "other.pt")
    torch.save(torch.nn.Linear(1, 1), tmp_path / "whole.pt")
    assert refused(f"{net}:build", tmp_path, weights=tmp_path / "other.pt").reason == "weights_do_not_fit"
    assert refused(f"{net}:build", tmp_path, weights=tmp_path / "whole.pt").reason == "bare_pickle"
    assert refused(f"{net}:build", tmp_path, weights=tmp_path / "absent.pt").reason == "model_not_found"


@pytest.mark.parametrize("entry", ["state_dict", "model", "net_ema"])
def test_the_state_dict_of_a_checkpoint_is_found_in_it(net: Path, tmp_path: Path, entry: str) -> None:
    held = {"epoch": 3, "optimizer": {"state": {}, "param_groups": []}, entry: made_of(net).state_dict()}
    torch.save(held, tmp_path / "checkpoint.pt")
    assert imported(f"{net}:build", tmp_path, weights=tmp_path / "checkpoint.pt").parameter_count == 4 * 27 + 4 + 10


def test_weights_that_do_not_fit_are_told_by_name_and_several_state_dicts_are_not_guessed_at(
    net: Path, tmp_path: Path
) -> None:
    weights = made_of(net).state_dict()
    torch.save({"model": weights, "ema": weights}, tmp_path / "two.pt")
    assert "several state dicts (ema, model)" in str(refused(f"{net}:build", tmp_path, weights=tmp_path / "two.pt"))
    torch.save({f"other.{key}.x": value for key, value in weights.items()}, tmp_path / "other.pt")
    told = str(refused(f"{net}:build", tmp_path, weights=tmp_path / "other.pt"))
    assert "it lacks first.weight, first.bias, last.weight and 1 more, and the module has no other.first.w" in told


def test_inputs_that_the_program_does_not_take_are_told_with_the_line(net: Path, tmp_path: Path) -> None:
    request = ImportRequest(source=f"{net}:build", inputs=(parse_input("1x5x8x8"),), out_path=tmp_path / "out.onnx")
    with pytest.raises(SteelyardError, match=r"does not run with inputs of 2x5x8x8 at .*net\.py:12") as caught:
        import_model(request, progress=lambda _: None)
    assert caught.value.reason == "does_not_run"

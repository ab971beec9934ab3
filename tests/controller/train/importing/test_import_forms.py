"""Programs of every form that people write: outputs by name, arguments by name, packages, inputs changed in place."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import pytest
from click.testing import CliRunner

from steelyard.cli.import_model import import_model as command
from steelyard.errors import SteelyardError
from steelyard.train.export.onnx_program import export_lifted
from steelyard.train.importing.importing import ImportedModel, ImportRequest, import_model
from steelyard.train.importing.inputs import parse_input
from steelyard.train.lift import lift_checked

torch = pytest.importorskip("torch", reason="torch is not installed (pip install 'steelyard[train]')")

NETS = """
from dataclasses import dataclass
import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 2)

    def forward(self, image):
        return self.layer(image)


@dataclass
class Answer:
    scores: torch.Tensor
    loss: torch.Tensor | None
    hidden: tuple


class Named(Net):
    def forward(self, image):
        made = self.layer(image)
        return {"logits": made, "image": image + 1}


class Typed(Net):
    def forward(self, image):
        made = self.layer(image)
        return Answer(scores=made, loss=None, hidden=(made * 2, made * 3))


class Nested(Net):
    def forward(self, image):
        made = self.layer(image)
        return made, (made * 2, made * 3)


class Lettered(Net):
    def forward(self, image):
        return self.layer(image), "cat"


class Masked(Net):
    def forward(self, image, *, mask=None):
        made = self.layer(image)
        return made if mask is None else made * mask


class Changing(Net):
    def forward(self, image):
        image.sub_(0.5)
        return self.layer(image)


class Chance(Net):
    def forward(self, image):
        return self.layer(image + torch.randn_like(image))


class Talking(Net):
    def forward(self, image):
        print("seen", image.shape)
        return self.layer(image)


class Weekdays(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(3, 2)

    def forward(self, days):
        return self.table(days).mean(1)


def half():
    return Net().half()


def double():
    return Net().double()


class Two(Net):
    def forward(self, image, places):
        return self.layer(image)[places]


def late():
    from beside import Beside
    return Beside()
"""


@pytest.fixture
def nets(tmp_path: Path) -> Path:
    path = tmp_path / "nets.py"
    path.write_text(NETS)
    return path


def imported(source: str, tmp_path: Path, inputs: Sequence[str] = ("1x4",), **more: Any) -> ImportedModel:
    examples = tuple(parse_input(text) for text in inputs)
    request = ImportRequest(source=source, inputs=examples, out_path=tmp_path / "out.onnx", **more)
    return import_model(request, progress=lambda _: None)


def refused(source: str, tmp_path: Path, inputs: Sequence[str] = ("1x4",)) -> SteelyardError:
    with pytest.raises(SteelyardError) as caught:
        imported(source, tmp_path, inputs)
    assert not (tmp_path / "out.onnx").exists()
    return caught.value


@pytest.mark.parametrize(
    ("name", "outputs"),
    [
        ("Named", ("logits", "output_1_image")),
        ("Typed", ("scores", "hidden_0", "hidden_1")),
        ("Nested", ("output_0", "output_1", "output_2")),
    ],
)
def test_outputs_are_called_by_their_keys_and_fields(
    nets: Path, tmp_path: Path, name: str, outputs: tuple[str, ...]
) -> None:
    made = imported(f"{nets}:{name}", tmp_path)
    assert made.output_names == outputs
    assert tuple(one.name for one in onnx.load(made.path).graph.output) == outputs
    assert made.difference < 1e-5


def test_an_output_that_is_no_tensor_is_named(nets: Path, tmp_path: Path) -> None:
    assert "returns a str in its output 1;" in str(refused(f"{nets}:Lettered", tmp_path))


def test_an_argument_by_name_alone_is_given_so(nets: Path, tmp_path: Path) -> None:
    assert imported(f"{nets}:Masked", tmp_path).input_names == ("image",)
    made = imported(f"{nets}:Masked", tmp_path, ("mask=1x2", "image=1x4"))
    assert (made.input_names, made.output_names) == (("image", "mask"), ("output",))


def test_a_program_that_changes_its_inputs_in_place_is_compared_on_what_it_was_given(
    nets: Path, tmp_path: Path
) -> None:
    assert imported(f"{nets}:Changing", tmp_path).difference < 1e-5


def test_a_program_that_draws_is_refused(nets: Path, tmp_path: Path) -> None:
    assert refused(f"{nets}:Chance", tmp_path).reason == "outputs_vary"


def test_what_a_program_prints_is_none_of_the_outcome(nets: Path, tmp_path: Path) -> None:
    words = [f"{nets}:Talking", "--input", "1x4", "-o", str(tmp_path / "made.onnx"), "--json"]
    done = CliRunner().invoke(command, words, catch_exceptions=False)
    assert json.loads(done.stdout)["outputs"] == ["output"]


def test_weights_of_another_type_than_the_inputs_are_told_with_the_way_on(nets: Path, tmp_path: Path) -> None:
    assert "module.float(), or give --input image=1x4:float16" in str(refused(f"{nets}:half", tmp_path))
    assert str(refused(f"{nets}:double", tmp_path)).endswith("float64: have the factory return module.float()")
    assert imported(f"{nets}:half", tmp_path, ("1x4:float16",)).difference < 1e-2


def test_a_table_of_a_few_rows_is_given_rows_that_it_has(nets: Path, tmp_path: Path) -> None:
    made = imported(f"{nets}:Weekdays", tmp_path, ("1x7:int64",))
    assert made.difference < 1e-5
    lifted = lift_checked(made.path)
    assert export_lifted(lifted, tmp_path / "again.onnx").difference < 1e-5


def test_inputs_of_several_batches_are_told_of_the_flag(nets: Path, tmp_path: Path) -> None:
    error = refused(f"{nets}:Two", tmp_path, ("2x4", "places=3:int64"))
    assert "(image 2, places 3); give each the same, or add --fixed-batch" in str(error)
    assert imported(f"{nets}:Two", tmp_path, ("10x4", "places=3:int64"), open_batch=False).difference < 1e-5


def test_a_module_a_late_import_and_a_file_of_a_package_are_found(nets: Path, tmp_path: Path) -> None:
    nets.write_text(f"{NETS}\nready = Net()\n")
    (tmp_path / "beside.py").write_text("from nets import Net as Beside\n")
    folder = tmp_path / "family"
    folder.mkdir()
    (folder / "part.py").write_text(NETS)
    (folder / "whole.py").write_text("from .part import Net\n")
    for source in (f"{nets}:ready", f"{nets}:late", f"{folder / 'whole.py'}:Net"):
        assert imported(source, tmp_path).parameter_count == 10


def test_an_exported_program_is_called_as_it_was_exported(nets: Path, tmp_path: Path) -> None:
    class Dictionary(torch.nn.Module):
        def forward(self, given: dict[str, Any], scale: Any = None, *, moved: Any) -> Any:
            return {"sum": given["left"] + given["right"] + moved}

    batch = torch.export.Dim("batch")
    zeros = torch.zeros(2, 4)
    program = torch.export.export(
        Dictionary(),
        ({"left": zeros, "right": zeros}, None),
        {"moved": zeros},
        dynamic_shapes={"given": {"left": {0: batch}, "right": {0: batch}}, "scale": None, "moved": {0: batch}},
    )
    torch.export.save(program, tmp_path / "net.pt2")
    made = imported(str(tmp_path / "net.pt2"), tmp_path, ("1x4", "1x4", "1x4"))
    assert (len(made.input_names), made.output_names) == (3, ("sum",))


def test_a_program_that_was_exported_in_training_is_refused(tmp_path: Path) -> None:
    program = torch.export.export(torch.nn.BatchNorm1d(4), (torch.zeros(2, 4),))
    torch.export.save(program, tmp_path / "net.pt2")
    assert "call eval() on the module" in str(refused(str(tmp_path / "net.pt2"), tmp_path))

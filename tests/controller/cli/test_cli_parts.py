"""`steelyard compress` on a parts file: its documented example, its JSON, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.controller.cli.running import Ran
from tests.controller.compress.parts.planted import Planted


@pytest.fixture
def words(tmp_path: Path) -> tuple[object, ...]:
    planted = Planted(tmp_path)
    return ("compress", planted.parts_file(), "--task", planted.task_file())


def test_each_part_is_told_alone_and_all_together(steelyard, words: tuple[object, ...], tmp_path: Path) -> None:
    recipes = ("--recipe", "encoder=float16", "--recipe", "decoder=static-int8")
    ran: Ran = steelyard(*words, *recipes, "--part-tasks", tmp_path / "kept")
    assert ran.code == 0, ran.err
    assert max(map(len, ran.out.partition("\n- ")[0].splitlines())) <= 80
    for text in ("nothing", "encoder alone: float16", "decoder alone", "all of them", "calibrated on 120 of its calls"):
        assert text in ran.out, ran.out
    assert (tmp_path / "kept/decoder.toml").is_file()

    document = steelyard(*words, *recipes, "--json").document
    assert document["kind"] == "parts"
    assert [part["name"] for part in document["parts"]] == ["encoder", "decoder"]
    assert document["original"]["value"] == 200.0
    assert document["parts"][1]["alone"]["value"] < 200.0
    assert document["parts"][1]["variant"]["lineage"]["recipe_name"] == "static-int8"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (("--recipe", "decodr=float16"), "did you mean 'decoder'"),
        (("--recipe", "float16", "--no-cache"), "not for a model in parts"),
        (("--recipe", "float16", "--recipe", "static-int8"), "give PART=RECIPE"),
    ],
)
def test_what_makes_no_sense_is_refused(
    steelyard, words: tuple[object, ...], changes: tuple[str, ...], sentence: str
) -> None:
    assert sentence in steelyard(*words, *changes).is_refused()


def test_a_model_in_parts_needs_a_task(steelyard, words: tuple[object, ...]) -> None:
    assert "give --task FILE" in steelyard(*words[:2], "--recipe", "float16").is_refused()


def test_part_tasks_are_for_parts_alone(steelyard, tmp_path: Path) -> None:
    planted = Planted(tmp_path)
    ran: Ran = steelyard(
        *("compress", planted.folder / "encoder.onnx", "--recipe", "float16", "--part-tasks", tmp_path / "kept")
    )
    assert "is for a model in parts" in ran.is_refused()

"""`steelyard bisect`, as a person types it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.controller.cli.conftest import QUICK
from tests.support.models import conv_model

# Exact, so that three rounds on any machine decide it.
HASH = ("--fail-if", "output_hash changed")


@pytest.fixture(scope="package")
def line(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Five models; from the fourth on their outputs are others."""
    folder = tmp_path_factory.mktemp("line")
    # None is the shared model's, which other tests name.
    seeds = (10, 10, 10, 11, 11)
    paths = [conv_model(folder / f"m{number}.onnx", seed=seed) for number, seed in enumerate(seeds)]
    return [Path(path) for path in paths]


def test_the_first_model_that_changed_is_found_and_the_search_goes_on(steelyard, line: list[Path]) -> None:
    models = [line[0], line[2], line[3]]
    ran = steelyard("bisect", *models, *HASH, *QUICK, "--json")

    assert ran.code == 0, ran.err
    document = ran.document
    assert (document["kind"], document["first_bad"], document["last_good"]) == ("bisection", 2, 1)
    assert [one["answer"] for one in document["comparisons"]] == ["bad", "good"]
    again = steelyard("bisect", *models, *HASH, *QUICK, "--json").document
    assert again["comparisons"] == document["comparisons"]


def test_without_a_change_there_is_nothing_to_find(steelyard, line: list[Path]) -> None:
    ran = steelyard("bisect", line[0], line[1], *HASH, *QUICK)

    assert ran.code == 3, ran.err
    assert ran.out.startswith("nothing to find: beside ")
    assert "the same bytes as the first one" in ran.out


def test_the_step_of_a_recipe_that_changes_outputs_is_found(steelyard, tmp_path: Path) -> None:
    # A model of its own: other tests name what recipes make of the shared one.
    model = conv_model(tmp_path / "stepped.onnx", seed=77)
    ran = steelyard("bisect", model, "--recipe", "fold+float16", *HASH, *QUICK)

    assert ran.code == 0, (ran.out, ran.err)
    assert "step 2, float16" in ran.out.splitlines()[0]


def test_the_revision_of_a_file_that_changed_it_is_found(steelyard, line: list[Path], tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        who = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
        subprocess.run(["git", "-C", str(tmp_path / "r"), *who, *arguments], check=True, capture_output=True)

    (tmp_path / "r").mkdir()
    git("init", "-q", "-b", "main")
    for number in (0, 3):
        (tmp_path / "r" / "net.onnx").write_bytes(line[number].read_bytes())
        git("add", ".")
        git("commit", "-qm", f"from m{number}")
    ran = steelyard("bisect", tmp_path / "r" / "net.onnx", "--git", "main~1..main", *HASH, *QUICK)

    assert ran.code == 0, ran.err
    assert "from m3" in ran.out.splitlines()[0]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["A"], "name a later one"),
        (["A", "B", "--git", "x..y"], "searches one model"),
        (["A", "--git", "x..y", "--env", "a,b"], "are two searches"),
        (["A", "--git", "x"], "GOOD..BAD"),
        (["A", "--env", "a"], "name two or more"),
        (["A", "B", "--fail-if", "accuracy < -1pp"], "add --task"),
        (["A", "B", "--fail-if", "p50"], "is no condition"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_makes_no_sense_is_refused(steelyard, line: list[Path], words: list[str], says: str) -> None:
    typed = [{"A": str(line[0]), "B": str(line[3])}.get(word, word) for word in words]

    assert says in steelyard("bisect", *typed, "--local").is_refused()

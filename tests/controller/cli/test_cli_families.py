"""How models are related: lineage, lists that filter and sort, any model back as a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.controller.cli.running import Ran, run_command
from tests.support.models import conv_model

PIPELINE = "equalize+static-int8"


@pytest.fixture(scope="module")
def family(client: object, state: Path, inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A model of its own, compressed in two steps with a task."""
    model = conv_model(tmp_path_factory.mktemp("family") / "clan.onnx", depth=2, seed=41)
    task = ("--task", str(inputs / "data.npz"))
    return run_command("--state-directory", str(state), "compress", str(model), "--recipe", PIPELINE, *task)


def test_a_compression_shows_each_step_with_size_score_and_seconds(family: Ran) -> None:
    assert family.code == 0, family.err
    for word in ("the model", "equalize", "static-int8", "deflated", "top1 (evaluation)", "change", "seconds"):
        assert word in family.out
    *table, command = family.out.splitlines()
    assert max(map(len, table)) <= 80
    assert command.startswith("measure it: steelyard measure "), "a command that is copied stays one line"


def test_the_lineage_is_a_tree_from_the_first_model_on(steelyard, family: Ran) -> None:
    shown = steelyard("lineage", f"clan-{PIPELINE}")
    assert shown.code == 0, shown.err
    lines = shown.out.splitlines()
    assert lines[0].startswith("clan ")
    (between,) = [number for number, line in enumerate(lines) if "clan-equalize " in line]
    (last,) = [number for number, line in enumerate(lines) if f"clan-{PIPELINE} " in line and "──" in line]
    assert 0 < between < last
    assert lines[last].index("clan") > lines[between].index("clan") > 0
    assert max(map(len, lines)) <= 80


def test_the_lineage_as_json_names_ancestors_and_children(steelyard, family: Ran) -> None:
    documents = {
        name: steelyard("lineage", name, "--json").document for name in ("clan", "clan-equalize", f"clan-{PIPELINE}")
    }
    digests = {name: one["artifact"]["digest"] for name, one in documents.items()}
    assert documents["clan"]["kind"] == "lineage"
    assert documents["clan"]["ancestors"] == []
    assert documents["clan"]["children"] == [digests["clan-equalize"]]
    assert documents["clan-equalize"]["children"] == [digests[f"clan-{PIPELINE}"]]
    assert documents[f"clan-{PIPELINE}"]["ancestors"] == [digests["clan-equalize"], digests["clan"]]


def test_lists_keep_what_is_asked_for_in_the_order_asked_for(steelyard, family: Ran) -> None:
    def names(*flags: str, command: str = "artifact") -> list[str]:
        document = steelyard(command, "list", "--json", "--name", "CLAN", *flags).document
        return [one["name"] for one in document[f"{command}s"]]

    everything = ["clan", "clan-equalize", f"clan-{PIPELINE}"]
    assert names() == everything[::-1]
    assert names("--reverse") == everything
    assert names("--sort", "name") == everything
    assert names("--sort", "name", "--reverse", "--limit", "1") == everything[-1:]
    assert names("--parent", "clan") == everything[:0:-1]
    assert names("--format", "tflite") == []
    assert names(command="variant") == everything[:0:-1]
    sizes = [
        one["size_bytes"]
        for one in steelyard("artifact", "list", "--json", "--name", "clan", "--sort", "size").document["artifacts"]
    ]
    assert sizes == sorted(sizes, reverse=True)


def test_variants_are_listed_with_sizes_and_score(steelyard, family: Ran) -> None:
    shown = steelyard("variant", "list", "--name", "clan")
    assert shown.code == 0, shown.err
    for word in ("deflated", "score", "top1"):
        assert word in shown.out
    assert max(map(len, shown.out.splitlines())) <= 80


def test_a_parent_that_is_not_there_is_one_line(steelyard) -> None:
    assert "nobody" in steelyard("variant", "list", "--parent", "nobody").is_refused()


def test_measurements_are_listed_with_their_figures(steelyard, measured: Ran) -> None:
    job_id = measured.document["measurements"][0]["job_id"]
    shown = steelyard("result", "list", "--model", "conv")
    assert shown.code == 0, shown.err
    for word in (job_id[:8], "local", "original", "static-int8", "p50", "speed-up"):
        assert word in shown.out
    document = steelyard("result", "list", "--device", "local", "--limit", "50", "--json").document
    assert document["kind"] == "results"
    assert job_id in [one["job_id"] for one in document["results"]]
    assert steelyard("result", "list", "--device", "elsewhere", "--json").document["results"] == []


def test_any_model_of_the_family_comes_back_as_a_file(steelyard, family: Ran, tmp_path: Path) -> None:
    import hashlib

    path = tmp_path / "equalized.onnx"
    done = steelyard("artifact", "export", "clan-equalize", path)
    assert done.code == 0, done.err
    digest = steelyard("lineage", "clan-equalize", "--json").document["artifact"]["digest"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    assert "--force" in steelyard("artifact", "export", "clan", path).is_refused()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    assert steelyard("artifact", "export", "clan", path, "--force").code == 0
    assert hashlib.sha256(path.read_bytes()).hexdigest() != digest
    assert [one.name for one in tmp_path.iterdir() if "equalized" in one.name] == ["equalized.onnx"]
    assert "cannot be written" in steelyard("artifact", "export", "clan", tmp_path / "no" / "m.onnx").is_refused()


def test_recipes_are_listed_with_their_steps(steelyard) -> None:
    listed = steelyard("compress", "--list")
    assert listed.code == 0, listed.err
    assert any(
        line.split()[:2] == ["int8-careful", "equalize+static-int8+bias-correction"] for line in listed.out.splitlines()
    )


def test_a_model_is_added_under_a_name_and_confidential_for_good(steelyard, tmp_path: Path) -> None:
    model = conv_model(tmp_path / "secret.onnx", depth=1, seed=778)
    flags = ("--name", "hushed", "--confidential", "--json")
    added = steelyard("artifact", "add", str(model), *flags).document["artifact"]
    assert (added["name"], added["confidential"]) == ("hushed", True)
    again = steelyard("artifact", "add", str(model))
    assert again.code == 0, again.err
    assert again.out.startswith("added hushed (")
    assert "no longer than a job" in again.out
    assert steelyard("artifact", "show", "hushed", "--json").document["artifact"]["confidential"] is True

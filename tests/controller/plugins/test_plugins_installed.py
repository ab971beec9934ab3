"""Installed plugins: found by entry point, imported when they are asked for, told with the digest of their sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard.compress.built_in_recipes import builtin_recipes
from steelyard.compress.recipe_text import load_recipe
from steelyard.compress.registry import step_class, step_plugin
from steelyard.plugins.errors import PluginError
from steelyard.plugins.files import use_file
from steelyard.plugins.listing import listed_plugins
from steelyard.plugins.origin import package_sha256
from tests.controller.plugins.files import COPY_STEP, HEAD, install, write_plugin


def test_a_step_is_found_by_its_entry_point(site: Path) -> None:
    install(site, "copying_one", HEAD + COPY_STEP, {"steps/copy-model": "Copy"})
    assert load_recipe("copy-model").step_list[0].kind == "copy-model"
    name, version, digest = step_plugin("copy-model").split(" ")
    assert (name, version, len(digest)) == ("copying-one", "1.0", 64)
    assert "copy-model" not in {recipe.name for recipe in builtin_recipes()}


def test_the_digest_follows_every_file_of_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "digested_package"
    (package / "part").mkdir(parents=True)
    (package / "__init__.py").write_text("x = 1\n")
    (package / "part" / "table.txt").write_text("1\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = package_sha256("digested_package.part")
    assert package_sha256("digested_package") == before
    (package / "part" / "table.txt").write_text("12\n")
    assert package_sha256("digested_package") != before


def test_a_broken_plugin_harms_nobody_who_does_not_use_it(site: Path) -> None:
    install(site, "broken_one", "import nothing_of_this_name\n", {"steps/broken-step": "Gone"})
    install(site, "copying_two", HEAD + COPY_STEP, {"steps/copy-model": "Copy"})
    assert load_recipe("copy-model+float16").name == "copy-model+float16"
    with pytest.raises(PluginError, match=r"plugin broken-one 1\.0 \(broken_one:Gone\) cannot be imported") as caught:
        load_recipe("broken-step")
    assert caught.value.reason == "broken_plugin"


def test_two_plugins_of_one_kind_are_told_apart_only_by_uninstalling(site: Path) -> None:
    for module in ("twin_a", "twin_b"):
        install(site, module, HEAD + COPY_STEP, {"steps/copy-model": "Copy"})
    with pytest.raises(PluginError, match=r"twin-a 1\.0 and twin-b 1\.0 both bring the step 'copy-model'"):
        step_class("copy-model")


def test_a_file_cannot_take_the_name_of_an_installed_plugin(site: Path, tmp_path: Path) -> None:
    install(site, "copying_three", HEAD + COPY_STEP, {"steps/copy-model": "Copy"})
    with pytest.raises(PluginError, match=r"a name that the plugin copying-three 1\.0 has"):
        use_file(write_plugin(tmp_path / "mine.py", COPY_STEP, listed='{"steps": [Copy]}'))


def test_the_list_says_of_each_what_keeps_it_from_being_used(site: Path, tmp_path: Path) -> None:
    install(site, "broken_two", "1 / 0\n", {"metrics/broken-metric": "Gone"})
    install(site, "greedy_one", HEAD + COPY_STEP, {"steps/float16": "Copy", "steps/other-name": "Copy"})
    renamed = COPY_STEP.replace('"copy-model"', '"copy-of-file"')
    use_file(write_plugin(tmp_path / "mine.py", renamed, listed='{"steps": [Copy]}'))
    rows = {one.kind: one for one in listed_plugins()}
    assert list(rows) == ["copy-of-file", "float16", "other-name", "broken-metric"]
    assert rows["copy-of-file"].problem == ""
    assert rows["copy-of-file"].summary == "Copies the model."
    assert "of its own, which is used" in rows["float16"].problem
    assert "registered as 'other-name' and has the kind 'copy-model'" in rows["other-name"].problem
    assert "ZeroDivisionError" in rows["broken-metric"].problem
    assert all(len(row.origin.sha256) == 64 for row in rows.values())

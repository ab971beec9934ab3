"""The documents are right: links lead somewhere, commands parse, snippets compile, names exist."""

from __future__ import annotations

import ast
import contextlib
import importlib
import re
from pathlib import Path
from typing import Any

import click
import pytest
import tomllib
from tools import document_commands

from steelyard.cli.main import cli
from steelyard.compress.learning import Learns
from steelyard.compress.parts.parts_file import load_parts
from steelyard.compress.recipe_text import load_recipe, parse_recipe
from steelyard.control.client import Client
from steelyard.control.job_handle import JobHandle
from steelyard.nightly.heartbeat import read_heartbeat
from steelyard.notify.reading import read_channels
from steelyard.settings import load_settings
from steelyard.stats.requirements import METRICS, parse_requirement
from steelyard.suites.reading import load_suite
from steelyard.suites.substitution import substitute_tables
from steelyard.tasks.metrics.registry import metric
from steelyard.tasks.task_file import parse_task_file
from steelyard_agent.cli.arguments import build_parser
from steelyard_agent.policy.document import PolicyRules, read_rules
from steelyard_agent.profiles import parse_profile
from tests.docs.documents import PAGES, ROOT, Block, blocks, command_lines, command_mentions, name_of

_LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_SOURCES = "\n".join(
    path.read_text(encoding="utf-8") for folder in ("agent", "controller") for path in (ROOT / folder).rglob("*.py")
)


def _anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for found in _LINK.finditer(page.read_text(encoding="utf-8")):
        target, _, anchor = found["target"].partition("#")
        if target.startswith(("https://", "mailto:")):
            continue
        aim = page.parent / target if target else page
        assert aim.exists(), f"{name_of(page)} links to {target}, which is not there"
        assert not anchor or anchor in _anchors(aim), f"{name_of(page)} links to {target}#{anchor}: no such heading"


def test_every_page_is_listed_in_the_guide() -> None:
    guide = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    listed = {found["target"] for found in _LINK.finditer(guide)}
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")}
    assert pages - {"README.md"} <= listed


def test_the_page_of_commands_is_what_the_programs_say() -> None:
    page = document_commands.PAGE.read_text(encoding="utf-8")
    assert page == document_commands.document(), "run: .venv/bin/python tools/document_commands.py"


@pytest.mark.parametrize(("page", "words"), command_lines(), ids=str)
def test_every_command_in_the_documents_parses(page: str, words: list[str]) -> None:
    parse = _parse_controller if words[0] == "steelyard" else _parse_agent
    parse(words[1:])


@pytest.mark.parametrize(("page", "words"), command_mentions(), ids=str)
def test_every_command_that_the_text_mentions_exists(page: str, words: list[str]) -> None:
    if words[0] == "steelyard-agent" and len(words) == 2:
        assert words[1] in document_commands.agent_commands()
        return
    with contextlib.suppress(click.MissingParameter):
        test_every_command_in_the_documents_parses(page, words)


def _parse_controller(words: list[str]) -> None:
    """Parse down to the last command without running it."""
    command: click.Command = cli
    context: click.Context | None = None
    name = "steelyard"
    while isinstance(command, click.Group):
        words, context = _group_rest(command, name, words, context)
        if not words:
            return
        found, child, words = command.resolve_command(context, words)
        assert found is not None
        assert child is not None
        name, command = found, child
    parsed = command.make_context(name, words, parent=context)
    for requirement in parsed.params.get("requirements", ()):
        parse_requirement(requirement)
    if parsed.params.get("plugin_paths"):
        # A kind of a reader's own file, which is not here, may stand in the recipe.
        return
    in_parts = str(parsed.params.get("model", "")).endswith(".toml")
    for text in parsed.params.get("recipes", ()):
        recipe = text.partition("=")[2] if in_parts else text
        assert recipe.endswith(".toml") or load_recipe(recipe)


def _group_rest(
    group: click.Group, name: str, words: list[str], parent: click.Context | None
) -> tuple[list[str], click.Context]:
    """Read a group's own options and return what is left for its command."""
    context = click.Context(group, info_name=name, parent=parent)
    _, rest, _ = group.make_parser(context).parse_args(list(words))
    return rest, context


def _parse_agent(words: list[str]) -> None:
    if words != ["--version"]:
        assert callable(build_parser().parse_args(words).command)


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: block.page)
def test_every_python_snippet_compiles_and_names_what_exists(block: Block) -> None:
    tree = ast.parse(block.content)
    known = {"client": Client, "job": JobHandle}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.module is not None
            module = importlib.import_module(node.module)
            assert all(hasattr(module, one.name) for one in node.names), ast.unparse(node)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in known:
            assert hasattr(known[node.value.id], node.attr), ast.unparse(node)


def test_the_options_of_a_measurement_are_all_documented() -> None:
    from steelyard.control.plans import MeasurementOptions

    page = (ROOT / "docs/python-api.md").read_text(encoding="utf-8")
    missing = [name for name in MeasurementOptions.__slots__ if f"`{name}`" not in page]
    assert not missing


@pytest.mark.parametrize("block", blocks("toml"), ids=lambda block: block.page)
def test_every_toml_example_is_read_by_the_program(block: Block, tmp_path: Path) -> None:
    content = tomllib.loads(block.content)
    if "steps" in content:
        parse_recipe(block.content)
    elif "parts" in content:
        (tmp_path / "parts.toml").write_text(block.content)
        assert load_parts(tmp_path / "parts.toml").parts
    elif "evaluation" in content or "source" in content:
        parse_task_file(block.content, source=tmp_path / "task.toml")
    elif set(content) == {"metric"}:
        settings = {key: value for key, value in content["metric"].items() if key != "kind"}
        assert metric(content["metric"]["kind"], settings).kind == content["metric"]["kind"]
    elif "match" in content:
        parse_profile(block.content, block.page)
    elif "suite" in content:
        (tmp_path / "night.toml").write_text(block.content)
        assert load_suite(tmp_path / "night.toml", {}).models
    elif content.keys() <= {"notify", "heartbeat"}:
        _read_notify(content, tmp_path)
    elif "windows" in content:
        (tmp_path / "policy.toml").write_text(block.content)
        assert read_rules(tmp_path) != PolicyRules()
    else:
        (tmp_path / "steelyard.toml").write_text(block.content)
        settings = load_settings({}, environ={}, cwd=tmp_path, user_file=tmp_path / "none.toml")
        assert set(content) <= {name for name, origin in settings.origin.items() if origin.endswith("steelyard.toml")}


def _read_notify(content: dict[str, Any], folder: Path) -> None:
    """Read what a suite's channels and dead man's switch are, with a number for every variable."""
    names = re.findall(r"\$\{([A-Z_]+)\}", str(content))
    filled = substitute_tables(content, dict.fromkeys(names, "12"), "the page")
    assert len(read_channels(filled.get("notify", {}), folder=folder)) == len(content.get("notify", {}))
    assert (read_heartbeat(filled.get("heartbeat", {}), folder=folder) is not None) == ("heartbeat" in content)


def test_the_reasons_in_the_documents_are_those_of_the_sources() -> None:
    page = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| (`[a-z_`, ]+`) \|", page, re.MULTILINE)
    reasons = [reason for cell in cells for reason in re.findall(r"`([a-z_]+)`", cell)]
    assert len(reasons) > 30
    assert [reason for reason in reasons if f'"{reason}"' not in _SOURCES] == []


def test_the_metrics_of_requirements_are_documented() -> None:
    page = (ROOT / "docs/measuring.md").read_text(encoding="utf-8")
    assert f"`{' '.join(METRICS)}`" in page


def test_the_statuses_of_a_block_are_documented() -> None:
    from steelyard_agent.worker.failure import BlockStatus

    page = (ROOT / "docs/agent.md").read_text(encoding="utf-8")
    # These two end a job, not a block that somebody would look up.
    missing = {status.value for status in BlockStatus if f"`{status.value}`" not in page}
    assert missing == {"CANCELLED", "DISK_FULL"}


def test_the_settings_of_the_steps_are_documented_with_their_defaults() -> None:
    import json

    from steelyard.compress.recipe import step_settings
    from steelyard.compress.registry import step_class, step_kinds

    page = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")
    for kind in step_kinds():
        if isinstance(step_class(kind)(), Learns):
            continue
        section = page.partition(f"### {kind}\n")[2].partition("\n### ")[0]
        for name, default in step_settings(step_class(kind)()).items():
            assert f"| `{name}` | `{json.dumps(default)}` |" in section, (kind, name, default)


def test_the_settings_of_steps_that_train_are_documented_with_their_defaults() -> None:
    import json

    from steelyard.compress.recipe import step_settings
    from steelyard.compress.registry import step_class, step_kinds

    rows = (ROOT / "docs/training.md").read_text(encoding="utf-8").splitlines()
    steps = [step for step in (step_class(kind)() for kind in step_kinds()) if isinstance(step, Learns)]
    assert steps
    for step in steps:
        for name, default in step_settings(step).items():
            told = [row.split("|")[2] for row in rows if row.startswith(f"| `{name}` |")]
            assert any(f"`{json.dumps(default)}`" in one for one in told), (step.kind, name, default)


def test_the_built_in_recipes_are_documented_with_their_steps() -> None:
    from steelyard.compress.built_in_recipes import builtin_recipes
    from steelyard.compress.inline_text import inline_text

    page = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")
    for recipe in builtin_recipes():
        assert f"| `{recipe.name}` |" in page, recipe.name
        assert f"`{inline_text(recipe.step_list)}`" in page, recipe.name


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_names_a_path_of_somebodys_machine(page: Path) -> None:
    assert re.search(r"(?<![\w.])/(work|root|home/[a-z]|tmp/[a-z]|Users/)", page.read_text(encoding="utf-8")) is None


def test_the_two_commands_of_a_fresh_clone_are_named_first() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    first = next(block for block in blocks("sh") if block.page == "README.md")
    assert [line.split("#")[0].strip() for line in first.content.splitlines()] == ["make demo", "make test"]
    assert readme.index("make demo") < 2000

"""`steelyard sensitivity`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from steelyard.cli.follow import follow
from steelyard.cli.models import resolve_model
from steelyard.cli.plugin_flag import plugin_flag
from steelyard.cli.session import connected, console, emit_json

if TYPE_CHECKING:
    from steelyard.compress.sensitivity_report import SensitivityReport


@click.command()
@click.argument("model", metavar="MODEL")
@click.option(
    "--task",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="Calibration data, and with labels what is scored: a .toml or an .npz.",
)
@click.option("--recipe", default="static-int8", show_default=True, metavar="RECIPE", help="What quantizes the model.")
@click.option("--top", type=click.IntRange(1, 100_000), default=10, show_default=True, help="Operators shown.")
@click.option("--all", "show_all", is_flag=True, help="Show every operator.")
@click.option(
    "--scored", type=click.IntRange(0, 1000), default=5, show_default=True, help="Operators whose metric is evaluated."
)
@click.option(
    "--samples", type=click.IntRange(1, 100_000), default=64, show_default=True, help="Run over for each operator."
)
@click.option("--device", default="", metavar="NAME", help="Choose settings left at auto for this device's processor.")
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Of whatever a step draws."
)
@click.option("--cache/--no-cache", "use_cache", default=True, help="Show again what was found before.")
@plugin_flag
@click.option("--json", "as_json", is_flag=True, help="The report as JSON on stdout.")
@click.pass_context
def sensitivity(ctx: click.Context, /, model: str, **flags: Any) -> None:
    """Find the layers of a model that lose most as integers, and what to write to keep them in float.

    Each operator that the recipe quantizes is quantized alone, all others in float, and the model's outputs are
    compared with the float model's over calibration samples. The most sensitive ones are scored by the task, too; so is
    the model with everything quantized, and with the worst in float. It runs on the controller, without a device.

    \b
    Examples:
      steelyard sensitivity model.onnx --task task.toml
      steelyard sensitivity model.onnx --task task.toml --recipe static-int8,per_channel=false --all
      steelyard sensitivity model.tflite --task data.npz --json
    """
    with connected(ctx) as client:
        artifact = resolve_model(client, model)
        handle = client.sensitivity(
            artifact,
            task=client.add_task(flags["task"], artifact),
            recipe=flags["recipe"],
            sample_count=flags["samples"],
            scored=flags["scored"],
            seed=flags["seed"],
            device=flags["device"],
            use_cache=flags["use_cache"],
        )
        follow(handle, f"{artifact.name} {flags['recipe']}")
        report = handle.sensitivity()
    if flags["as_json"]:
        emit_json("sensitivity", {"model": artifact.name, "recipe": flags["recipe"], **report.to_plain()})
        return
    _show(report, model, artifact.name, flags)


def _show(report: SensitivityReport, model: str, name: str, flags: dict[str, Any]) -> None:
    from steelyard.compress.kept_recipe import keep_float_line, quantizing_kind, word_keeping
    from steelyard.compress.recipe_text import load_recipe
    from steelyard.report.sensitivity import is_worth_keeping, render_sensitivity

    out = console()
    out.print(render_sensitivity(name, flags["recipe"], report, top=0 if flags["show_all"] else flags["top"]))
    if not is_worth_keeping(report):
        return
    recipe = load_recipe(flags["recipe"])
    out.print(f"\nto keep them in float, in the recipe's {quantizing_kind(recipe)} table:")
    # Lines to be copied are broken by the terminal alone.
    out.print(keep_float_line(recipe, report.keep_float), markup=False, soft_wrap=True)
    word = word_keeping(recipe, report.keep_float)
    if word:
        task = shlex.quote(str(flags["task"]))
        out.print("or in one word:")
        command = f"steelyard compress {shlex.quote(model)} --recipe {shlex.quote(word)} --task {task}"
        out.print(command, markup=False, soft_wrap=True)

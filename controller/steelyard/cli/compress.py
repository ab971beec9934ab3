"""`steelyard compress`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from steelyard.cli.models import make_variants, resolve_model
from steelyard.cli.plugin_flag import plugin_flag
from steelyard.cli.run_flags import with_flags
from steelyard.cli.session import connected, console, emit_json
from steelyard.cli.step_measuring_flags import STEP_MEASURING_FLAGS, step_measuring
from steelyard.errors import EXIT_FINE, EXIT_INCOMPLETE, UsageError

if TYPE_CHECKING:
    from steelyard_protocol.v1 import control_pb2


def _list_recipes(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    """Print the built-in recipes and end."""
    if not wanted or ctx.resilient_parsing:
        return
    from steelyard.compress.built_in_recipes import builtin_recipes
    from steelyard.compress.inline_text import inline_text

    for recipe in builtin_recipes():
        kinds = {"calibration": recipe.needs_calibration, "training": recipe.needs_training}
        wanted_data = " and ".join(kind for kind, is_needed in kinds.items() if is_needed)
        needs = f"  (needs {wanted_data} data)" if wanted_data else ""
        click.echo(f"{recipe.name:<18} {inline_text(recipe.step_list)}{needs}")
    ctx.exit()


@click.command()
@click.argument("model", metavar="MODEL")
@click.option(
    "--recipe",
    "recipes",
    multiple=True,
    required=True,
    metavar="RECIPE",
    help="A built-in name, steps in one word (equalize+static-int8), or a TOML file; of a model in parts PART=RECIPE; "
    "repeatable.",
)
@click.option(
    "--task",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where data to calibrate, train and score with comes from.",
)
@click.option(
    "--device",
    default="",
    metavar="NAME",
    help="Choose settings left at auto for this device's processor, and measure there.",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Of whatever a step draws."
)
@click.option(
    "--list", is_flag=True, is_eager=True, expose_value=False, callback=_list_recipes, help="Name the built-in recipes."
)
@click.option("--evaluate/--no-evaluate", default=True, help="Score the task after each step, here.  [default: yes]")
@click.option("--cache/--no-cache", "use_cache", default=True, help="Begin behind the steps that were run before.")
@click.option(
    "--part-tasks",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Keep the task of each part of a model in parts here, to measure it by.",
)
@plugin_flag
@with_flags(STEP_MEASURING_FLAGS)
@click.option("--json", "as_json", is_flag=True, help="Results as JSON on stdout.")
@click.pass_context
def compress(
    ctx: click.Context,
    /,
    model: str,
    recipes: tuple[str, ...],
    task: Path | None,
    device: str,
    seed: int,
    evaluate: bool,
    use_cache: bool,
    part_tasks: Path | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Make compressed variants of a model; the parent is never touched.

    A recipe runs step by step; what each step made is kept, and a recipe that was interrupted goes on behind it.
    With --device, what each step made is measured there, beside MODEL in the same rounds.
    The flag --list names the built-in recipes. A parts file (.toml) in place of MODEL compresses a model in parts.

    \b
    Examples:
      steelyard compress model.onnx --recipe float16
      steelyard compress model.onnx --recipe static-int8 --recipe dynamic-int8 --task task.toml
      steelyard compress model.onnx --recipe equalize+static-int8+bias-correction --task task.toml
      steelyard compress model.onnx --recipe my-recipe.toml --task data.npz --json
      steelyard compress model.onnx --recipe prune,amount=0.5+static-int8 --task task.toml
      steelyard compress model.onnx --recipe prune,latency=0.5x --task task.toml --device pi5
      steelyard compress model.onnx --recipe hybrid --task task.toml --device pi5
      steelyard compress model.onnx --recipe my-recipe.toml --task task.toml --plugin mine.py
      steelyard compress parts.toml --recipe encoder=static-int8 --recipe decoder=dynamic-int8 --task task.toml
    """
    if model.lower().endswith(".toml"):
        from steelyard.cli.compress_parts import run_parts

        _refuse_flags_of_parts(measure_steps=flags["measure_steps"], is_plain=evaluate and use_cache)
        run_parts(ctx, Path(model), recipes, task=task, device=device, tasks_dir=part_tasks, seed=seed, as_json=as_json)
        return
    if part_tasks is not None:
        raise UsageError("parts_flags", f"--part-tasks is for a model in parts, and {model} is none; leave it out")
    measuring = step_measuring(ctx, recipes, {**flags, "device": device})
    device = device or (measuring.device if measuring is not None else "")
    with connected(ctx) as client:
        parent = resolve_model(client, model)
        registered = client.add_task(task, parent) if task is not None else None
        variants = make_variants(
            client,
            parent,
            recipes,
            task=registered,
            seed=seed,
            device=device,
            evaluate=evaluate,
            use_cache=use_cache,
            measuring=measuring,
        )
        _show(parent, variants, recipes, task=task, as_json=as_json)
    unmeasured = any(step.latency.reason for variant in variants for step in variant.lineage.steps)
    ctx.exit(EXIT_INCOMPLETE if unmeasured else EXIT_FINE)


def _refuse_flags_of_parts(*, measure_steps: bool | None, is_plain: bool) -> None:
    if not is_plain:
        raise UsageError("parts_flags", "--no-evaluate and --no-cache are not for a model in parts; leave them out")
    if measure_steps:
        raise UsageError(
            "parts_flags", "--measure-steps is not for a model in parts; measure the parts with `steelyard measure`"
        )


def _show(
    parent: control_pb2.Artifact,
    variants: Sequence[control_pb2.Artifact],
    recipes: Sequence[str],
    *,
    task: Path | None,
    as_json: bool,
) -> None:
    if as_json:
        from steelyard.report.plain import to_plain

        payload = {"parent": to_plain(parent), "variants": [to_plain(variant) for variant in variants]}
        emit_json("compression", payload)
        return
    from steelyard.compress.recipe_text import load_recipe
    from steelyard.report.lineage import render_steps

    out = console()
    for recipe, variant in zip(recipes, variants, strict=True):
        out.print(render_steps(parent, variant))
        if load_recipe(recipe).name != variant.lineage.recipe_name:
            out.print(f"- {recipe} made the same file as {variant.lineage.recipe_name}", markup=False)
        out.print()
    # Not broken by us: a command that is copied stays one.
    them = f"steelyard measure {parent.name} {' '.join(v.name for v in variants)}"
    if task is not None:
        them += f" --task {shlex.quote(str(task))}"
    out.print(f"measure {'them' if len(variants) > 1 else 'it'}: {them}", markup=False, soft_wrap=True)

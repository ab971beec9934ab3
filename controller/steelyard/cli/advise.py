"""`steelyard advise`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from steelyard.cli.advise_facts import earlier_times, profile_now, situation_of
from steelyard.cli.follow import follow
from steelyard.cli.gate_flags import GATE_FLAGS, gate_options
from steelyard.cli.measuring import exit_code, show_measurement
from steelyard.cli.models import resolve_model
from steelyard.cli.parameters import DURATION
from steelyard.cli.plugin_flag import plugin_flag
from steelyard.cli.run_flags import RUN_FLAGS, with_flags
from steelyard.cli.session import choose_device, connected, console, emit_json, say
from steelyard.errors import EXIT_INCOMPLETE, IncompleteError, SteelyardError, UsageError

if TYPE_CHECKING:
    from steelyard.advice.contract import Advice
    from steelyard.advice.facts import Situation
    from steelyard.advice.following import FollowUp, MaxDrop
    from steelyard.control.client import Client
    from steelyard.control.plans import MeasurementOptions
    from steelyard_protocol.v1 import control_pb2, measurement_pb2


@click.command()
@click.argument("model", metavar="MODEL")
@click.option("--device", metavar="NAME", help="Device that the model is for; this machine when none is named.")
@click.option("--local", is_flag=True, help="Advise for this machine, also when CI is set.")
@click.option("--task", type=click.Path(path_type=Path), metavar="FILE", help="Labelled data: a .toml or an .npz.")
@click.option("--measure", "profile", is_flag=True, help="Profile the model's layers on the device first.")
@click.option("--run", "run", is_flag=True, help="Make the advised variants and measure them beside the model.")
@click.option("--top", type=click.IntRange(1, 20), default=3, show_default=True, help="Recipes that --run tries.")
@click.option("--max-drop", default="", metavar="DROP", help="What a variant may lose, as 1pp; needs --task and --run.")
@click.option("--budget", type=DURATION, default="10m", show_default=True, help="Device time of --run at most.")
@click.option("--min-rounds", type=click.IntRange(3, 1000), default=6, show_default=True, help="Before a verdict.")
@click.option("--max-rounds", type=click.IntRange(3, 1000), default=40, show_default=True, help="At most.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Of inputs and recipes.")
@with_flags((*RUN_FLAGS, *GATE_FLAGS))
@plugin_flag
@click.pass_context
def advise(ctx: click.Context, /, model: str, **flags: Any) -> None:
    """Say what to try for a model on a device and why, what to expect, and what not to spend time on.

    It looks at the operators of the model's file, at what the device's processor and runtimes can do, and at the times
    of its layers where a measurement with --operators (or --measure) told them. A range is what other models did, no
    promise: --run makes the first variants, measures them beside the model, and says which won, what was as expected,
    and why one is no better.

    \b
    Examples:
      steelyard advise model.onnx
      steelyard advise model.onnx --device pi5 --task task.toml --measure
      steelyard advise model.onnx --device pi5 --task task.toml --run --max-drop 1pp
      steelyard advise model.tflite --local --json
    """
    from steelyard.advice.advising import advise as advise_on
    from steelyard.advice.following import parse_max_drop

    if flags["max_drop"] and not (flags["task"] and flags["run"]):
        raise UsageError("no_drop", "--max-drop is held against a measured accuracy: give --task and --run with it")
    max_drop = parse_max_drop(flags["max_drop"]) if flags["max_drop"] else None
    device = choose_device(ctx, flags["device"], local=flags["local"])
    with connected(ctx) as client:
        artifact = resolve_model(client, model)
        task = client.add_task(flags["task"], artifact) if flags["task"] else None
        described = client.device(device)
        find_times = profile_now if flags["profile"] else earlier_times
        situation = situation_of(client, artifact, described, task=task, flags=flags, find_times=find_times)
        advice = advise_on(situation)
        if not flags["run"]:
            _show(advice, situation, model=model, as_json=flags["as_json"], flags=flags)
            return
        if not flags["as_json"]:
            _show(advice, situation, model=model, as_json=False, flags=flags, shows_next=False)
            click.echo()
        ctx.exit(_run(client, artifact, task, device, situation, advice, max_drop, flags))


def _show(
    advice: Advice, situation: Situation, *, model: str, as_json: bool, flags: dict[str, Any], shows_next: bool = True
) -> None:
    from steelyard.report.advice import plain_advice, render_advice

    if as_json:
        emit_json("advice", {**plain_advice(advice, situation), "follow_up": None, "measurement": None})
        return
    words = ["steelyard advise", model, "--device", situation.device.name]
    words += ["--task", str(flags["task"])] if flags["task"] else []
    command = " ".join([*words, "--run"]) if shows_next else ""
    console().print(render_advice(advice, situation, next_command=command))


def _run(
    client: Client,
    artifact: control_pb2.Artifact,
    task: control_pb2.Task | None,
    device: str,
    situation: Situation,
    advice: Advice,
    max_drop: MaxDrop | None,
    flags: dict[str, Any],
) -> int:
    """Make and measure what is advised, show what came of it, and return the exit code."""
    from steelyard.advice.following import follow_up
    from steelyard.advice.messages import outcome_of

    wanted = [one.recipe for one in advice.to_try(flags["top"])]
    if not wanted:
        lacks = f"every advised recipe needs {advice.recipes[0].needs}" if advice.recipes else "no recipe is advised"
        raise IncompleteError("nothing_to_try", f"nothing was run: {lacks}; `steelyard advise` without --run says why")
    made, failures = _made(client, artifact, task, device, wanted, flags["seed"])
    if not made:
        raise IncompleteError("nothing_made", f"none of the advised recipes could be made: {'; '.join(failures)}")
    handle = client.measure(
        [artifact, *made.values()], device=device, task=task, options=_options(flags, max_drop, artifact.name)
    )
    follow(handle, f"{artifact.name} on {device}")
    measurement = handle.measurement()
    outcomes = [outcome_of(recipe, measurement, variant) for recipe, variant in made.items()]
    done = follow_up(advice, situation, measurement, outcomes, max_drop=max_drop)
    if flags["as_json"]:
        _emit_run(advice, situation, measurement, done, failures)
    else:
        _show_run(client, measurement, done, failures)
    return exit_code(measurement) or (EXIT_INCOMPLETE if failures else 0)


def _made(
    client: Client,
    artifact: control_pb2.Artifact,
    task: control_pb2.Task | None,
    device: str,
    recipes: list[str],
    seed: int,
) -> tuple[dict[str, control_pb2.Artifact], list[str]]:
    """Return the variants by recipe, and a sentence for each recipe that this model did not suit."""
    made: dict[str, control_pb2.Artifact] = {}
    failures = []
    for recipe in recipes:
        try:
            handle = client.compress(artifact, recipe, task=task, seed=seed, device=device, evaluate=False)
            follow(handle, f"{artifact.name} {recipe}")
        except SteelyardError as error:
            failures.append(f"{recipe} was not made: {error}")
            continue
        variant = handle.variant()
        if variant.digest not in {one.digest for one in (artifact, *made.values())}:
            made[recipe] = variant
        else:
            failures.append(f"{recipe} gave the same file as another one here, and is not measured twice")
    return made, failures


def _options(flags: dict[str, Any], max_drop: MaxDrop | None, title: str) -> MeasurementOptions:
    from steelyard.control.plans import MeasurementOptions

    return MeasurementOptions(
        requirements=(max_drop.requirement,) if max_drop is not None else (),
        budget_s=flags["budget"],
        min_round_count=min(flags["min_rounds"], flags["max_rounds"]),
        max_round_count=flags["max_rounds"],
        device_wait_s=flags["device_wait"],
        priority=flags["priority"],
        title=title,
        runtime=flags["runtime"],
        thread_count=flags["threads"],
        providers=flags["providers"],
        allow_fallback=flags["allow_fallback"],
        input_shapes=dict(flags["shapes"]),
        seed=flags["seed"],
        gate=gate_options(flags),
        # What a variant that is no better spends its time on.
        operators=True,
    )


def _emit_run(
    advice: Advice,
    situation: Situation,
    measurement: measurement_pb2.Measurement,
    done: FollowUp,
    failures: list[str],
) -> None:
    from steelyard.report.advice import plain_advice
    from steelyard.report.advice_outcome import plain_follow_up
    from steelyard.report.plain import to_plain

    payload = {
        **plain_advice(advice, situation),
        "follow_up": {**plain_follow_up(done), "not_made": failures},
        "measurement": to_plain(measurement),
    }
    emit_json("advice", payload)


def _show_run(client: Client, measurement: measurement_pb2.Measurement, done: FollowUp, failures: list[str]) -> None:
    from steelyard.report.advice_outcome import render_follow_up

    show_measurement(client, [measurement], as_json=False)
    console().print(render_follow_up(done))
    for failure in failures:
        say(failure)

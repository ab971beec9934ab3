"""The named parts of a suite: models, devices, runtimes, tasks."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from steelyard.control.pools import parse_pool
from steelyard.control.written_values import parse_cores
from steelyard.errors import UsageError
from steelyard.spelling import meant
from steelyard.suites.suite import DEFAULT_RUNTIME, DeviceSlot, ModelSlot, RuntimeSlot, TaskSlot
from steelyard.suites.tables import Table

_MODEL_KEYS = (
    *("name", "enabled", "file", "registry", "newest", "artifact", "parent", "recipe", "recipes", "task"),
    *("runtimes", "devices", "seed"),
)
_RUNTIME_KEYS = (
    *("name", "enabled", "runtime", "threads", "providers", "environment", "cores", "graph_optimization"),
    *("spinning", "arena", "allow_fallback"),
)
_DEVICE_KEYS = ("name", "enabled", "budget", "runtimes")
_CHOICE_KEYS = ("names", "tags", "pools")
_TASK_KEYS = ("name", "enabled", "file")
_OPTIMIZATIONS = ("disabled", "basic", "extended", "all")
_MOST_SEED = 2**63 - 1


def read_runtimes(top: Table) -> tuple[RuntimeSlot, ...]:
    """Return the runtimes; one by default, which each model's file chooses."""
    return tuple(_runtime(one) for one in _enabled(top, "runtime", _RUNTIME_KEYS)) or (
        RuntimeSlot(name=DEFAULT_RUNTIME),
    )


def read_tasks(top: Table) -> tuple[TaskSlot, ...]:
    """Return the tasks."""
    return tuple(
        TaskSlot(name=one.text("name"), file=_named_path(one, "file") or Path())
        for one in _enabled(top, "task", _TASK_KEYS)
    )


def read_devices(top: Table, runtimes: Collection[RuntimeSlot]) -> tuple[DeviceSlot, ...]:
    """Return the devices of [[device]] and of the table [devices]."""
    slots = [
        DeviceSlot(
            name=_device_name(one, "name", one.text("name")),
            budget_s=one.duration("budget", 0.0) or None,
            runtimes=_known(one, "runtimes", [runtime.name for runtime in runtimes]),
        )
        for one in _enabled(top, "device", _DEVICE_KEYS)
    ]
    choice = top.table("devices")
    choice.refuse_unknown(_CHOICE_KEYS)
    chosen = [_device_name(choice, "names", name) for name in choice.texts("names")]
    chosen += [_device_name(choice, "tags", f"tag:{tag}") for tag in choice.texts("tags")]
    chosen += [_device_name(choice, "pools", f"pool:{pool}") for pool in choice.texts("pools")]
    named = {one.name for one in slots}
    slots += [DeviceSlot(name=name) for name in dict.fromkeys(chosen) if name not in named]
    if not slots:
        top.complain("", "no device is named; add a table [devices] with names, tags or pools")
    return tuple(slots)


def read_models(
    top: Table,
    *,
    runtimes: Collection[RuntimeSlot],
    tasks: Collection[TaskSlot],
    devices: Collection[DeviceSlot],
) -> tuple[ModelSlot, ...]:
    """Return the models, each of ``recipes`` as a slot of its own named "MODEL/RECIPE"."""
    slots: list[ModelSlot] = []
    for one in _enabled(top, "model", _MODEL_KEYS):
        _known(one, "task", [task.name for task in tasks])
        slot = _model(
            one, _known(one, "runtimes", [r.name for r in runtimes]), _known(one, "devices", [d.name for d in devices])
        )
        if slot is None:
            continue
        slots.append(slot)
        slots += [_variant(slot, recipe) for recipe in one.texts("recipes")]
        for recipe in (*one.texts("recipes"), *filter(None, [slot.recipe])):
            _check_recipe(one, recipe)
    if not slots:
        top.complain("", "no model is named; add a [[model]] with a name and a file")
    _check_parents(top, slots)
    return tuple(slots)


def _enabled(top: Table, kind: str, known: Collection[str]) -> list[Table]:
    items = []
    for one in top.items(kind):
        one.refuse_unknown(known)
        if one.flag("enabled", True):
            items.append(one)
    return items


def _runtime(one: Table) -> RuntimeSlot:
    runtime, environment, cores = one.text("runtime"), one.text("environment"), one.text("cores")
    if environment and "@" in runtime:
        one.complain("environment", f"{runtime!r} names an environment already; write it once")
    try:
        parse_cores(cores or "0")
    except ValueError as error:
        one.complain("cores", str(error))
    return RuntimeSlot(
        name=one.text("name"),
        runtime=f"{runtime}@{environment}" if environment else runtime,
        threads=one.count("threads", 1, low=1, high=1024),
        providers=one.texts("providers"),
        cores=cores,
        graph_optimization=one.choice("graph_optimization", "", _OPTIMIZATIONS),
        spinning=one.switch("spinning"),
        arena=one.switch("arena"),
        allow_fallback=one.flag("allow_fallback", False),
    )


def _device_name(table: Table, key: str, name: str) -> str:
    try:
        parse_pool(name)
    except UsageError as error:
        table.complain(key, str(error))
    return name


def _model(one: Table, runtimes: tuple[str, ...], devices: tuple[str, ...]) -> ModelSlot | None:
    sources = [key for key in ("file", "registry", "artifact", "parent") if key in one]
    if len(sources) != 1:
        said = " and ".join(sources) if sources else "none of them"
        one.complain("", f"a model comes from one of file, registry, artifact and parent, and has {said}")
        return None
    file = _named_path(one, "file") if "file" in one else None
    registry = _named_path(one, "registry") if "registry" in one else None
    if not (file or registry or one.text("artifact") or one.text("parent")):
        return None
    return ModelSlot(
        name=one.text("name"),
        file=file,
        registry=registry,
        newest=one.text("newest", "*"),
        artifact=one.text("artifact"),
        parent=one.text("parent"),
        recipe=one.text("recipe"),
        task=one.text("task"),
        runtimes=runtimes,
        devices=devices,
        seed=one.count("seed", 0, low=0, high=_MOST_SEED),
    )


def _variant(slot: ModelSlot, recipe: str) -> ModelSlot:
    name = Path(recipe).stem if recipe.endswith(".toml") else recipe
    return ModelSlot(
        name=f"{slot.name}/{name}",
        parent=slot.name,
        recipe=recipe,
        task=slot.task,
        runtimes=slot.runtimes,
        devices=slot.devices,
        seed=slot.seed,
    )


def _check_recipe(one: Table, recipe: str) -> None:
    """Note a recipe that is none; one in a file that is not there is ``missing_files``' to find."""
    from steelyard.compress.recipe_text import load_recipe

    if recipe.endswith(".toml") and not Path(recipe).is_file():
        return
    try:
        load_recipe(recipe)
    except UsageError as error:
        one.complain("recipe", str(error))


def _check_parents(top: Table, slots: list[ModelSlot]) -> None:
    parents = {slot.name: slot.parent for slot in slots}
    if len(parents) < len(slots):
        names = [slot.name for slot in slots]
        twice = next(name for name in names if names.count(name) > 1)
        top.complain("", f"two models are called {twice!r} once their recipes are counted; rename one")
    for slot in slots:
        if slot.parent and slot.parent not in parents:
            top.complain(
                f"[[model]] {slot.name} parent", f"there is no model {slot.parent!r}; {meant(slot.parent, parents)}"
            )
        seen, name = {slot.name}, slot.parent
        while name in parents and name not in seen:
            seen.add(name)
            name = parents[name]
        if name in seen:
            top.complain(
                f"[[model]] {slot.name} parent", f"{slot.name!r} comes from itself in the end; name another parent"
            )


def _known(one: Table, key: str, known: Collection[str]) -> tuple[str, ...]:
    names = one.texts(key)
    for name in names:
        if name not in known:
            one.complain(key, f"{name!r} is not in this suite; {meant(name, known) if known else 'it has none'}")
    return tuple(name for name in names if name in known)


def _named_path(one: Table, key: str) -> Path | None:
    """Return a path; whether there is anything is asked when it is needed (``missing_files``)."""
    value = one.text(key)
    if not value:
        one.complain(key, f'{value!r} names nothing; write {key} = "…"')
        return None
    return Path(value)

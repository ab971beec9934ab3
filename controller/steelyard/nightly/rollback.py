"""What of the last good night can be put back tonight, and what cannot: from two environments to a confirmation."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steelyard.nightly.notes import Factor
from steelyard_protocol.v1 import common_pb2

# Entries that name what a confirmation puts back, or that follow from it.
_OF_MODEL = frozenset({"artifact", "recipe", "parent", "tools"})
_OF_RUNTIME = frozenset({"runtime", "runtime_version", "providers"})
# The suite's own, which the confirmation keeps as they are now.
OWN_ENVIRONMENT = "own"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """One way to confirm.

    ``artifact`` is the digest of the reference where the model is put back. ``environments`` are the runtime
    environments of the reference and of the current one where the runtime is ("own" is the agent's). ``limits`` is a
    sentence on what else changed and stays as it is, "" for nothing.
    """

    factor: Factor
    artifact: str = ""
    environments: tuple[str, str] = ("", "")
    limits: str = ""


def rollbacks(
    before: Mapping[str, str],
    now: Mapping[str, str],
    runtimes: Sequence[common_pb2.RuntimeDescription],
    *,
    has_artifact: bool,
) -> tuple[Rollback, ...]:
    """Return the ways to confirm, the most telling first; always one.

    Args:
        before: The environment of the last good night.
        now: Tonight's.
        runtimes: What the device has, environment by environment.
        has_artifact: Whether the artifact of the last good night is still kept.
    """
    model_changed = before.get("artifact", "") != now.get("artifact", "")
    runtime_changed = _runtime(before) != _runtime(now)
    old_runtime = _environment_with(before, runtimes) if runtime_changed else None
    fixed = _not_put_back(before, now)
    ways = []
    if model_changed and has_artifact:
        other = [_runtime_words(before, now)] if runtime_changed else []
        ways.append(Rollback(factor=Factor.MODEL, artifact=before["artifact"], limits=_limits([*other, *fixed])))
    if old_runtime is not None:
        other = [_model_words(before, now)] if model_changed else []
        current = now.get("runtime", "").partition("@")[2] or OWN_ENVIRONMENT
        ways.append(
            Rollback(factor=Factor.RUNTIME, environments=(old_runtime, current), limits=_limits([*other, *fixed]))
        )
    if ways:
        return tuple(ways)
    gone = []
    if model_changed:
        gone.append(f"{_model_words(before, now)}, and the old one is not kept any more")
    if runtime_changed:
        gone.append(f"{_runtime_words(before, now)}, and no environment of the device has the old one")
    return (Rollback(factor=Factor.AGAIN, limits=_nothing_to_put_back([*gone, *fixed])),)


def reproducing(rollback: Rollback, *, artifact: str, device: str, runtime: str, threads: int) -> str:
    """Return the command line that measures what a confirmation measured."""
    flags = ["--device", device, "--threads", str(threads)]
    if runtime and rollback.factor is not Factor.RUNTIME:
        flags += ["--runtime", runtime]
    if rollback.factor is Factor.MODEL:
        words = ["steelyard", "compare", rollback.artifact[:12], artifact[:12], *flags]
    elif rollback.factor is Factor.RUNTIME:
        name = runtime.partition("@")[0]
        named = ["--runtime", name] if name else []
        words = [
            "steelyard",
            "measure",
            artifact[:12],
            *flags,
            *named,
            "--vary",
            f"env={','.join(rollback.environments)}",
        ]
    else:
        words = ["steelyard", "measure", artifact[:12], *flags]
    return shlex.join(words)


def _runtime(environment: Mapping[str, str]) -> tuple[str, str]:
    return environment.get("runtime", "").partition("@")[0], environment.get("runtime_version", "")


def _environment_with(before: Mapping[str, str], runtimes: Sequence[common_pb2.RuntimeDescription]) -> str | None:
    """Return the environment of the device that has the runtime of the last good night, None where none has."""
    name, version = _runtime(before)
    usable = [one for one in runtimes if (one.name, one.version) == (name, version) and not one.reason]
    return next((one.environment or OWN_ENVIRONMENT for one in usable), None)


def _not_put_back(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    names = sorted((before.keys() | now.keys()) - _OF_MODEL - _OF_RUNTIME)
    return [
        f"{name} ({before.get(name, 'unknown')} -> {now.get(name, 'unknown')})"
        for name in names
        if before.get(name) != now.get(name)
    ]


def _model_words(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    return f"the model ({before.get('artifact', 'unknown')[:12]} -> {now.get('artifact', 'unknown')[:12]})"


def _runtime_words(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    return f"the runtime ({' '.join(_runtime(before)).strip()} -> {' '.join(_runtime(now)).strip()})"


def _limits(changed: Sequence[str]) -> str:
    if not changed:
        return ""
    return f"also changed and not put back, so that nothing is proven of it: {', '.join(changed)}"


def _nothing_to_put_back(changed: Sequence[str]) -> str:
    if not changed:
        return (
            "the model, the runtime and all that is known of the device are as they were: there is nothing to put back"
        )
    return f"nothing could be put back; what changed is {', '.join(changed)}"

"""The runtimes on a terminal: what can be used, and one line for each reason why something cannot."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from steelyard_agent.description import RuntimeDescription
from steelyard_agent.rows import row


def runtime_lines(runtimes: Sequence[RuntimeDescription]) -> list[str]:
    """Return a row for each runtime that was looked for."""
    if not runtimes:
        return row("", ["none was looked for"])
    return [line for runtime in runtimes for line in row(runtime.name, list(_texts(runtime)))]


def _texts(runtime: RuntimeDescription) -> Iterator[str]:
    where = f"in the environment {runtime.environment}" if runtime.environment else ""
    if runtime.version:
        providers = ", ".join(_provider(name, runtime) for name in runtime.providers)
        yield f"{' '.join(filter(None, (runtime.version, where)))}: {providers or 'no provider'}"
    elif where:
        yield where
    unusable = runtime.unusable_providers or tuple(_listed(runtime.reason))
    yield from _grouped(unusable)
    if runtime.reason and not (unusable and runtime.version):
        yield runtime.reason


def _provider(name: str, runtime: RuntimeDescription) -> str:
    return f"{name} (compiles here)" if name in runtime.compiling_providers else name


def _listed(reason: str) -> list[tuple[str, str]]:
    """Return the pairs of "A: x; B: y", empty for a reason of another form."""
    if not re.fullmatch(r"\w+: [^;]+(; \w+: [^;]+)*", reason):
        return []
    return [(name, why) for name, _, why in (part.partition(": ") for part in reason.split("; "))]


def _grouped(unusable: Iterable[tuple[str, str]]) -> list[str]:
    """Return "A, B: x" and "C: y": a runtime lacks a dozen providers for one reason.

    What would have to be installed, behind a semicolon, is told by ``--json``, and for the providers that exist for
    this board by its profile.
    """
    groups: dict[str, list[str]] = {}
    for name, why in unusable:
        groups.setdefault(why.split("; ")[0], []).append(name.removesuffix("ExecutionProvider"))
    return [f"{', '.join(names)}: {why}" for why, names in groups.items()]

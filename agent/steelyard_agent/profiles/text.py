"""Profiles for a person: plain text in lines of at most 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields

from steelyard_agent.profiles.library import is_shipped
from steelyard_agent.profiles.schema import Match, OptionKnowledge, Profile, ProviderKnowledge, RuntimeKnowledge
from steelyard_agent.rows import row, visible

_NAME_WIDTH = 22


def list_lines(profiles: Sequence[Profile]) -> list[str]:
    """Return a line a profile, and under those of a user the file."""
    lines = []
    for profile in sorted(profiles, key=lambda one: one.name):
        lines.append(f"{profile.name:<{_NAME_WIDTH}}{visible(profile.title)}")
        if not is_shipped(profile):
            lines.append(f"{'':<{_NAME_WIDTH}}yours: {visible(profile.origin)}")
    return lines


def profile_lines(profile: Profile) -> list[str]:
    """Return everything that a profile says, each entry with its source."""
    blocks = [
        [f"{profile.name}: {visible(profile.title)}", *row("from", [profile.origin])],
        ["Known by", *(line for name, text in _match(profile.match) for line in row(name, [text]))],
        *(block for title, entries in _sections(profile) if (block := _block(title, entries))),
    ]
    return [line for number, block in enumerate(blocks) for line in ([""] if number else []) + block]


def _block(title: str, entries: list[tuple[str, str, str]]) -> list[str]:
    rows = [line for name, text, source in entries for line in row(name, [text, f"source: {source}"])]
    return [title, *rows] if rows else []


def _match(match: Match) -> Iterator[tuple[str, str]]:
    for one in fields(match):
        value = getattr(match, one.name)
        words = one.name.replace("device_tree", "tree").replace("_", " ")
        if value is True:
            yield words, "yes"
        elif value:
            yield words, ", ".join(value)


def _sections(profile: Profile) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    processor, power = profile.processor, profile.power
    board = [(name, fact.value, fact.source) for name, fact in profile.facts.items()]
    if processor:
        has = f"has {', '.join(processor.features) or 'no feature that is probed'}"
        cores = [f"{processor.cores} cores"] if processor.cores is not None else []
        lacks = [f"lacks {', '.join(processor.lacks)}"] if processor.lacks else []
        board.insert(0, ("processor", "; ".join([*cores, has, *lacks]), processor.source))
    if power:
        scope = f"{power.kind}, scope {power.scope.value.lower()}: " if power.scope else "none: "
        board.append(("power", f"{scope}{power.sentence}", power.source))
    yield "The board", board
    yield "Runtimes", [(one.name, _runtime(one), one.source) for one in profile.runtimes]
    yield "Providers and delegates", [(one.runtime, _provider(one), one.source) for one in profile.providers]
    yield "Options that fit", [(one.name, _option(one), one.source) for one in profile.options]
    yield "Traps", [("", one.text, one.source) for one in profile.traps]


def _runtime(runtime: RuntimeKnowledge) -> str:
    when = {"": "", "termux": "in Termux: "}.get(runtime.when, f"for {runtime.when} programs: ")
    return f"{when}{runtime.install or f'not available: {runtime.unavailable}'}"


def _provider(provider: ProviderKnowledge) -> str:
    return f"{provider.name} needs {provider.needs}" if provider.needs else f"{provider.name} comes with it"


def _option(option: OptionKnowledge) -> str:
    of = f" of {option.provider} ({option.runtime})" if option.provider else ""
    value = str(option.value).lower() if isinstance(option.value, bool) else option.value
    return f"{value}{of}: {option.why}"

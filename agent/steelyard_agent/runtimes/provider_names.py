"""Execution providers and delegates by name: short names, documented options, and who ships them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from steelyard_agent.worker.failure import BlockFailure, BlockStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownProvider:
    """What is known of a provider or delegate before its library is asked.

    ``options`` are the names that ``source`` documents. Where ``is_open`` others pass too, since the library grows new
    ones with every release and refuses by itself what it does not know. ``defaults`` are set unless the caller sets
    them; ``instead_of`` names options that say the same in another way. ``thread_option`` takes the thread count.
    ``comes_with`` says which build or package has it. ``cache_options`` make it keep what it compiles, "{folder}"
    standing for the folder; one that ``keeps_context_model`` writes what it compiles as a model of its own instead.
    """

    name: str
    options: frozenset[str] = frozenset()
    is_open: bool = False
    defaults: Mapping[str, str] = field(default_factory=dict)
    instead_of: frozenset[str] = frozenset()
    thread_option: str = ""
    comes_with: str = ""
    cache_options: Mapping[str, str] = field(default_factory=dict)
    keeps_context_model: bool = False
    source: str = ""

    @property
    def compiles(self) -> bool:
        """Whether it compiles a model when it is loaded and can keep what it made."""
        return bool(self.cache_options) or self.keeps_context_model


def full_name(text: str, names: Iterable[str], *, suffix: str = "") -> str:
    """Return the runtime's own name for what a person typed, the text itself when no name fits.

    Case does not matter, and neither does ``suffix``: "cuda" is CUDAExecutionProvider.
    """

    def short(name: str) -> str:
        return name.lower().removesuffix(suffix.lower())

    return next((name for name in names if short(name) == short(text)), text)


def refuse_unknown(
    text: str, there: Iterable[str], product: str, more: str = "", *, known: Iterable[str] = ()
) -> BlockFailure:
    """Return the failure that says which providers are there, and which of those or of ``known`` was probably meant."""
    names = list(there)
    meant = _did_you_mean(text, [*names, *known])
    return BlockFailure(
        BlockStatus.UNSUPPORTED,
        "provider_unavailable",
        f"{product} knows no provider {text[:80]!r}{f'{meant} It' if meant else '; it'} has {', '.join(names)}{more}",
    )


def options_for(
    provider: KnownProvider, given: Mapping[str, str], thread_count: int | None, cache_folder: str = ""
) -> dict[str, str]:
    """Return the options that the provider is made with: those given, and the defaults that fit.

    Raises:
        BlockFailure: USER_ERROR for an option that it does not have, with the name that was probably meant, and for
            one that is ours where there is a cache folder.
    """
    check_options(provider.name, given, provider.options, is_open=provider.is_open, source=provider.source)
    if cache_folder:
        refuse_own_cache(provider.name, given, provider.cache_options)
    said = set(given)
    defaults = {} if said & provider.instead_of else dict(provider.defaults)
    if provider.thread_option and thread_count is not None and not said & provider.instead_of:
        defaults[provider.thread_option] = str(thread_count)
    if cache_folder:
        defaults |= {name: value.format(folder=cache_folder) for name, value in provider.cache_options.items()}
    return {**defaults, **given}


def refuse_own_cache(name: str, given: Iterable[str], cache_options: Iterable[str]) -> None:
    """Refuse to be told another place for what is compiled: whose build a load found there could not be proven.

    Raises:
        BlockFailure: USER_ERROR.
    """
    if taken := sorted(set(given) & set(cache_options)):
        raise BlockFailure(
            BlockStatus.USER_ERROR,
            "own_cache",
            f"{name} cannot be given {taken[0]!r}: the agent keeps what is compiled in a folder of its own and proves "
            "each load from it; leave the option out",
        )


def check_options(
    name: str, given: Iterable[str], known: Iterable[str], *, is_open: bool = False, source: str = ""
) -> None:
    """Refuse options that ``name`` does not have; where it is open, only those that look like a slip.

    Raises:
        BlockFailure: USER_ERROR.
    """
    names = sorted(known)
    for option in given:
        meant = _did_you_mean(option, names)
        if option in names or (is_open and not meant):
            continue
        listed = f"it has {', '.join(names)}" if names else "it has none"
        where = f" ({source})" if source else ""
        raise BlockFailure(
            BlockStatus.USER_ERROR, "unknown_option", f"{name} has no option {option!r}{meant or f'; {listed}'}{where}"
        )


def _did_you_mean(text: str, names: Iterable[str]) -> str:
    by_lower = {name.lower(): name for name in names}
    # 0.8: one or two wrong letters; a lower bar takes one real option of a family for another.
    close = get_close_matches(text.lower(), by_lower, n=1, cutoff=0.8)
    return f"; did you mean {by_lower[close[0]]}?" if close else ""

"""The pages for people, and what is found in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<content>.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(steelyard(?:-agent)? [^`\n]+)`")
_ASSIGNMENT = re.compile(r"[A-Z_][A-Z0-9_]*=\S*")
# What a shell would do with the rest of a line is not the program's.
_SHELL_ENDS = ("|", ">", "&&", "&")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block of a page."""

    page: str
    language: str
    content: str


def name_of(page: Path) -> str:
    """Return a page's path in the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks(*languages: str) -> list[Block]:
    """Return the fenced blocks of all pages in these languages."""
    return [
        Block(page=name_of(page), language=found["language"], content=found["content"])
        for page in PAGES
        for found in _FENCE.finditer(page.read_text(encoding="utf-8"))
        if found["language"] in languages
    ]


def command_lines() -> list[tuple[str, list[str]]]:
    """Return (page, words) of every line of a shell block that calls one of the two programs."""
    lines = [(block.page, line) for block in blocks("sh") for line in block.content.replace("\\\n", " ").splitlines()]
    return [(page, words) for page, line in lines for words in _calls(line)]


def command_mentions() -> list[tuple[str, list[str]]]:
    """Return (page, words) of every call in running text; it may name a command without what the command needs."""
    # The generated page has usage lines with placeholders; its examples are blocks.
    pages = [page for page in PAGES if page.name != "commands.md"]
    texts = [(name_of(page), _FENCE.sub("", page.read_text(encoding="utf-8"))) for page in pages]
    return [(page, words) for page, text in texts for found in _INLINE.finditer(text) for words in _calls(found[1])]


def _calls(line: str) -> Iterator[list[str]]:
    words = shlex.split(line.strip().removeprefix("$ "), comments=True)
    while words and _ASSIGNMENT.fullmatch(words[0]):
        words.pop(0)
    end = next((index for index, word in enumerate(words) if word in _SHELL_ENDS), len(words))
    if words and words[0].rpartition("/")[2] in {"steelyard", "steelyard-agent"}:
        yield [words[0].rpartition("/")[2], *words[1:end]]

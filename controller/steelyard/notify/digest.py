"""What is told of one night (or one gate), in the forms that the services take."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MAX_URL = 2000
PASS = "PASS"  # noqa: S105  (a verdict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """One message about one night.

    Attributes:
        key: Which row of messages it belongs to ("nightly/phones"): where a service can, the last one is replaced.
        number: Which one of that row it is (the night's number); a second one of the same number is the same message.
        title: One line.
        verdict: "PASS", "REGRESSED" or "INCOMPLETE".
        lines: Plain text, the most important first.
        markdown: The same in GitHub's Markdown, with more of it.
        url: Where the whole report is, "" where it is nowhere.
        html: The body of an e-mail; "": made of the lines.
    """

    key: str
    number: int
    title: str
    verdict: str
    lines: tuple[str, ...]
    markdown: str
    url: str = ""
    html: str = ""

    def __post_init__(self) -> None:
        """Refuse what would break a header or a marker."""
        if re.fullmatch(r"[^\x00-\x1f\x7f]+", self.title) is None:
            raise ValueError(f"the title {self.title!r} is not one line of text")
        if re.fullmatch(r"[^\x00-\x20\x7f<>]+", self.key) is None or "--" in self.key:
            raise ValueError(f"the key {self.key!r} has spaces, angle brackets or two dashes in a row")
        if len(self.url) > _MAX_URL or re.fullmatch(r"\S*", self.url) is None:
            raise ValueError(f"{self.url[:100]!r} is no URL of at most {_MAX_URL} characters")
        if self.verdict not in (PASS, "REGRESSED", "INCOMPLETE"):
            raise ValueError(f"the verdict {self.verdict!r} is none of PASS, REGRESSED, INCOMPLETE")

    @property
    def text(self) -> str:
        """The lines, and where the report is."""
        return "\n".join([*self.lines, *(["", self.url] if self.url else [])])

"""Pages that need nothing else: one HTML file, no script, no network, and no text that steers the reader's terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

# Control characters but for tab and newline, and the marks that turn the direction of text around (Unicode TR 9): names
# and sentences come from devices, and a report is also read with a pager.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def render_page(template: str, *, styles: Sequence[str], **values: object) -> str:
    """Return a page from a template of this package; ``styles`` are its style sheets, in their order."""
    folder = resources.files("steelyard.report").joinpath("templates")
    sheets = (folder.joinpath(name).read_text("utf-8") for name in styles)
    text = _environment().get_template(template).render(style=Markup("\n".join(sheets)), **values)  # noqa: S704 - our own
    return steered(text)


def steered(text: str) -> str:
    """Return a text with a replacement character for each that would steer a terminal or turn text around."""
    return _STEERING.sub("\ufffd", text)


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("steelyard.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

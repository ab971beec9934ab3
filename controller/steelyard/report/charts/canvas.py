"""A drawing surface that writes inline SVG; text is escaped, colours are classes and variables of the page."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from xml.etree import ElementTree as ET

from markupsafe import Markup

FONT_PX = 12.0
SMALL_FONT_PX = 11.0
# Widths in em of the letters that differ most from the rest in the sans-serif faces that browsers fall back to.
_NARROW = frozenset("iljtfrI.,:;'|!()[] ")
_WIDE = frozenset("mwMW@%")
_NARROW_EM, _USUAL_EM, _CAPITAL_EM, _WIDE_EM, _FULL_EM = 0.34, 0.58, 0.70, 0.90, 1.0


def text_width(text: str, size_px: float = FONT_PX) -> float:
    """Return about how wide a text will be; no font is at hand, so it errs to the wide side."""
    return size_px * sum(map(_em, text))


class Canvas:
    """An SVG element with a title and a description for those who do not see it.

    Args:
        name: unique in the page; ids are made from it.
        width: of the view box, in px; the page scales it down, never up by much.
        height: of the view box, in px.
        title: what the plot shows.
        description: what one reads off it, in a sentence.
    """

    def __init__(self, *, name: str, width: float, height: float, title: str, description: str) -> None:
        self.width, self.height = width, height
        self._root = ET.Element(
            "svg",
            {
                "viewBox": f"0 0 {_px(width)} {_px(height)}",
                "role": "img",
                "aria-labelledby": f"{name}-title {name}-desc",
                "width": _px(width),
                "height": _px(height),
            },
        )
        self._parents = [self._root]
        self._add("title", {"id": f"{name}-title"}, title)
        self._add("desc", {"id": f"{name}-desc"}, description)

    @contextmanager
    def group(self, kind: str = "", *, colour: str = "", tip: str = "") -> Iterator[None]:
        """Keep together what is drawn inside: one class, one colour, and a ``tip`` that shows on hover."""
        element = self._add("g", {"class": kind, "style": f"--c:{colour}" if colour else ""})
        self._parents.append(element)
        if tip:
            self._add("title", {}, tip)
        yield
        self._parents.pop()

    def line(self, start: tuple[float, float], end: tuple[float, float], kind: str) -> None:
        """Draw a straight line."""
        ends = {"x1": start[0], "y1": start[1], "x2": end[0], "y2": end[1]}
        self._add("line", {**{key: _px(value) for key, value in ends.items()}, "class": kind})

    def rect(self, left: float, top: float, width: float, height: float, kind: str, *, radius: float = 0.0) -> None:
        """Draw a rectangle."""
        box = {"x": left, "y": top, "width": max(0.0, width), "height": max(0.0, height), "rx": radius}
        self._add("rect", {**{key: _px(value) for key, value in box.items()}, "class": kind})

    def path(self, points: Iterable[tuple[float, float]], kind: str, *, closed: bool = False) -> None:
        """Draw a line through points."""
        steps = "L".join(f"{_px(x)} {_px(y)}" for x, y in points)
        self._add("path", {"d": f"M{steps}{'Z' if closed else ''}", "class": kind})

    def circle(self, centre: tuple[float, float], radius: float, kind: str) -> None:
        """Draw a circle."""
        self._add("circle", {"cx": _px(centre[0]), "cy": _px(centre[1]), "r": _px(radius), "class": kind})

    def text(self, at: tuple[float, float], text: str, kind: str = "", *, anchor: str = "start") -> None:
        """Write a line of text; ``at`` is on its baseline."""
        self._add("text", {"x": _px(at[0]), "y": _px(at[1]), "text-anchor": anchor, "class": kind}, text)

    def markup(self) -> Markup:
        """Return the SVG element, safe to stand in a page."""
        return Markup(ET.tostring(self._root, encoding="unicode"))  # noqa: S704 - ElementTree escaped every text in it

    def _add(self, tag: str, attributes: dict[str, str], text: str | None = None) -> ET.Element:
        present = {key: value for key, value in attributes.items() if value}
        element = ET.SubElement(self._parents[-1], tag, present)
        element.text = None if text is None else "".join(letter for letter in text if letter.isprintable())
        return element


def whisker(canvas: Canvas, ends: tuple[float, float], y: float, *, cap: float = 0.0) -> None:
    """Draw a horizontal interval that is seen on a bar of any colour: on a bed in the colour of the card."""
    lines = [((ends[0], y), (ends[1], y))]
    if cap:
        lines += [((x, y - cap), (x, y + cap)) for x in ends]
    for kind in ("bed", "whisker"):
        for start, end in lines:
            canvas.line(start, end, kind)


def marker(canvas: Canvas, centre: tuple[float, float], shape: int, radius: float, kind: str) -> None:
    """Draw the marker with this number: a disc, a square, a diamond, a triangle up, one down, and again."""
    x, y = centre
    outlines: Sequence[Sequence[tuple[float, float]]] = (
        ((-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)),
        ((0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)),
        ((0, -1.2), (1.15, 0.85), (-1.15, 0.85)),
        ((0, 1.2), (1.15, -0.85), (-1.15, -0.85)),
    )
    number = shape % (len(outlines) + 1)
    if number == 0:
        canvas.circle(centre, radius, kind)
        return
    canvas.path(((x + dx * radius, y + dy * radius) for dx, dy in outlines[number - 1]), kind, closed=True)


def _em(letter: str) -> float:
    if letter in _NARROW:
        return _NARROW_EM
    if letter in _WIDE:
        return _WIDE_EM
    if unicodedata.east_asian_width(letter) in "WF":
        return _FULL_EM
    return _CAPITAL_EM if letter.isupper() else _USUAL_EM


def _px(value: float) -> str:
    text = f"{value:.1f}"
    return text.removesuffix(".0") if text != "-0.0" else "0"

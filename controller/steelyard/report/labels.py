"""Labels that are too long for their place: cut in the middle, or broken where a reader would."""

from __future__ import annotations

from collections.abc import Sequence

_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


def short_labels(labels: Sequence[str], length: int) -> list[str]:
    """Return the labels with at most ``length`` characters each; labels that differ stay different.

    Labels of variants tell themselves apart by both ends, so the middle goes first.
    """
    shorts = [_cut(label, length) for label in labels]
    taken: dict[str, str] = {}
    for index, (short, label) in enumerate(zip(shorts, labels, strict=True)):
        if taken.setdefault(short, label) != label:
            number = f"{_ELLIPSIS}#{index + 1}"
            shorts[index] = label[: length - len(number)] + number
    return shorts


def in_two_lines(label: str, length: int) -> str:
    """Break a label that is longer than ``length`` after the last of its separators that fits."""
    if len(label) <= length:
        return label
    breaks = [index + 1 for index, letter in enumerate(label[:length]) if letter in "-._/:= "]
    at = breaks[-1] if breaks else length
    return f"{label[:at]}\n{label[at:]}"


def in_lines(label: str, length: int) -> str:
    """Break a label of several words ("original threads=2 spinning=off") between them, and within those too long."""
    lines: list[str] = []
    for word in label.split(" "):
        if lines and len(lines[-1]) + 1 + len(word) <= length:
            lines[-1] += f" {word}"
        else:
            lines += _pieces(word, length)
    return "\n".join(lines)


def _pieces(word: str, length: int) -> list[str]:
    first, broken, rest = in_two_lines(word, length).partition("\n")
    return [first, *_pieces(rest, length)] if broken else [first]


def _cut(label: str, length: int) -> str:
    if len(label) <= length:
        return label
    tail = (length - 1) // 2
    return label[: length - 1 - tail] + _ELLIPSIS + label[-tail:]

"""Who measured, and where, taken out of whole messages: the same original always gets the same replacement.

Nothing here knows which fields there are: every string of a message is looked at, also those that later versions add.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from google.protobuf.message import Message

from steelyard_protocol.v1 import control_pb2

_Message = TypeVar("_Message", bound=Message)
# A shorter name is replaced as a whole word only, and not looked for in binary members: three bytes turn up by chance.
LEAST_DISTINCT_CHARACTERS = 6
# Prefixes by which ids are shown to people.
_ID_PREFIXES = (8, 12)
# Words that say nothing of a person or a machine, and stand in sentences of ours.
_COMMON = frozenset({"admin", "android", "debian", "device", "host", "jetson", "local", "localhost", "model", "nobody"})
_COMMON_USERS = frozenset({"nvidia", "pi", "root", "runner", "shell", "steelyard", "test", "ubuntu", "user"})
# Where people's files lie. Below other roots (/sys, /proc, /usr) paths say what every device of the kind says, and
# names of operators also begin with a slash.
_ROOTS = (
    "home|Users|root|mnt|media|tmp|var|opt|srv|private|Volumes|storage|sdcard|data|scratch|nfs|afs|workspace|workspaces"
)
_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("address", re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+")),
    ("host", re.compile(r"(?<=://)[^\s/:'\"]+(?::\d+)?")),
    ("path", re.compile(rf"(?<![\w/.])(?:/(?:{_ROOTS})/|~/)[^\s'\",;:)\]]+")),
    # Of one person, wherever it stands ("-L/home/jane/lib").
    ("path", re.compile(r"/(?:home|Users)/[^\s'\",;:)\]]+")),
    ("path", re.compile(r"(?<!\w)[A-Za-z]:\\[^\s'\",;)]+")),
    ("mac", re.compile(r"\b(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}\b")),
    (
        "host",
        re.compile(
            r"(?<![\d.])(?!127\.|0\.0\.0\.0)(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\d.])"
        ),
    ),
    ("host", re.compile(r"\b[\w-]+\.(?:local|lan|home|internal|localdomain)\b")),
    ("serial", re.compile(r"(?i)(?<=serial )(?!number\b)[\w-]+|(?<=serial number )[\w-]+|(?<=serial=)[\w-]+")),
)
_REPLACED = re.compile(r"(?:address|controller|device|host|mac|meter|path|serial|user)-\d+(?::\d+)?")


class Anonymiser:
    """Replaces names, consistently over everything that it is given."""

    def __init__(self) -> None:
        self._replacements: dict[str, str] = {}
        self._lowered: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._known: re.Pattern[str] | None = None

    @property
    def originals(self) -> tuple[str, ...]:
        """Everything that was replaced, or is to be; the longest first."""
        return tuple(sorted(self._replacements, key=lambda text: (-len(text), text)))

    def learn_record(self, record: control_pb2.MeasurementRecord) -> None:
        """Note who a record is of, before any text of it is replaced."""
        device = record.device
        self.learn("device", [device.name, device.device_id, record.job.device, record.request.device], ids=True)
        for one in record.history.replacements:
            self.learn("device", [one.new_device_name, one.new_device_id], ids=True)
            self.learn("device", [one.old_device_name, one.old_device_id], ids=True)
        self.learn("controller", [record.controller_id], ids=True)
        for answers in record.numeric:
            for other in answers.others:
                self.learn("device", [other.device])
        for meter in record.request.meters:
            scheme, _, _ = meter.partition(":")
            self._note(meter, f"{scheme}:{self._next('meter')}")

    def learn_trace(self, trace: control_pb2.MeterTrace) -> None:
        """Note what a meter says of itself: serial numbers stand in it, and addresses."""
        shown = self._replacements.get(trace.meter, trace.meter)
        self._note(trace.description, shown.replace(":", " "))

    def learn(self, kind: str, names: Iterable[str], *, ids: bool = False) -> None:
        """Note names of one thing; those that are empty, too common or known already are left as they are."""
        names = [name for name in dict.fromkeys(names) if name and name.lower() not in _COMMON | _COMMON_USERS]
        known = next((self._replacements[name] for name in names if name in self._replacements), "")
        if not names:
            return
        shown = known or self._next(kind)
        for name in names:
            self._note(name, shown)
            for length in _ID_PREFIXES if ids and re.fullmatch(r"[0-9a-f]{16,}", name) else ():
                self._note(name[:length], shown)

    def settle(self) -> None:
        """From now on look for all that was found by its form, in whatever form it stands."""
        self._known = None

    def text(self, text: str) -> str:
        """Return a text without any name that is known, and without paths, hosts, addresses and serial numbers."""
        if not text:
            return text
        if self._known is None:
            self._known = _any_of(self.originals)
        if self._known is not None:
            text = self._known.sub(lambda match: self._lowered[match[0].lower()], text)
        for kind, pattern in _PATTERNS:
            text = pattern.sub(lambda match, kind=kind: self._found(kind, match[0]), text)  # type: ignore[misc]
        return text

    def message(self, message: _Message) -> _Message:
        """Return a copy of a message with every string of it replaced, at any depth."""
        copy = type(message)()
        copy.CopyFrom(message)
        self._scrub(copy)
        return copy

    def _scrub(self, message: Message) -> None:
        for field, value in message.ListFields():
            if isinstance(value, Message):
                self._scrub(value)
            elif isinstance(value, str):
                setattr(message, field.name, self.text(value))
            elif isinstance(value, Mapping):
                self._scrub_map(value)
            elif not isinstance(value, bytes | int | float):
                self._scrub_list(value)

    def _scrub_map(self, entries: Any) -> None:
        for key in list(entries):
            value = entries[key]
            if isinstance(value, Message):
                self._scrub(value)
            elif isinstance(value, str):
                entries[key] = self.text(value)

    def _scrub_list(self, entries: Any) -> None:
        for index, value in enumerate(entries):
            if isinstance(value, Message):
                self._scrub(value)
            elif isinstance(value, str):
                entries[index] = self.text(value)
            else:
                return

    def _found(self, kind: str, original: str) -> str:
        if _REPLACED.fullmatch(original):
            return original
        if original not in self._replacements:
            self._keep(original, self._next(kind))
        return self._replacements[original]

    def _note(self, original: str, replacement: str) -> None:
        if original and original not in self._replacements:
            self._keep(original, replacement)
            self.settle()

    def _keep(self, original: str, replacement: str) -> None:
        self._replacements[original] = replacement
        self._lowered.setdefault(original.lower(), replacement)

    def _next(self, kind: str) -> str:
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return f"{kind}-{self._counts[kind]}"


def left_in(content: bytes, originals: Iterable[str]) -> str:
    """Return the first original that is still somewhere in these bytes, in any case of letters; "" for none."""
    lowered = content.lower()
    distinct = (one for one in originals if len(one) >= LEAST_DISTINCT_CHARACTERS)
    return next((one for one in distinct if one.lower().encode() in lowered), "")


def _any_of(originals: Iterable[str]) -> re.Pattern[str] | None:
    """Return what finds each original: a distinct one anywhere and in any case, a short one as a whole word."""
    patterns = [
        rf"(?i:{re.escape(one)})"
        if len(one) >= LEAST_DISTINCT_CHARACTERS
        else rf"(?<![0-9A-Za-z]){re.escape(one)}(?![0-9A-Za-z])"
        for one in originals
    ]
    return re.compile("|".join(patterns)) if patterns else None


def without_text(message: _Message) -> _Message:
    """Return a copy of a message without any string of it: what must not change with the names in it."""
    copy = type(message)()
    copy.CopyFrom(message)
    _drop_text(copy)
    return copy


def _drop_text(message: Message) -> None:
    for field, value in message.ListFields():
        if isinstance(value, Message):
            _drop_text(value)
        elif isinstance(value, str | Mapping):
            message.ClearField(field.name)
        elif not isinstance(value, bytes | int | float):
            if len(value) and isinstance(value[0], str):
                message.ClearField(field.name)
            for one in value:
                if isinstance(one, Message):
                    _drop_text(one)

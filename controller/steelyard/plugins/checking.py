"""Whether a class keeps the contract of what it says it is, without making one of it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

from steelyard.compress.contract import FLOAT16, FLOAT32, INT8, ONNX, SAME_FORM, SPARSE, TFLITE, WEIGHT_ONLY
from steelyard.plugins.roles import FORMATS, ROLES, STEPS

_KIND = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_SUFFIX = re.compile(r"\.[a-z0-9.]+")
_FORMS = frozenset({FLOAT32, FLOAT16, INT8, WEIGHT_ONLY, SPARSE})
_FILES = frozenset({ONNX, TFLITE})
# What the controller reads itself.
_OWN_SUFFIXES = frozenset({".onnx", ".tflite"})


def contract_problem(role: str, kind: object, found: Any) -> str:
    """Return what keeps ``found`` from being used as ``kind``, to stand behind its name; "" for nothing."""
    # Each problem hides the ones behind it: a class without a kind has no settings to speak of.
    return next(_problems(role, kind, found), "")


def _problems(role: str, kind: object, found: Any) -> Iterator[str]:
    if not isinstance(found, type):
        yield f"is {found!r}, which is no class"
    parameters = getattr(found, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        yield "is no frozen dataclass"
    own_kind = getattr(found, "kind", None)
    if not isinstance(own_kind, str) or not _KIND.fullmatch(own_kind):
        yield f"has the kind {own_kind!r}; use lower-case letters, digits and '-', 40 at most"
    if own_kind != kind:
        yield f"is registered as {kind!r} and has the kind {own_kind!r}"
    yield from _lacking(role, found)
    if role == STEPS:
        yield from _odd_step(found)
    if role == FORMATS:
        yield from _odd_format(found)


def _lacking(role: str, found: Any) -> Iterator[str]:
    for name, wanted in ROLES[role].variables.items():
        value = getattr(found, name, None)
        if not hasattr(found, name):
            yield f"has no {name!r}"
        if wanted is not None and not isinstance(value, wanted):
            yield f"has {name} = {value!r}, which is no {wanted.__name__}"
    for name in ROLES[role].methods:
        if not callable(getattr(found, name, None)):
            yield f"has no method {name!r}"
    for field in dataclasses.fields(found):
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            yield f"has the setting {field.name!r} without a default"


def _odd_step(found: Any) -> Iterator[str]:
    if not found.accepts or not found.accepts <= _FORMS:
        yield f"accepts {sorted(map(str, found.accepts))}; name some of {', '.join(sorted(_FORMS))}"
    if found.produces not in _FORMS | {SAME_FORM}:
        yield f"produces {found.produces!r}; name one of {', '.join(sorted(_FORMS | {SAME_FORM}))}"
    if not found.formats or not found.formats <= _FILES:
        yield f"works on the formats {sorted(map(str, found.formats))}; name some of onnx and tflite"


def _odd_format(found: Any) -> Iterator[str]:
    suffixes = found.suffixes
    if not suffixes or not all(isinstance(one, str) and _SUFFIX.fullmatch(one) for one in suffixes):
        yield f"has the suffixes {sorted(map(str, suffixes))}; write them like '.h5'"
    if suffixes & _OWN_SUFFIXES:
        yield f"takes {', '.join(sorted(suffixes & _OWN_SUFFIXES))}, which Steelyard reads itself"
    if found.produces not in _FILES:
        yield f"produces {found.produces!r}; name onnx or tflite"

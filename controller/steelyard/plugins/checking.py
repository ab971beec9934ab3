"""Whether a class keeps the contract of what it says it is, without making one of it."""

from __future__ import annotations

import dataclasses
import re
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
    if not isinstance(found, type):
        return f"is {found!r}, which is no class"
    parameters = getattr(found, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        return "is no frozen dataclass"
    own_kind = getattr(found, "kind", None)
    if not isinstance(own_kind, str) or not _KIND.fullmatch(own_kind):
        return f"has the kind {own_kind!r}; use lower-case letters, digits and '-', 40 at most"
    if own_kind != kind:
        return f"is registered as {kind!r} and has the kind {own_kind!r}"
    for name, wanted in ROLES[role].variables.items():
        if not hasattr(found, name):
            return f"has no {name!r}"
        value = getattr(found, name)
        if wanted is not None and not isinstance(value, wanted):
            return f"has {name} = {value!r}, which is no {wanted.__name__}"
    for name in ROLES[role].methods:
        if not callable(getattr(found, name, None)):
            return f"has no method {name!r}"
    return _without_default(found) or _odd_values(role, found)


def _without_default(found: Any) -> str:
    for field in dataclasses.fields(found):
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            return f"has the setting {field.name!r} without a default"
    return ""


def _odd_values(role: str, found: Any) -> str:
    if role == STEPS:
        if not found.accepts or not found.accepts <= _FORMS:
            return f"accepts {sorted(map(str, found.accepts))}; name some of {', '.join(sorted(_FORMS))}"
        if found.produces not in _FORMS | {SAME_FORM}:
            return f"produces {found.produces!r}; name one of {', '.join(sorted(_FORMS | {SAME_FORM}))}"
        if not found.formats or not found.formats <= _FILES:
            return f"works on the formats {sorted(map(str, found.formats))}; name some of onnx and tflite"
    if role == FORMATS:
        suffixes = found.suffixes
        if not suffixes or not all(isinstance(one, str) and _SUFFIX.fullmatch(one) for one in suffixes):
            return f"has the suffixes {sorted(map(str, suffixes))}; write them like '.h5'"
        if suffixes & _OWN_SUFFIXES:
            return f"takes {', '.join(sorted(suffixes & _OWN_SUFFIXES))}, which Steelyard reads itself"
        if found.produces not in _FILES:
            return f"produces {found.produces!r}; name onnx or tflite"
    return ""

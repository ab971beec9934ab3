"""The kinds of meters by scheme: those that come with Steelyard, and those of the entry points `steelyard.meters`."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec

from steelyard.errors import UsageError
from steelyard.meters.contract import Meter, MeterKind, MeterUrl
from steelyard.spelling import meant

_GROUP = "steelyard.meters"
_BUILT_IN = {
    "joulescope": "steelyard.meters.joulescope",
    "otii": "steelyard.meters.otii",
    "scpi": "steelyard.meters.scpi",
    "shelly": "steelyard.meters.shelly",
    "tasmota": "steelyard.meters.tasmota",
}


def schemes() -> list[str]:
    """Return the scheme of every kind, sorted."""
    return sorted({*_BUILT_IN, *(point.name for point in entry_points(group=_GROUP))})


def kind_of(scheme: str) -> MeterKind:
    """Return the kind of a scheme; the ones that come with Steelyard win.

    Raises:
        UsageError: ``unknown_meter``, with the nearest scheme, or ``bad_meter_plugin``.
    """
    if scheme in _BUILT_IN:
        kind = import_module(_BUILT_IN[scheme]).KIND
    else:
        point = next(iter(entry_points(group=_GROUP, name=scheme)), None)
        if point is None:
            known = schemes()
            raise UsageError("unknown_meter", f"there is no meter kind {scheme!r}; {meant(scheme, known)}")
        kind = point.load()
    if not isinstance(kind, MeterKind):
        raise UsageError("bad_meter_plugin", f"the meter kind {scheme!r} is {kind!r}, not a MeterKind")
    return kind


def make_meter(text: str) -> Meter:
    """Return the unopened meter of a URL.

    Raises:
        UsageError: an unknown kind, an address that makes no sense, or a library that is not installed.
    """
    kind, url = checked_url(text)
    return kind.make(url)


def checked_url(text: str) -> tuple[MeterKind, MeterUrl]:
    """Return the kind and the parts of a URL that can be used here.

    Raises:
        UsageError: as ``make_meter``.
    """
    url = MeterUrl.parse(text)
    kind = kind_of(url.scheme)
    if reason := kind.missing():
        raise UsageError("meter_not_installed", f"meter {text!r} cannot be read here: {reason}")
    kind.make(url)
    return kind, url


def missing_library(module: str, extra: str) -> str:
    """Return what to install when ``module`` is not there, "" when it is."""
    if find_spec(module) is not None:
        return ""
    return f"the package {module} is not installed; pip install 'steelyard[{extra}]'"

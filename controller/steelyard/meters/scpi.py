"""Supplies and power analysers that speak SCPI, through VISA: `MEAS:POW?`, or volts times amperes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

from steelyard.errors import UsageError, first_line
from steelyard.meters.contract import MeterError, MeterFacts, MeterKind, MeterSample, MeterUrl, Scope
from steelyard.meters.registry import missing_library

_PERIOD_S = 0.1
_TIMEOUT_MS = 2000
_OPTIONS = ("query", "volts", "amps", "backend", "scope")
_SCOPES = {"board-input": Scope.BOARD_INPUT, "wall": Scope.WALL}


class Scpi:
    """One instrument: "RESOURCE", "RESOURCE?query=MEAS:POW?" or "RESOURCE?volts=MEAS:VOLT?&amps=MEAS:CURR?"."""

    def __init__(self, url: MeterUrl, *, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._resource, options = _parts(url)
        self._scope = _SCOPES[options.get("scope", "board-input")]
        self._backend = options.get("backend", "")
        self._queries = (
            (options["volts"], options["amps"]) if "volts" in options else (options.get("query", "MEAS:POW?"),)
        )
        self._clock_ns = clock_ns
        self._manager: Any = None
        self._instrument: Any = None

    def open(self) -> MeterFacts:
        """Connect, ask who it is, read it once."""
        import pyvisa

        try:
            self._manager = pyvisa.ResourceManager(self._backend)
            self._instrument = self._manager.open_resource(self._resource, open_timeout=_TIMEOUT_MS)
            self._instrument.timeout = _TIMEOUT_MS
            # The end of a message in IEEE 488.2; on a serial line and a raw socket it is the only one.
            self._instrument.read_termination = self._instrument.write_termination = "\n"
        except (pyvisa.errors.Error, ValueError, OSError) as error:
            raise MeterError("meter_silent", f"{self._resource} cannot be opened: {first_line(error)}") from error
        if not isinstance(self._instrument, pyvisa.resources.MessageBasedResource):
            raise MeterError("meter_silent", f"{self._resource} is nothing that answers questions: check its name")
        identity = self._ask("*IDN?")
        self.read()
        return MeterFacts(description=f"{identity[:80]} at {self._resource}", scope=self._scope, period_s=_PERIOD_S)

    def read(self) -> Sequence[MeterSample]:
        """Ask for the present power."""
        before = self._clock_ns()
        power_w = 1.0
        for query in self._queries:
            answer = self._ask(query)
            try:
                power_w *= float(answer)
            except ValueError as error:
                raise MeterError(
                    "meter_nonsense", f"{self._resource} answered {query} with {answer[:40]!r}, which is no number"
                ) from error
        return (MeterSample(time_ns=(before + self._clock_ns()) // 2, power_w=power_w),)

    def close(self) -> None:
        """Let go of the instrument and of the library."""
        held, self._instrument, self._manager = (self._instrument, self._manager), None, None
        for one in held:
            if one is not None:
                import pyvisa

                with suppress(pyvisa.errors.Error, OSError):
                    one.close()

    def _ask(self, query: str) -> str:
        import pyvisa

        try:
            answer = str(self._instrument.query(query)).strip()
        except (pyvisa.errors.Error, UnicodeDecodeError, OSError) as error:
            raise MeterError("meter_silent", f"{self._resource} did not answer {query}: {first_line(error)}") from error
        if not answer:
            raise MeterError("meter_silent", f"{self._resource} did not answer {query}: an empty line came")
        return answer


def _parts(url: MeterUrl) -> tuple[str, dict[str, str]]:
    resource, _, rest = url.address.partition("?")
    options: dict[str, str] = {}
    for part in filter(None, rest.split("&")):
        name, equals, value = part.partition("=")
        if name not in _OPTIONS or not equals or not value or name in options:
            raise UsageError("bad_meter", f"meter {url.text!r}: {part!r} is none of {', '.join(_OPTIONS)}, once each")
        options[name] = unquote(value)
    if not resource:
        raise UsageError("bad_meter", f"meter {url.text!r} names no resource, as scpi:TCPIP0::192.168.1.30::INSTR")
    if ("volts" in options) != ("amps" in options) or ("volts" in options and "query" in options):
        raise UsageError("bad_meter", f"meter {url.text!r}: give query=, or volts= and amps= together")
    if options.get("scope", "wall") not in _SCOPES:
        raise UsageError("bad_meter", f"meter {url.text!r}: scope is one of {', '.join(_SCOPES)}")
    return resource, options


def _missing() -> str:
    return missing_library("pyvisa", "scpi")


KIND = MeterKind(
    scheme="scpi",
    summary="supplies and power analysers that speak SCPI",
    example="scpi:TCPIP0::192.168.1.30::INSTR",
    period_s=_PERIOD_S,
    make=Scpi,
    missing=_missing,
)

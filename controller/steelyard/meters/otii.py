"""Qoitech Otii Arc and Ace, through the Otii application's TCP server: the channel "mp" (main power) of a recording.

Source: otii-tcp-client 1.0 (Arc.enable_channel, Project.start_recording, Recording.get_channel_data). The application
needs its Automation licence; where it is not logged in the client does so by OTII_USERNAME and OTII_PASSWORD of the
environment.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from steelyard.errors import UsageError, first_line
from steelyard.meters.contract import MeterError, MeterFacts, MeterKind, MeterSample, MeterUrl, Scope
from steelyard.meters.registry import missing_library

# An Arc takes 4,000 values a second, an Ace up to 50,000; more than 50 means a second say nothing more of a window.
_PERIOD_S = 0.02
_CHANNEL = "mp"
_CONNECT_S = 3
_ADDRESS = re.compile(r"(?P<host>\[[^\]]+\]|[^:?\s]+)?(?::(?P<port>[0-9]{1,5}))?(?:\?device=(?P<device>.+))?")
_DEFAULT_PORT = 1905


class Otii:
    """One Arc or Ace of an Otii application: "HOST:PORT", or "HOST:PORT?device=NAME" where it has several."""

    def __init__(self, url: MeterUrl, *, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        match = _ADDRESS.fullmatch(url.address)
        port = int(match["port"] or _DEFAULT_PORT) if match is not None else 0
        if match is None or not 0 < port < 65_536:
            raise UsageError("bad_meter", f"meter {url.text!r} is not otii:HOST:PORT or otii:HOST:PORT?device=NAME")
        self._host, self._port, self._device_name = (match["host"] or "127.0.0.1").strip("[]"), port, match["device"]
        self._clock_ns = clock_ns
        self._client: Any = None
        self._application: Any = None
        self._project: Any = None
        self._recording: Any = None
        self._device: Any = None
        self._read_count = 0
        self._anchor_ns: int | None = None

    def open(self) -> MeterFacts:
        """Connect to the application, choose the device, start a recording."""
        from otii_tcp_client import otii_client

        with self._explained("cannot be used"):
            self._client = otii_client.OtiiClient()
            application = self._client.connect(host=self._host, port=self._port, try_for_seconds=_CONNECT_S)
            self._application = application
            self._device = self._choose(application.get_devices(timeout=_CONNECT_S))
            self._device.enable_channel(_CHANNEL, True)
            project = _active_project(application)
            project.start_recording()
            self._project = project
            self._recording = project.get_last_recording()
        if self._recording is None:
            raise self._trouble("started no recording: is the device's main supply set up in the application?")
        return MeterFacts(
            description=f"Otii {self._device.type} {self._device.name} at {self._host}:{self._port}",
            scope=Scope.BOARD_INPUT,
            period_s=_PERIOD_S,
            averaging_s=_PERIOD_S,
        )

    def read(self) -> Sequence[MeterSample]:
        """Return means over 20 ms of what was recorded since the last call."""
        with self._explained("stopped answering"):
            count = self._recording.get_channel_data_count(self._device.id, _CHANNEL)
            if count <= self._read_count:
                return ()
            now_ns = self._clock_ns()
            data = self._recording.get_channel_data(
                self._device.id, _CHANNEL, self._read_count, count - self._read_count
            )
            values, interval_s = [float(value) for value in data["values"]], float(data["interval"])
        if not (interval_s > 0 and values):
            raise self._trouble(f"sent values {interval_s!r} s apart")
        if self._anchor_ns is None:
            self._anchor_ns = now_ns - round(count * interval_s * 1e9)
        return self._means(values, interval_s)

    def close(self) -> None:
        """End the recording, throw it away, hang up."""
        client, application, project, recording = self._client, self._application, self._project, self._recording
        self._client = self._application = self._project = self._recording = None
        if project is not None:
            with suppress(MeterError), self._explained("could not be closed"):
                project.stop_recording()
        if recording is not None:
            with suppress(MeterError), self._explained("could not be closed"):
                recording.delete()
        if client is not None:
            with suppress(MeterError), self._explained("could not be closed"):
                client.disconnect()
        if application is not None:
            # Disconnecting gives the licence back first; where that fails the connection would stay open.
            with suppress(MeterError), self._explained("could not be closed"):
                application.connection.close_connection()

    def _means(self, values: list[float], interval_s: float) -> list[MeterSample]:
        """Take whole bins only; what is left over is read again with what follows."""
        size = max(1, round(_PERIOD_S / interval_s))
        assert self._anchor_ns is not None
        samples = []
        for first in range(0, len(values) - size + 1, size):
            middle = self._read_count + first + size / 2
            power_w = sum(values[first : first + size]) / size
            samples.append(MeterSample(time_ns=self._anchor_ns + round(middle * interval_s * 1e9), power_w=power_w))
        self._read_count += len(samples) * size
        return samples

    def _choose(self, devices: Sequence[Any]) -> Any:
        fits = [device for device in devices if self._device_name in (None, device.name, device.id)]
        if len(fits) != 1:
            names = ", ".join(device.name for device in devices) or "none"
            raise self._trouble(f"has not one fitting device: connected are {names}; end the URL with ?device=NAME")
        return fits[0]

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Turn whatever the client raises into a MeterError; it has no exception class of its own for most of it."""
        try:
            yield
        except MeterError:
            raise
        except Exception as error:
            # The client raises bare Exception for a lost connection, so nothing narrower would do.
            raise self._trouble(f"{what} ({first_line(error)})") from error

    def _trouble(self, what: str) -> MeterError:
        return MeterError("meter_silent", f"the Otii application at {self._host}:{self._port} {what}")


def _active_project(application: Any) -> Any:
    from otii_tcp_client.otii import OtiiException

    try:
        return application.get_active_project()
    except OtiiException:
        return application.create_project()


def _missing() -> str:
    return missing_library("otii_tcp_client", "otii")


KIND = MeterKind(
    scheme="otii",
    summary="Qoitech Otii Arc and Ace, through the Otii application",
    example="otii:127.0.0.1:1905",
    period_s=_PERIOD_S,
    make=Otii,
    missing=_missing,
)

"""Finding the controller: the one that was named, the one that holds the state directory, or one of our own."""

from __future__ import annotations

from pathlib import Path

import grpc

from steelyard.control.client import Client
from steelyard.errors import DeviceError, UsageError
from steelyard.fleet.transport import CONTROL_CLIENT_OPTIONS
from steelyard.settings import Settings, load_settings
from steelyard.store.lock import StateLockedError, lock_holder

_READY_TIMEOUT_S = 5.0


def connect(
    controller: str | None = None, *, state_directory: Path | str | None = None, settings: Settings | None = None
) -> Client:
    """Connect to a controller, or start one for as long as the client lives.

    Args:
        controller: ``unix:PATH`` of a controller's control socket; None finds or starts the one of the state directory.
        state_directory: Where the controller keeps its state; None takes the configured one.
        settings: Settings that were loaded already; the other two are then ignored.

    Raises:
        DeviceError: The named controller does not answer.
        StateLockedError: Another controller holds the state directory and does not answer.
        UsageError: A setting makes no sense.
    """
    if settings is None:
        flags = {"controller": controller, "state_directory": str(state_directory) if state_directory else None}
        settings = load_settings({key: value for key, value in flags.items() if value})
    if settings.controller:
        return _reach(settings.controller)
    holder = lock_holder(settings.state_directory)
    if holder is not None:
        return _reach(f"unix:{holder.socket}")
    return _start_own(settings)


def _start_own(settings: Settings) -> Client:
    from steelyard.control.host import ControllerHost

    host = ControllerHost(settings)
    try:
        host.start()
    except StateLockedError:
        # Somebody was faster between our look and our start: theirs is the controller.
        holder = lock_holder(settings.state_directory)
        if holder is None:
            raise
        return _reach(f"unix:{holder.socket}")
    holder = lock_holder(settings.state_directory)
    if holder is None:
        raise DeviceError(
            "controller_vanished", f"the controller in {settings.state_directory} ended at once; try again"
        )
    return _reach(f"unix:{holder.socket}", on_close=host.stop)


def _reach(address: str, on_close: object = None) -> Client:
    if not address.startswith("unix:"):
        raise UsageError(
            "controller_off_socket",
            f"controller {address!r}: until user tokens exist a controller is reached by its socket only, as unix:PATH "
            "(steelyard serve prints it); over a network use ssh -L LOCAL.sock:REMOTE.sock HOST",
        )
    channel = grpc.insecure_channel(address, options=CONTROL_CLIENT_OPTIONS)
    try:
        grpc.channel_ready_future(channel).result(_READY_TIMEOUT_S)
    except grpc.FutureTimeoutError:
        channel.close()
        raise DeviceError(
            "controller_unreachable",
            f"no controller answers at {address}: start one with `steelyard serve`, or leave --controller out to let "
            "this command start its own",
        ) from None
    return Client(channel, on_close=on_close if callable(on_close) else None)

"""Finding the controller: the one that was named, the one that holds the state directory, or one of our own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import grpc

from steelyard.control.client import Client
from steelyard.control.token import TOKEN_VARIABLE
from steelyard.errors import DeviceError
from steelyard.fleet.transport import CONTROL_CLIENT_OPTIONS
from steelyard.settings import Settings, load_settings
from steelyard.store.guests import GuestLock
from steelyard.store.lock import StateLockedError, lock_holder

_READY_TIMEOUT_S = 5.0
# A controller starts in a second and leaves within its grace; migrations of a large store take longer.
_SETTLE_TIMEOUT_S = 30.0
_SETTLE_LOOK_S = 0.05


def connect(
    controller: str | None = None,
    *,
    state_directory: Path | str | None = None,
    settings: Settings | None = None,
    on_guests: Callable[[], None] = lambda: None,
) -> Client:
    """Connect to a controller, or start one for as long as the client lives.

    With a token in ``STEELYARD_TOKEN`` (``steelyard user token``) it is the token's controller, unless a socket is
    named.

    Args:
        controller: ``unix:PATH`` of a controller's control socket, or ``HOST:PORT`` of one that this person has logged
            in to (``steelyard login CODE``); None finds or starts the one of the state directory.
        state_directory: Where the controller keeps its state; None takes the configured one.
        settings: Settings that were loaded already; the other two are then ignored.
        on_guests: Called when a controller that was started here is to end and waits for other commands that use it.

    Raises:
        DeviceError: The named controller does not answer.
        StateLockedError: Another controller holds the state directory and does not answer.
        UsageError: A setting makes no sense, there is no login for the named controller, or the token is no good.
    """
    if settings is None:
        flags = {"controller": controller, "state_directory": str(state_directory) if state_directory else None}
        settings = load_settings({key: value for key, value in flags.items() if value})
    token = os.environ.get(TOKEN_VARIABLE)
    if token is not None and not (settings.controller or "").startswith("unix:"):
        return _reach_by_token(token, settings.controller)
    if settings.controller:
        return _reach(settings.controller)
    return _join(settings) or _start_own(settings, on_guests)


def _join(settings: Settings) -> Client | None:
    """Return a client of the controller that holds the state directory, None when nobody does.

    Waits for a controller that is just starting or leaving; one that another command started stays for us as its guest.
    """
    deadline = time.monotonic() + _SETTLE_TIMEOUT_S
    while (holder := lock_holder(settings.state_directory)) is not None:
        if holder.socket:
            guest = GuestLock(settings.state_directory)
            # Looked at once more as a guest: from then on this controller does not leave.
            if guest.try_enter() and lock_holder(settings.state_directory) == holder:
                return _reach_as(guest, holder.socket)
            guest.release()
        if time.monotonic() > deadline:
            raise DeviceError(
                "controller_unreachable",
                f"process {holder.pid} holds {settings.state_directory} and serves nobody: wait until it ends, or end "
                "it, and try again",
            )
        time.sleep(_SETTLE_LOOK_S)
    return None


def _reach_as(guest: GuestLock, socket: str) -> Client:
    try:
        return _reach(f"unix:{socket}", on_close=guest.release)
    except BaseException:
        guest.release()
        raise


def _start_own(settings: Settings, on_guests: Callable[[], None]) -> Client:
    from steelyard.control.host import ControllerHost

    host = ControllerHost(settings, on_guests=on_guests)
    try:
        host.start()
    except StateLockedError:
        # Somebody was faster between our look and our start: theirs is the controller.
        client = _join(settings)
        if client is None:
            raise
        return client
    holder = lock_holder(settings.state_directory)
    if holder is None:
        raise DeviceError(
            "controller_vanished", f"the controller in {settings.state_directory} ended at once; try again"
        )
    return _reach(f"unix:{holder.socket}", on_close=host.stop)


def _reach(address: str, on_close: object = None) -> Client:
    if not address.startswith("unix:"):
        return _reach_over_network(address)
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


def _reach_by_token(text: str, address: str | None) -> Client:
    """Reach the controller of a token at the first of its addresses that answers; nothing of it is kept."""
    from steelyard.control.login import open_secure_channel
    from steelyard.control.token import decode_token

    token = decode_token(text)
    addresses = (address,) if address else token.addresses
    for one in addresses:
        channel = open_secure_channel(token, one)
        try:
            grpc.channel_ready_future(channel).result(_READY_TIMEOUT_S)
        except grpc.FutureTimeoutError:
            channel.close()
        except BaseException:
            channel.close()
            raise
        else:
            return Client(channel)
    raise DeviceError(
        "controller_unreachable",
        f"no controller that knows the token of {token.user} answers at {', '.join(addresses)}: is `steelyard serve` "
        "running there, can this machine reach it, and was the token made by this controller?",
    )


def _reach_over_network(address: str) -> Client:
    """Reach a controller by the login for it, which is renewed when it is time."""
    from steelyard.control.login import open_secure_channel, renewed
    from steelyard.control.logins import Logins

    logins = Logins()
    login = logins.for_address(address)
    channel = open_secure_channel(login, address)
    try:
        grpc.channel_ready_future(channel).result(_READY_TIMEOUT_S)
        following = renewed(login, channel)
        if following is not None:
            logins.save(following)
    except grpc.FutureTimeoutError:
        channel.close()
        raise DeviceError(
            "controller_unreachable",
            f"no controller that knows the login of {login.user} answers at {address}: is `steelyard serve` running "
            "there, is the port the one with certificates, and was the login made with this controller?",
        ) from None
    except BaseException:
        channel.close()
        raise
    return Client(channel)

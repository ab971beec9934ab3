"""Opens the channel that a session and its blobs share."""

from __future__ import annotations

import grpc
import grpc.aio

from steelyard_agent.link.address import ControllerAddress

# Small control messages and chunks of 256 KiB; anything larger is a mistake of the other side.
_MAX_RECEIVE_BYTES = 2 * 1024 * 1024

CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    # A silent half-open stream is not noticed without keepalive; the ping's own time-out is what sets the deadline
    # (60 s by default), not keepalive_timeout.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # What is on its way to us stays below half a megabyte. By itself gRPC widens the window until the sender's kernel
    # holds 4 MB: 30 s of a link of 1 Mbit/s, behind which pings ran out every 10 s, and heartbeats waited. As fast as
    # without on a fast link (ratio 0.99 to 1.00 over 4 rounds of 150 MB).
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 512 * 1024),
    # Each dial starts anew: the back-off is ours, not a subchannel's that earlier dials have left behind.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
    ("grpc.max_receive_message_length", _MAX_RECEIVE_BYTES),
    # A proxy from the environment is for the web: it must not see this link.
    ("grpc.enable_http_proxy", 0),
)


def open_channel(address: ControllerAddress) -> grpc.aio.Channel:
    """Return a channel to the controller; it connects when it is first used."""
    return grpc.aio.insecure_channel(str(address), options=CHANNEL_OPTIONS)


def open_secure_channel(
    address: str,
    *,
    controller_name: str,
    authorities: bytes,
    key: bytes | None = None,
    certificate: bytes | None = None,
) -> grpc.aio.Channel:
    """Return a channel to whoever can show a certificate of these authorities for ``controller_name``.

    The name in the certificate counts, whatever address was dialled. All in PEM; ``key`` and ``certificate`` are this
    device's, none where it has none yet.
    """
    credentials = grpc.ssl_channel_credentials(authorities, key, certificate)
    name = ("grpc.ssl_target_name_override", controller_name)
    return grpc.aio.secure_channel(address, credentials, options=(*CHANNEL_OPTIONS, name))

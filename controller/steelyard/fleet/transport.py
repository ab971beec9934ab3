"""Settings of the gRPC servers, with the observation behind each. Sources: docs/decisions/transport.md."""

from __future__ import annotations

from typing import Final

# A chunk of this size kept a control round trip at 1.1 ms beside a running download; 1 MiB made it 3 ms.
CHUNK_BYTES: Final = 256 * 1024
MAX_PARALLEL_DOWNLOADS: Final = 8
# A control message is small; larger things are blobs.
MAX_SESSION_MESSAGE_BYTES: Final = 64 * 1024

SERVER_OPTIONS: Final[list[tuple[str, int]]] = [
    ("grpc.keepalive_time_ms", 30_000),
    # keepalive_timeout_ms alone leaves the deadline at 60 s; this is the one that counts.
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Without it a silent stream with 10 s keepalive is cut with "too many pings" after a minute or so.
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    # What a device sends us waits in windows of this size, not in its kernel: see steelyard_agent.link.channel.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 512 * 1024),
    # A second controller on the same port must fail, not share it silently.
    ("grpc.so_reuseport", 0),
    ("grpc.server.max_pending_requests", 20_000),
    ("grpc.server.max_pending_requests_hard_limit", 30_000),
    ("grpc.max_receive_message_length", 1024 * 1024),
]

CONTROL_CLIENT_OPTIONS: Final[list[tuple[str, int]]] = [
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
]

CONTROL_SERVER_OPTIONS: Final[list[tuple[str, int]]] = [
    *SERVER_OPTIONS,
    ("grpc.max_send_message_length", 64 * 1024 * 1024),
]

"""A smart plug on loopback: real HTTP, and the shapes of answers that Shelly and Tasmota document."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# Where both shapes are documented: shelly-api-docs.shelly.cloud (Gen2, Switch) and tasmota.github.io/docs (Status 8).
SHELLY_STATUS: dict[str, Any] = {
    "id": 0,
    "source": "init",
    "output": True,
    "apower": 8.9,
    "voltage": 237.5,
    "freq": 50.0,
    "current": 0.043,
    "aenergy": {"total": 6.532, "by_minute": [45.199, 47.141, 88.397], "minute_ts": 1626935779},
    "ret_aenergy": {"total": 0.0, "by_minute": [0.0, 0.0, 0.0], "minute_ts": 1626935779},
    "temperature": {"tC": 23.5, "tF": 74.4},
}
TASMOTA_STATUS: dict[str, Any] = {
    "StatusSNS": {
        "Time": "2022-01-11T21:57:38",
        "ENERGY": {
            "TotalStartTime": "2020-10-21T22:15:00",
            "Total": 3.705,
            "Yesterday": 0.028,
            "Today": 0.026,
            "Power": 5,
            "ApparentPower": 5,
            "ReactivePower": 0,
            "Factor": 1.00,
            "Voltage": 233,
            "Current": 0.021,
        },
    }
}

# Path with its query and headers -> status, headers, body.
Answer = Callable[[str, dict[str, str]], tuple[int, dict[str, str], bytes]]


@contextmanager
def plug(answer: Answer | dict[str, Any]) -> Iterator[str]:
    """Serve on loopback and yield "http://127.0.0.1:PORT"; a dictionary is the JSON for every path."""
    if isinstance(answer, dict):
        content = json.dumps(answer).encode()
        answer = lambda _path, _headers: (200, {"Content-Type": "application/json"}, content)  # noqa: E731

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answer(self.path, dict(self.headers))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            """Say nothing on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class LockedShelly:
    """A plug that asks for a login by digest (RFC 7616, SHA-256), as Shelly documents it."""

    realm, nonce = "shellyplus1pm-f008d1d8b8b8", "60dc59c6"

    def __init__(self, password: str) -> None:
        self.password = password
        self.paths: list[str] = []

    def __call__(self, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        self.paths.append(path)
        fields = dict(re.findall(r'(\w+)="?([^",]*)"?', headers.get("Authorization", "")))
        if not fields or not self._fits(path, fields):
            challenge = f'Digest qop="auth", realm="{self.realm}", nonce="{self.nonce}", algorithm=SHA-256'
            return 401, {"WWW-Authenticate": challenge}, b""
        return 200, {}, json.dumps(SHELLY_STATUS).encode()

    def _fits(self, path: str, fields: dict[str, str]) -> bool:
        def hashed(*parts: str) -> str:
            return hashlib.sha256(":".join(parts).encode()).hexdigest()

        secret = hashed("admin", self.realm, self.password)
        wanted = hashed(secret, self.nonce, fields["nc"], fields["cnonce"], "auth", hashed("GET", path))
        return fields["response"] == wanted and fields["uri"] == path

"""A service on loopback that speaks HTTP: it answers as a test says and keeps what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer; ``body`` is sent as JSON unless it is bytes."""

    status: int = 200
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)


class WebService:
    """Where it is, and what it was asked."""

    def __init__(self, answer: Callable[[Asked], Reply]) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self.address = ""

    @property
    def calls(self) -> list[str]:
        """Method and path of each request, without the query."""
        return [f"{one.method} {one.path.partition('?')[0]}" for one in self.asked]


def replies(*scripted: Reply) -> Callable[[Asked], Reply]:
    """Return answers in turn; the last one for good."""
    left = list(scripted)
    return lambda _asked: left.pop(0) if len(left) > 1 else left[0]


@contextmanager
def web_service(answer: Callable[[Asked], Reply]) -> Iterator[WebService]:
    """Serve on loopback while the context lasts."""
    service = WebService(answer)

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            asked = Asked(method=self.command, path=self.path, headers=dict(self.headers), body=self.rfile.read(length))
            service.asked.append(asked)
            reply = service.answer(asked)
            content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = _serve

        def log_message(self, *_words: object) -> None:
            """Say nothing on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    service.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

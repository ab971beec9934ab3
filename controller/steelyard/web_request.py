"""One HTTP request and its answer, bounded in time and size. Standard library only; redirections are not followed."""

from __future__ import annotations

import base64
import http.client
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from steelyard.errors import first_line
from steelyard.listening import is_loopback

# How many time-outs an answer may take from first to last byte.
ANSWER_TIMEOUTS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRequest:
    """What is asked: ``address`` is "http://HOST[:PORT]" or https, ``path`` has its query and may hold a secret.

    ``timeout_s`` is for each step of the conversation, and ``ANSWER_TIMEOUTS`` times that for the whole of an answer.
    ``through_proxy``: the proxy of the environment (HTTPS_PROXY, HTTP_PROXY, NO_PROXY) is used where there is one.
    """

    address: str
    path: str
    timeout_s: float
    max_bytes: int
    method: str = "GET"
    headers: Mapping[str, str]
    body: bytes | None = None
    through_proxy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WebAnswer:
    """What came back; the body is cut after ``max_bytes`` of the request."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class WebTroubleError(Exception):
    """No answer came. The text goes on from "the meter at ADDRESS ..." ("did not answer within 3 s").

    ``was_sent``: the other side may have received the request.
    """

    def __init__(self, what: str, *, was_sent: bool) -> None:
        super().__init__(what)
        self.was_sent = was_sent


def exchange(request: WebRequest) -> WebAnswer:
    """Send a request and return the answer, whatever its status.

    Raises:
        WebTroubleError: unreachable, silent, broken off, or not HTTP. It never repeats the path, headers or body.
    """
    connection, line = _opened(request)
    try:
        with _hung_up_after(connection.sock, ANSWER_TIMEOUTS * request.timeout_s) as is_late:
            try:
                connection.request(
                    request.method, line.path, body=request.body, headers={"Connection": "close", **line.headers}
                )
                response = connection.getresponse()
                body = response.read(request.max_bytes)
            except TimeoutError as error:
                raise _late(request.timeout_s, was_sent=True) from error
            except (OSError, http.client.HTTPException) as error:
                if is_late.is_set():
                    raise _late(ANSWER_TIMEOUTS * request.timeout_s, was_sent=True) from error
                words = f"{type(error).__name__}: {first_line(error)[:80]}"
                raise WebTroubleError(f"broke the connection off ({words})", was_sent=True) from error
            if is_late.is_set():
                raise _late(ANSWER_TIMEOUTS * request.timeout_s, was_sent=True)
            return WebAnswer(status=response.status, headers=response.headers, body=body)
    finally:
        connection.close()


@contextmanager
def _hung_up_after(held: socket.socket, limit_s: float) -> Iterator[threading.Event]:
    """Shut the socket down at the limit: its time-out is for each byte, and one now and then would hold us for good."""
    is_late = threading.Event()

    def hang_up() -> None:
        is_late.set()
        with suppress(OSError):
            held.shutdown(socket.SHUT_RDWR)

    watchdog = threading.Timer(limit_s, hang_up)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield is_late
    finally:
        watchdog.cancel()


def _opened(request: WebRequest) -> tuple[http.client.HTTPConnection, _Line]:
    """Return a connection that stands, and how the request is written on it."""
    target = urlsplit(request.address)
    proxy = _proxy_for(target) if request.through_proxy else None
    login = _proxy_login(proxy) if proxy else {}
    is_tls = target.scheme == "https"
    kind = http.client.HTTPSConnection if is_tls else http.client.HTTPConnection
    with ExitStack() as undone:
        try:
            connection = kind(proxy.netloc.rpartition("@")[2] if proxy else target.netloc, timeout=request.timeout_s)
            undone.callback(connection.close)
            if proxy and is_tls:
                connection.set_tunnel(target.netloc, headers=login)
            connection.connect()
        except TimeoutError as error:
            raise _late(request.timeout_s, was_sent=False) from error
        # The name of a host that cannot be encoded is a UnicodeError.
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            through = f" through the proxy {proxy.hostname}" if proxy else ""
            what = f"cannot be reached{through} ({first_line(error)}): check its address"
            raise WebTroubleError(what, was_sent=False) from error
        undone.pop_all()
    if proxy and not is_tls:
        return connection, _Line(path=f"{request.address}{request.path}", headers={**request.headers, **login})
    return connection, _Line(path=request.path, headers=request.headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    path: str
    headers: Mapping[str, str]


def _proxy_for(target: SplitResult) -> SplitResult | None:
    from urllib.request import getproxies, proxy_bypass

    # A proxy elsewhere cannot reach this machine's own loopback.
    proxy = "" if is_loopback(target.hostname or "") else getproxies().get(target.scheme, "")
    if not proxy or proxy_bypass(target.netloc):
        return None
    return urlsplit(proxy if "//" in proxy else f"http://{proxy}")


def _proxy_login(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(login.encode()).decode('ascii')}"}


def _late(timeout_s: float, *, was_sent: bool) -> WebTroubleError:
    return WebTroubleError(f"did not answer within {timeout_s:g} s", was_sent=was_sent)

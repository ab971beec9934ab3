"""Addresses of services: https, and plain http only where no secret travels over a network."""

from __future__ import annotations

from urllib.parse import urlsplit

from steelyard.listening import is_loopback


def split_url(text: str, *, is_secret: bool) -> tuple[str, str]:
    """Return "https://HOST[:PORT]" of a URL, and its path with its query; ``is_secret``: a secret is sent along.

    Raises:
        ValueError: It is none, holds a login, or would send a secret in the clear. The sentence never repeats the path.
    """
    parts = urlsplit(text)
    is_odd = not text.isascii() or " " in text or parts.port == 0
    if parts.scheme not in ("http", "https") or not parts.hostname or is_odd:
        raise ValueError("its address is no URL such as https://example.org/path")
    if parts.username is not None or parts.password is not None:
        raise ValueError("its address holds a login: put it into a header by a variable or a file")
    if parts.scheme == "http" and is_secret and not is_loopback(parts.hostname):
        raise ValueError(f"a secret would travel in the clear to {parts.hostname}: write https")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return f"{parts.scheme}://{parts.netloc}", path

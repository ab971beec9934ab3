from __future__ import annotations

import pytest

from steelyard.web_request import WebRequest, WebTroubleError, exchange
from tests.support.web_service import Reply, replies, web_service


def _request(address: str, **changes: object) -> WebRequest:
    settings = {"address": address, "path": "/x?a=1", "headers": {}, "timeout_s": 2.0, "max_bytes": 1000}
    return WebRequest(**{**settings, **changes})  # type: ignore[arg-type]


def test_an_answer_has_its_status_headers_and_body() -> None:
    with web_service(replies(Reply(status=404, body=b"no", headers={"X-Why": "because"}))) as service:
        answer = exchange(_request(service.address, method="PATCH", body=b"{}", headers={"X-Key": "k"}))
    assert (answer.status, answer.body, answer.headers["x-why"]) == (404, b"no", "because")
    (asked,) = service.asked
    assert (asked.method, asked.path, asked.body, asked.headers["X-Key"]) == ("PATCH", "/x?a=1", b"{}", "k")


def test_an_answer_is_cut_after_so_many_bytes() -> None:
    with web_service(replies(Reply(body=b"x" * 5000))) as service:
        assert len(exchange(_request(service.address)).body) == 1000


def test_a_proxy_of_the_environment_is_asked_when_the_request_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with web_service(replies(Reply(body=b"through"))) as proxy:
        monkeypatch.setenv("http_proxy", proxy.address.replace("//", "//ada:p%40ss@"))
        monkeypatch.setenv("no_proxy", "other.invalid")
        assert exchange(_request("http://chat.invalid", through_proxy=True)).body == b"through"
        assert proxy.asked[0].path == "http://chat.invalid/x?a=1"
        assert proxy.asked[0].headers["Host"] == "chat.invalid"
        assert proxy.asked[0].headers["Proxy-Authorization"] == "Basic YWRhOnBAc3M="
        for request in (_request("http://other.invalid", through_proxy=True), _request("http://chat.invalid")):
            with pytest.raises(WebTroubleError, match="cannot be reached"):
                exchange(request)
    assert len(proxy.asked) == 1


def test_a_proxy_that_is_gone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(WebTroubleError, match=r"through the proxy 127\.0\.0\.1") as gone:
        exchange(_request("https://chat.invalid", through_proxy=True))
    assert not gone.value.was_sent


def test_this_machine_is_never_asked_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with web_service(replies(Reply())) as service:
        assert exchange(_request(service.address, through_proxy=True)).status == 200

"""Rounds of a long job come in pages, each once, whatever is recorded meanwhile."""

from __future__ import annotations

import grpc
import pytest

from steelyard.control.client import Client
from steelyard.control.round_pages import MOST_ROUNDS, page_of_rounds
from steelyard.errors import UsageError
from steelyard_protocol.v1 import control_pb2, result_pb2


def references(count: int) -> list[control_pb2.RoundReference]:
    return [
        control_pb2.RoundReference(key=result_pb2.ResultKey(round_index=index), result_digest=f"{index:064x}")
        for index in range(count)
    ]


def blob_of(digest: str) -> bytes:
    """Return a round that is called as its blob."""
    return result_pb2.RoundResult(job_id=digest).SerializeToString()


def all_pages(rounds: list[control_pb2.RoundReference], page_size: int) -> list[list[control_pb2.RoundReference]]:
    pages, token = [], ""
    while True:
        page, token = page_of_rounds(rounds, page_size=page_size, page_token=token)
        pages.append(list(page))
        if not token:
            return pages


@pytest.mark.parametrize("count", [0, 1, 3, 4, 6, 7])
def test_pages_hold_every_round_once_and_in_order(count: int) -> None:
    rounds = references(count)
    pages = all_pages(rounds, 3)
    assert [one for page in pages for one in page] == rounds
    assert all(len(page) <= 3 for page in pages)
    assert len(pages) == max(1, -(-count // 3))


def test_who_asks_for_no_size_gets_all_and_nobody_gets_more_than_the_most() -> None:
    rounds = references(MOST_ROUNDS + 5)
    assert [len(page) for page in all_pages(rounds, 0)] == [MOST_ROUNDS + 5]
    assert [len(page) for page in all_pages(rounds, 10**6)] == [MOST_ROUNDS, 5]


def test_a_round_that_is_recorded_before_others_meanwhile_repeats_none_of_them() -> None:
    rounds = references(4)
    first, token = page_of_rounds(rounds[1:], page_size=2, page_token="")
    second, _ = page_of_rounds(rounds, page_size=2, page_token=token)
    assert [*first, *second] == rounds[1:]


@pytest.mark.parametrize(
    ("page_size", "page_token", "reason"), [(-1, "", "invalid_page_size"), (2, "x", "invalid_page_token")]
)
def test_a_page_that_makes_no_sense_is_refused(page_size: int, page_token: str, reason: str) -> None:
    with pytest.raises(UsageError) as refused:
        page_of_rounds(references(3), page_size=page_size, page_token=page_token)
    assert refused.value.reason == reason


def test_a_client_asks_for_every_page_and_for_the_traces_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Controller:
        """Answers with three rounds in pages of one."""

        def __init__(self) -> None:
            self.tokens: list[str] = []

        def ListRounds(self, request: control_pb2.ListRoundsRequest, timeout: float) -> control_pb2.ListRoundsResponse:
            self.tokens.append(request.page_token)
            page, token = page_of_rounds(references(3), page_size=1, page_token=request.page_token)
            return control_pb2.ListRoundsResponse(rounds=page, next_page_token=token)

    with grpc.insecure_channel("unix:/nobody") as channel, Client(channel) as client:
        controller = Controller()
        monkeypatch.setattr(client, "_control", controller)
        monkeypatch.setattr(
            client, "download", lambda digest: result_pb2.RoundResult(job_id=digest).SerializeToString()
        )
        assert [one.job_id for one in client.rounds("job")] == [one.result_digest for one in references(3)]
        assert controller.tokens == ["", f"{0:064x}", f"{1:064x}"]

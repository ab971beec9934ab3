"""Transfers of a client over links that break: continued where they stopped, given up when nothing comes."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from steelyard.control.blob_client import BlobClient
from steelyard.errors import DeviceError, SteelyardError
from steelyard.fleet.refusals import REASON_KEY
from steelyard_protocol.v1 import blob_pb2, blob_pb2_grpc

DATA = bytes(range(256)) * 4_000
DIGEST = hashlib.sha256(DATA).hexdigest()
PIECE = 300_000


class BrokenLink(blob_pb2_grpc.BlobServiceServicer):
    """A controller whose every call breaks after ``piece`` bytes with ``code``, or stands still."""

    def __init__(self, piece: int = PIECE, code: grpc.StatusCode | None = grpc.StatusCode.UNAVAILABLE) -> None:
        self.piece, self.code = piece, code
        self.data = DATA
        self.asked: list[int] = []
        self.held = bytearray()
        # How often a client looked whether another one's upload is done.
        self.looks = 0

    def _break(self, context: grpc.ServicerContext) -> None:
        if self.code is not None:
            context.abort(self.code, "cut")
        ended = threading.Event()
        if context.add_callback(ended.set):
            ended.wait(60)

    def Download(self, request, context):
        self.asked.append(request.offset)
        yield blob_pb2.DownloadResponse(size_bytes=len(self.data))
        end = min(request.offset + self.piece, len(self.data))
        if end > request.offset:
            yield blob_pb2.DownloadResponse(chunk=self.data[request.offset : end])
        if end < len(self.data):
            self._break(context)

    def QueryUpload(self, request, context):
        return blob_pb2.QueryUploadResponse(offset=len(self.held), complete=bytes(self.held) == DATA)

    def Upload(self, request_iterator, context):
        header = next(request_iterator).header
        self.asked.append(header.offset)
        start = len(self.held)
        for request in request_iterator:
            self.held += request.chunk[: start + self.piece - len(self.held)]
            if len(self.held) - start >= self.piece and bytes(self.held) != DATA:
                self._break(context)
        return blob_pb2.UploadResponse(size_bytes=len(self.held))


class TakenOverLink(BrokenLink):
    """A controller where somebody else's upload of the same bytes takes over the first ``taken_over`` ones of ours.

    Of the other one ``step`` bytes come between two looks at it, ``most`` in all.
    """

    def __init__(self, *, step: int, most: int = len(DATA), taken_over: int = 1) -> None:
        super().__init__(piece=len(DATA))
        self.step, self.most, self.taken_over = step, most, taken_over

    def QueryUpload(self, request, context):
        if self.asked:
            self.held = bytearray(DATA[: max(len(self.held), min(self.most, len(self.held) + self.step))])
        return super().QueryUpload(request, context)

    def Upload(self, request_iterator, context):
        if len(self.asked) < self.taken_over:
            self.asked.append(next(request_iterator).header.offset)
            context.set_trailing_metadata(((REASON_KEY, "upload_paused"),))
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "the upload went on in another connection")
        return super().Upload(request_iterator, context)


@contextmanager
def connected(link: BrokenLink, call_timeout_s: float = 30.0) -> Iterator[BlobClient]:
    def pause(_seconds: float) -> None:
        link.looks += 1

    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool)
        blob_pb2_grpc.add_BlobServiceServicer_to_server(link, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield BlobClient(channel, call_timeout_s=call_timeout_s, pause=pause)
        server.stop(0).wait()


def test_a_download_goes_on_where_the_link_broke() -> None:
    link = BrokenLink()
    with connected(link) as blobs:
        assert blobs.download(DIGEST) == DATA
    assert link.asked == list(range(0, len(DATA), PIECE))


def test_a_download_that_takes_longer_than_a_call_may_goes_on() -> None:
    link = BrokenLink(piece=600_000, code=None)
    with connected(link, call_timeout_s=1.0) as blobs:
        assert blobs.download(DIGEST) == DATA
    assert link.asked == [0, 600_000]


def test_an_upload_goes_on_where_the_link_broke(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(DATA)
    for source in (DATA, path):
        link = BrokenLink()
        with connected(link) as blobs:
            blobs.upload(source, DIGEST, len(DATA))
        assert bytes(link.held) == DATA
        assert link.asked == list(range(0, len(DATA), PIECE))


@pytest.mark.parametrize(
    "transfer",
    [lambda blobs: blobs.download(DIGEST), lambda blobs: blobs.upload(DATA, DIGEST, len(DATA))],
    ids=["download", "upload"],
)
def test_a_link_that_brings_nothing_is_given_up(transfer: Callable[[BlobClient], object]) -> None:
    link = BrokenLink(piece=0)
    with connected(link) as blobs, pytest.raises(DeviceError, match="does not answer"):
        transfer(blobs)
    assert len(link.asked) <= 2


def test_the_same_bytes_that_somebody_else_brings_just_now_are_waited_for() -> None:
    link = TakenOverLink(step=100_000)
    with connected(link) as blobs:
        blobs.upload(DATA, DIGEST, len(DATA))
    assert link.asked == [0]
    assert link.looks == len(DATA) // 100_000


def test_an_upload_goes_on_where_another_one_of_the_same_bytes_stopped() -> None:
    link = TakenOverLink(step=100_000, most=300_000)
    with connected(link) as blobs:
        blobs.upload(DATA, DIGEST, len(DATA))
    assert link.asked == [0, 300_000]
    assert bytes(link.held) == DATA


def test_an_upload_that_others_take_over_without_end_is_given_up() -> None:
    link = TakenOverLink(step=0, taken_over=1000)
    with connected(link) as blobs, pytest.raises(SteelyardError, match="another connection") as caught:
        blobs.upload(DATA, DIGEST, len(DATA))
    assert caught.value.reason == "upload_paused"
    assert len(link.asked) < 50


def test_a_refusal_is_not_asked_again() -> None:
    link = BrokenLink(code=grpc.StatusCode.PERMISSION_DENIED)
    with connected(link) as blobs, pytest.raises(SteelyardError):
        blobs.download(DIGEST)
    assert link.asked == [0]


def test_bytes_that_are_not_their_digest_are_refused() -> None:
    link = BrokenLink(piece=len(DATA))
    link.data = DATA[:-1] + b"x"
    with connected(link) as blobs, pytest.raises(SteelyardError, match="damaged") as caught:
        blobs.download(DIGEST)
    assert caught.value.reason == "blob_damaged"

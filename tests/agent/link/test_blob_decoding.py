"""Decoding: what was encoded comes out, and never more than was announced."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from backports import zstd  # the controller's tests need it in any case

from steelyard.fleet.blob_encoding import Encoder
from steelyard.fleet.blob_encoding import window_log as sent_window_log
from steelyard_agent.link.blob_decoding import Decoder, UndecodableError, can_decode, window_log

CONTENT = random.Random(0).randbytes(300_000) + bytes(700_000)


def _chunks(content: bytes, size: int = 100_000) -> list[bytes]:
    return [content[at : at + size] for at in range(0, len(content), size)]


@pytest.mark.parametrize("base", [None, CONTENT[:-5000] + b"another end", b"nothing alike"])
@pytest.mark.parametrize("offset", [0, 123_457])
def test_each_chunk_decodes_to_what_was_in_it(base: bytes | None, offset: int) -> None:
    rest = CONTENT[offset:]
    encoder, decoder = Encoder(len(rest), base or b""), Decoder(len(rest), base)
    for chunk in _chunks(rest):
        assert b"".join(decoder.decode(encoder.encode(chunk))) == chunk


def test_a_delta_to_what_resembles_it_is_small() -> None:
    base = random.Random(1).randbytes(3_000_000)
    variant = base[:1_000_000] + b"something new" + base[1_000_000:2_500_000]
    encoder, decoder = Encoder(len(variant), base), Decoder(len(variant), base)
    sent = [encoder.encode(chunk) for chunk in _chunks(variant)]
    assert sum(map(len, sent)) < len(variant) / 100
    assert b"".join(piece for chunk in sent for piece in decoder.decode(chunk)) == variant


def test_a_bomb_is_refused_before_it_is_in_memory() -> None:
    bomb = zstd.compress(bytes(1 << 30), 1)
    pieces: list[bytes] = []
    decoder = Decoder(2_000_000)
    with pytest.raises(UndecodableError, match="more bytes than the blob has"):
        pieces.extend(decoder.decode(bomb))
    assert max(map(len, pieces)) <= 512 * 1024
    assert sum(map(len, pieces)) <= 2_000_000


def test_a_frame_that_asks_for_a_window_of_gigabytes_is_refused() -> None:
    options = {zstd.CompressionParameter.window_log: 27, zstd.CompressionParameter.content_size_flag: 0}
    compressor = zstd.ZstdCompressor(options=options)
    # Begun before its size is known: the window stays as large as it was asked for.
    frame = compressor.compress(CONTENT[:1000], zstd.ZstdCompressor.FLUSH_BLOCK)
    frame += compressor.compress(CONTENT[1000:], zstd.ZstdCompressor.FLUSH_FRAME)
    with pytest.raises(UndecodableError, match="cannot be decoded"):
        list(Decoder(len(CONTENT)).decode(frame))


def test_damaged_chunks_and_chunks_after_the_end_are_refused() -> None:
    with pytest.raises(UndecodableError, match="cannot be decoded"):
        list(Decoder(100).decode(b"no frame at all"))
    decoder = Decoder(1000)
    assert b"".join(decoder.decode(zstd.compress(b"whole"))) == b"whole"
    with pytest.raises(UndecodableError, match="cannot be decoded"):
        list(decoder.decode(b"more"))


def test_both_sides_agree_on_windows() -> None:
    spans = [1, 1024, 1025, 1 << 20, (1 << 20) + 1, 1 << 27]
    assert [window_log(span) for span in spans] == [sent_window_log(span) for span in spans]
    assert all(1 << window_log(span) >= span for span in spans)
    assert all(small <= large for small, large in pairwise(window_log(span) for span in spans))


def test_this_python_can_decode() -> None:
    assert can_decode()

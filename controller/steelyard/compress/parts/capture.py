"""Keep what parts are fed with while the whole runs: some of all calls, drawn with a seed, streamed to disk."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.errors import CompressionInputError

_HASH_BYTES = 16
_Shapes = tuple[tuple[str, tuple[int, ...], str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnCalls:
    """Which calls of a part are kept: numbers ``sample * step_count + step``, all of one shape."""

    shapes: _Shapes
    step_count: int
    numbers: frozenset[int]
    other_shape_count: int

    def holds(self, sample: int, step: int) -> bool:
        """Return whether a call is kept."""
        return sample * self.step_count + step in self.numbers


def draw_calls(shapes_by_step: Sequence[_Shapes], *, sample_count: int, most: int, seed: int) -> DrawnCalls:
    """Draw at most ``most`` calls of those whose inputs have the commonest shapes, of equal ones the last.

    Args:
        shapes_by_step: of a part's inputs in each step of a sample (``shapes_of``).
        sample_count: how many samples run.
        most: how many calls are kept.
        seed: of the draw.
    """
    counts = Counter(shapes_by_step)
    highest = max(counts.values())
    chosen = next(shapes for shapes in reversed(shapes_by_step) if counts[shapes] == highest)
    steps = np.array([step for step, shapes in enumerate(shapes_by_step) if shapes == chosen])
    calls = (np.arange(sample_count)[:, np.newaxis] * len(shapes_by_step) + steps).ravel()
    drawn = np.random.default_rng(seed).permutation(calls)[:most]
    return DrawnCalls(
        shapes=chosen,
        step_count=len(shapes_by_step),
        numbers=frozenset(drawn.tolist()),
        other_shape_count=sample_count * (len(shapes_by_step) - len(steps)),
    )


def shapes_of(feed: Mapping[str, NDArray[Any]]) -> _Shapes:
    """Return names, shapes and dtypes of a feed."""
    return tuple((name, feed[name].shape, feed[name].dtype.str) for name in sorted(feed))


class CapturedCalls:
    """Writes kept calls of one part into a file an input; equal calls once, and none of ``elsewhere``."""

    def __init__(self, folder: Path, drawn: DrawnCalls, *, elsewhere: Collection[bytes] = ()) -> None:
        folder.mkdir(parents=True)
        self.drawn = drawn
        self._elsewhere = frozenset(elsewhere)
        self._paths = {name: folder / f"{index}.raw" for index, (name, _, _) in enumerate(drawn.shapes)}
        self.digests: set[bytes] = set()

    def add(self, sample: int, step: int, feed: Mapping[str, NDArray[Any]]) -> None:
        """Keep a call where it was drawn."""
        if not self.drawn.holds(sample, step) or shapes_of(feed) != self.drawn.shapes:
            return
        digest = hashlib.blake2b(digest_size=_HASH_BYTES)
        for name in sorted(feed):
            digest.update(feed[name].tobytes())
        if digest.digest() in self.digests or digest.digest() in self._elsewhere:
            return
        self.digests.add(digest.digest())
        for name, path in self._paths.items():
            with path.open("ab") as file:
                file.write(feed[name].tobytes())

    def write_to(self, archive: zipfile.ZipFile, prefix: str) -> dict[str, str]:
        """Write an array [N, ...] an input into an .npz and return their names by input.

        Raises:
            CompressionInputError: no_calls: nothing was kept.
        """
        if not self.digests:
            raise CompressionInputError(
                "no_calls", f"every {prefix} call of a part is the same as another one; give the task more samples"
            )
        names = {}
        for index, (name, shape, dtype) in enumerate(self.drawn.shapes):
            names[name] = f"{prefix}_{index}"
            header = {"descr": dtype, "fortran_order": False, "shape": (len(self.digests), *shape)}
            with archive.open(f"{names[name]}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array_header_1_0(member, header)
                with self._paths[name].open("rb") as raw:
                    shutil.copyfileobj(raw, member)
        return names

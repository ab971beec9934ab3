"""Which models of base and head are compared: two of them, or those of two folders by their paths."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from steelyard.errors import UsageError

_SUFFIXES = frozenset({".onnx", ".tflite"})
# Far more than a change touches; a slip of the folder's name must not measure for days.
_MOST_PAIRS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPair:
    """One model before and after; ``base`` and ``head`` are files or names that the controller knows."""

    name: str
    base: str
    head: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """What is compared, and what only one side has, by path."""

    pairs: tuple[ModelPair, ...]
    only_base: tuple[str, ...] = ()
    only_head: tuple[str, ...] = ()
    # Files with the same bytes on both sides: nothing to measure.
    same: tuple[str, ...] = ()


def pair_models(base: str, head: str) -> Pairs:
    """Return the pairs of two models, or of two folders.

    Raises:
        UsageError: one is a folder and the other is not, or there is nothing to compare.
    """
    base_path, head_path = Path(base), Path(head)
    if base_path.is_dir() != head_path.is_dir():
        folder, other = (base, head) if base_path.is_dir() else (head, base)
        raise UsageError("bad_pair", f"{folder} is a folder and {other} is not: name two models or two folders")
    if not base_path.is_dir():
        return Pairs(pairs=(ModelPair(name=Path(head).stem or head, base=base, head=head),))
    return _of_folders(base_path, head_path)


def _of_folders(base: Path, head: Path) -> Pairs:
    ours, theirs = _models_in(base), _models_in(head)
    if not theirs:
        raise UsageError("no_models", f"{head} holds no .onnx or .tflite file: name the folder of the models")
    both = [name for name in theirs if name in ours]
    same = {name for name in both if _same_bytes(ours[name], theirs[name])}
    pairs = tuple(
        ModelPair(name=name, base=str(ours[name]), head=str(theirs[name])) for name in both if name not in same
    )
    if len(pairs) > _MOST_PAIRS:
        raise UsageError("many_pairs", f"{len(pairs)} models differ, more than {_MOST_PAIRS}: name narrower folders")
    return Pairs(
        pairs=pairs,
        only_base=tuple(name for name in ours if name not in theirs),
        only_head=tuple(name for name in theirs if name not in ours),
        same=tuple(sorted(same)),
    )


def _models_in(folder: Path) -> dict[str, Path]:
    files = (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in _SUFFIXES and path.is_file())
    return {path.relative_to(folder).as_posix(): path for path in files}


def _same_bytes(one: Path, other: Path) -> bool:
    return one.stat().st_size == other.stat().st_size and one.read_bytes() == other.read_bytes()

"""Write a task as users write it: an .npz of arrays and a task TOML that names them, for models of the benchmarks."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

TASK_FILE = "task.toml"
DATA_FILE = "data.npz"
SPLITS = ("evaluation", "calibration", "validation", "training")
_KEY_DIGITS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Samples of one split: ``inputs`` by name of the model's input ("" for the only one), ``truth`` by what it is."""

    inputs: Mapping[str, NDArray[Any]]
    truth: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse inputs of different lengths, and none."""
        counts = {len(array) for array in self.inputs.values()}
        if len(counts) != 1 or 0 in counts:
            raise ValueError(f"inputs have {sorted(counts)} samples; give each as many, and at least one")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskData:
    """What a task TOML says, and its arrays.

    ``metric`` holds ``kind`` and its settings, ``preprocess`` the keys of that table.
    """

    description: str
    splits: Mapping[str, Rows]
    metric: Mapping[str, Any]
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    licence: str = ""

    def __post_init__(self) -> None:
        """Refuse splits that a task file does not know."""
        unknown = sorted(set(self.splits) - set(SPLITS))
        if unknown or SPLITS[0] not in self.splits:
            raise ValueError(f"splits are {sorted(self.splits)}; give evaluation, perhaps {', '.join(SPLITS[1:])}")


def labelled(inputs: NDArray[Any], labels: NDArray[Any]) -> Rows:
    """Return samples of the model's only input with a class number each."""
    return Rows(inputs={"": inputs}, truth={"labels": labels.astype(np.int64)})


def unlabelled(inputs: NDArray[Any]) -> Rows:
    """Return samples of the model's only input without truth."""
    return Rows(inputs={"": inputs})


def every_kth(count: int, k: int, *, offset: int = 0, block: int = 1) -> NDArray[np.bool_]:
    """Return bool [count]: true for every k-th block of ``block`` neighbouring rows, from block ``offset`` on."""
    chosen: NDArray[np.bool_] = np.arange(count) // block % k == offset
    return chosen


def task_toml(name: str, task: TaskData) -> str:
    """Return the text of the task file; arrays are called after their split and input or truth."""
    lines = [f"name = {_value(name)}", f"data = {_value(DATA_FILE)}"]
    if task.licence:
        lines.append(f"licence = {_value(task.licence)}")
    lines.append(f"description = {_value(task.description)}")
    for split in SPLITS:
        if split in task.splits:
            lines += ["", f"[{split}]", *_split_lines(split, task.splits[split])]
    if task.preprocess:
        lines += ["", "[preprocess]", *(f"{key} = {_value(value)}" for key, value in task.preprocess.items())]
    lines += ["", "[metric]", *(f"{key} = {_value(value)}" for key, value in task.metric.items())]
    if task.class_names:
        lines.append('class_names = "class_names"')
    return "\n".join(lines) + "\n"


def task_arrays(task: TaskData) -> dict[str, NDArray[Any]]:
    """Return the arrays of the .npz by name."""
    arrays = {
        name: array
        for split, rows in task.splits.items()
        for name, array in (
            *((_input_name(split, one), array) for one, array in rows.inputs.items()),
            *((_truth_name(split, what), array) for what, array in rows.truth.items()),
        )
    }
    return arrays | ({"class_names": np.array(task.class_names)} if task.class_names else {})


def prepared(cache: Path, name: str, sources: Iterable[Path], write: Callable[[Path], None]) -> Path:
    """Return a folder that ``write`` filled, in ``cache``, under a name made of the contents of ``sources``.

    A folder that is there is taken as it is: another version of a source makes another folder. It appears whole or not
    at all.
    """
    digest = hashlib.sha256()
    for path in sources:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    folder = cache / f"{name}-{digest.hexdigest()[:_KEY_DIGITS]}"
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=cache))
    try:
        write(unfinished)
        unfinished.replace(folder)
    except OSError:
        # Another process was first.
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def write_task(folder: Path, name: str, task: TaskData) -> None:
    """Write the task file and its arrays; the same arrays give the same bytes."""
    np.savez(folder / DATA_FILE, **task_arrays(task))  # type: ignore[arg-type]
    (folder / TASK_FILE).write_text(task_toml(name, task), encoding="utf-8")


def split_counts(data: Path) -> dict[str, int]:
    """Return how many samples each split in the .npz has, 0 for none, from the headers of its arrays."""
    counts = dict.fromkeys(SPLITS, 0)
    with zipfile.ZipFile(data) as archive:
        for split in SPLITS:
            member = next((name for name in archive.namelist() if name.startswith(f"{split}_input")), None)
            if member is not None:
                with archive.open(member) as stream:
                    npy_format.read_magic(stream)
                    counts[split] = npy_format.read_array_header_1_0(stream)[0][0]
    return counts


def _split_lines(split: str, rows: Rows) -> list[str]:
    named = {name: _input_name(split, name) for name in rows.inputs}
    inputs = _value(named[""]) if set(named) == {""} else _table(named)
    truth = {what: _truth_name(split, what) for what in rows.truth}
    lines = [f"inputs = {inputs}"]
    if "labels" in truth:
        lines.append(f"labels = {_value(truth.pop('labels'))}")
    return lines + ([f"truth = {_table(truth)}"] if truth else [])


def _input_name(split: str, name: str) -> str:
    return f"{split}_input_{name}" if name else f"{split}_input"


def _truth_name(split: str, what: str) -> str:
    return f"{split}_{what}"


def _table(values: Mapping[str, str]) -> str:
    return "{ " + ", ".join(f"{_value(key)} = {_value(value)}" for key, value in values.items()) + " }"


def _value(value: Any) -> str:
    # Texts, numbers, booleans and lists of them are written alike in JSON and TOML.
    return json.dumps(value, ensure_ascii=False)

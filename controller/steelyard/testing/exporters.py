"""The contract tests of exporters and of formats."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.testing.declarations import check_declared

if TYPE_CHECKING:
    from steelyard.plugins.contract import Exporter, ModelFormat


def check_exporter(exporter: Exporter, model_path: Path | str, signature: Mapping[str, Any]) -> Mapping[str, bytes]:
    """Export a model and return the files.

    Checked: the class and its settings; the model is not touched; bytes by plain file names, the same the second time.

    Raises:
        AssertionError: the exporter does not keep the contract; a sentence says how.
    """
    check_declared("exporters", exporter)
    path = Path(model_path)
    before = path.read_bytes()
    made = exporter.files(path, signature)
    assert path.read_bytes() == before, f"{exporter.kind} changed the model {path}"
    assert made, f"{exporter.kind} made no file"
    for name, content in made.items():
        is_plain = name == Path(name).name and not name.startswith(".")
        assert is_plain, f"{exporter.kind} makes {name!r}; give plain file names"
        assert isinstance(content, bytes), f"{exporter.kind} makes {name!r} as {type(content).__name__}; give bytes"
    assert dict(exporter.files(path, signature)) == dict(made), f"{exporter.kind} made other files the second time"
    return made


def check_format(model_format: ModelFormat, path: Path | str) -> None:
    """Convert a file and look at the model.

    Checked: the class and its settings; the file's suffix is one of the format's, and it is not touched; the model can
    be sent to a device; the same bytes the second time.

    Raises:
        AssertionError: the format does not keep the contract; a sentence says how.
        InvalidModelError: what it made is no model.
    """
    from steelyard.artifacts import read_artifact

    check_declared("formats", model_format)
    source = Path(path)
    kind, suffix = model_format.kind, source.suffix.lower()
    assert suffix in model_format.suffixes, f"{kind} reads {', '.join(sorted(model_format.suffixes))}, not {suffix!r}"
    before = source.read_bytes()
    with tempfile.TemporaryDirectory(prefix="steelyard-") as work:
        made = [Path(work) / f"{number}.{model_format.produces}" for number in (1, 2)]
        for one in made:
            model_format.convert(source, one)
            assert one.is_file(), f"{kind} wrote no model to {one}"
        read_artifact(made[0])
        assert made[0].read_bytes() == made[1].read_bytes(), f"{kind} gave other bytes the second time"
    assert source.read_bytes() == before, f"{kind} changed {source}"

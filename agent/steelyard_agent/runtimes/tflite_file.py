"""How a .tflite file is told from others, before a runtime maps it. Standard library only."""

from __future__ import annotations

from pathlib import Path

# The file identifier of schema.fbs; a flatbuffer has it behind the offset of its root.
MARK = b"TFL3"


def is_tflite(path: Path) -> bool:
    """Return whether a file has the mark of TensorFlow Lite's schema.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return file.read(8)[4:] == MARK

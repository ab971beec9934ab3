"""Flags of lists: what to show of it, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from steelyard_protocol.v1 import common_pb2, control_pb2

_Command = TypeVar("_Command", bound=Callable[..., Any])
_SORTS = ("created", "name", "size")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListChoice:
    """What of a list of artifacts is shown."""

    name: str = ""
    parent: str = ""
    format: str = ""
    sort: str = "created"
    reverse: bool = False
    limit: int | None = None

    def of(self, artifacts: Sequence[control_pb2.Artifact]) -> list[control_pb2.Artifact]:
        """Return the artifacts that are meant, in the order asked for: newest, largest, or A first."""
        kept = [one for one in artifacts if self._is_meant(one)]
        if self.sort == "name":
            kept.sort(key=lambda one: one.name)
        elif self.sort == "size":
            kept.sort(key=lambda one: -one.size_bytes)
        if self.reverse:
            kept.reverse()
        return kept[: self.limit]

    def _is_meant(self, artifact: control_pb2.Artifact) -> bool:
        word = common_pb2.ArtifactFormat.Name(artifact.format).removeprefix("ARTIFACT_FORMAT_").lower()
        return (
            self.name.lower() in artifact.name.lower()
            and (not self.format or word == self.format)
            and (not self.parent or artifact.lineage.parent_digest == self.parent)
        )


def list_flags(command: _Command) -> _Command:
    """Add the flags that choose among artifacts: ``name_part``, ``parent``, ``model_format`` and so on."""
    flags = (
        click.option("--name", "name_part", default="", metavar="TEXT", help="Only names that contain this."),
        click.option("--parent", default="", metavar="ARTIFACT", help="Only what was made from this model."),
        click.option("--format", "model_format", type=click.Choice(["onnx", "tflite"]), help="Only this format."),
        click.option(
            "--sort", type=click.Choice(_SORTS), default="created", show_default=True, help="Newest, A, largest first."
        ),
        click.option("--reverse", is_flag=True, help="The other way round."),
        click.option("--limit", type=click.IntRange(1), metavar="N", help="At most so many."),
    )
    for flag in reversed(flags):
        command = flag(command)
    return command

"""What each node of a module gives on some inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import fx


def _whole(value: Any) -> Any:
    return value


def values_of(
    module: fx.GraphModule, arguments: Sequence[Any], *, kept: Callable[[Any], Any] = _whole
) -> dict[fx.Node, Any]:
    """Return what each node of a module gives on ``arguments``, or what ``kept`` makes of it."""
    import torch
    from torch import fx

    values: dict[fx.Node, Any] = {}

    class Recorder(fx.Interpreter):  # type: ignore[misc]
        def run_node(self, node: fx.Node) -> Any:
            made = super().run_node(node)
            values[node] = kept(made)
            return made

    with torch.no_grad():
        Recorder(module).run(*arguments)
    return values

"""The layers of a model's file as people and programs read them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from steelyard.layers.contract import Layer, LayerTable
from steelyard.report.labels import short_labels
from steelyard.report.listings import hanging, plain_table
from steelyard.stats.formatting import format_value

_NAME_COLUMNS, _KIND_COLUMNS = 30, 18
_NOT_KNOWN = "-"
_MOST_REASONS = 10


def layer_report(name: str, table: LayerTable, *, top: int) -> RenderableType:
    """Return the layers that multiply most, at most 80 columns wide; ``top`` 0: all of them, in the file's order."""
    layers = sorted(table.layers, key=_weight, reverse=True)[:top] if top else list(table.layers)
    shown = plain_table()
    shown.add_column("layer", no_wrap=True)
    shown.add_column("kind", no_wrap=True)
    for head in ("MACs", "share", "params", "bytes"):
        shown.add_column(head, justify="right", no_wrap=True)
    names = short_labels([layer.name for layer in layers], _NAME_COLUMNS)
    for layer, short in zip(layers, names, strict=True):
        shown.add_row(
            Text(short),
            Text(short_labels([layer.kind], _KIND_COLUMNS)[0]),
            _count(layer.mac_count),
            _share(layer, table),
            _count(layer.parameter_count),
            _NOT_KNOWN if layer.byte_count is None else format_value(layer.byte_count, "B"),
        )
    lines = [hanging("- ", line) for line in _sentences(table)]
    # Not the table's own title, which would be as narrow as the table.
    return Group(Text(_title(name, len(layers), len(table.layers)), style="bold"), shown, Text(), *lines)


def plain_layers(table: LayerTable) -> dict[str, Any]:
    """Return the layers as JSON-ready data; what is not known is null, with its reason beside it."""
    return {
        "mac_count": table.mac_count,
        "counted_mac_count": table.counted_mac_count,
        "parameter_count": table.parameter_count,
        "byte_count": table.byte_count,
        "layers": [
            {**asdict(layer), "inputs": list(layer.inputs), "outputs": list(layer.outputs)} for layer in table.layers
        ],
    }


def _title(name: str, shown: int, count: int) -> str:
    return f"{name}: {count} layers" if shown == count else f"{name}: the {shown} of {count} layers that multiply most"


def _weight(layer: Layer) -> float:
    # What is not known comes first: it may be the most.
    return float("inf") if layer.mac_count is None else layer.mac_count


def _share(layer: Layer, table: LayerTable) -> str:
    if layer.mac_count is None or not table.counted_mac_count:
        return _NOT_KNOWN
    return f"{100 * layer.mac_count / table.counted_mac_count:.1f} %"


def _sentences(table: LayerTable) -> list[str]:
    known = f"{_count(table.counted_mac_count)} multiply-accumulates"
    if table.not_counted:
        known = f"at least {known}: {len(table.not_counted)} of {len(table.layers)} layers are not counted"
    total = [known, f"{_count(table.parameter_count)} parameters"]
    if table.byte_count is not None:
        total.append(f"{format_value(table.byte_count, 'B')} read and written by all layers")
    missing = [f"not counted: {layer.name} ({layer.reason})" for layer in table.not_counted]
    more = len(missing) - _MOST_REASONS
    return [", ".join(total), *missing[:_MOST_REASONS], *([f"and {more} more"] if more > 0 else [])]


def _count(count: int | None) -> str:
    return _NOT_KNOWN if count is None else format_value(count, "count")

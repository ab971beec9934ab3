"""Layers of a model's file as a message and back, so that figures can be computed again without the file."""

from __future__ import annotations

from dataclasses import fields

from steelyard.layers.contract import Layer, LayerTable
from steelyard_protocol.v1 import control_pb2

_FIELDS = tuple(one.name for one in fields(Layer))


def layers_message(label: str, table: LayerTable | str) -> control_pb2.ArtifactLayers:
    """Return the layers of a planned artifact, or why they are not known, as a message."""
    if isinstance(table, str):
        return control_pb2.ArtifactLayers(label=label, reason=table)
    message = control_pb2.ArtifactLayers(label=label, parameter_count=table.parameter_count)
    for layer in table.layers:
        values = {name: getattr(layer, name) for name in _FIELDS}
        message.layers.add(**{name: value for name, value in values.items() if value is not None})
    return message


def layers_from(message: control_pb2.ArtifactLayers) -> LayerTable | str:
    """Return what ``layers_message`` was given.

    Raises:
        ValueError: a layer counts less than nothing.
    """
    if message.reason:
        return message.reason
    return LayerTable(layers=tuple(_layer(layer) for layer in message.layers), parameter_count=message.parameter_count)


def _layer(message: control_pb2.ModelLayer) -> Layer:
    return Layer(
        index=message.index,
        name=message.name,
        kind=message.kind,
        inputs=tuple(message.inputs),
        outputs=tuple(message.outputs),
        mac_count=message.mac_count if message.HasField("mac_count") else None,
        parameter_count=message.parameter_count,
        byte_count=message.byte_count if message.HasField("byte_count") else None,
        weight_dtype=message.weight_dtype,
        weight_shape=tuple(message.weight_shape),
        is_depthwise=message.is_depthwise,
        reason=message.reason,
    )

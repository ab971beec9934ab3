"""From a measurement's record, its blobs named by digest, to what the analysis takes: here and far from any store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from steelyard.analysis.layer_message import layers_from
from steelyard.analysis.measurement import MeasurementInput
from steelyard.analysis.numeric import NumericEvidence, OtherOutputs, model_form
from steelyard.errors import SteelyardError
from steelyard.layers.contract import LayerTable
from steelyard.numeric.outputs import CheckedOutputs, read_outputs
from steelyard.tasks.metrics.device_outputs import read_labels
from steelyard_protocol.v1 import common_pb2, control_pb2, plan_pb2, result_pb2

# Returns the bytes of a blob by its digest; raises SteelyardError for one that is gone or damaged.
ReadBlob = Callable[[str], bytes]
_Message = TypeVar("_Message", bound=Message)


def read_record(record: control_pb2.MeasurementRecord, read: ReadBlob) -> MeasurementInput:
    """Return what the analysis takes.

    Raises:
        SteelyardError: a blob is gone, or is not what the record says.
    """
    rounds = read_rounds(record, read)
    plan = record.request.plan
    layers = {one.label: layers_from(one) for one in record.layers}
    asks_operators = plan.HasField("operators") or plan.HasField("roofline")
    return MeasurementInput(
        job=record.job,
        request=record.request,
        rounds=rounds,
        artifacts={one.digest: one for one in record.artifacts},
        task=record.task if record.HasField("task") else None,
        labels=read_labels(read(record.task.labels_digest)) if record.task.labels_digest else None,
        outputs={
            block.label: read(block.outputs_digest)
            for result in rounds
            for block in result.blocks
            if block.outputs_digest and result.pass_kind == result_pb2.PASS_EVALUATION
        },
        device=record.device,
        controller_id=record.controller_id,
        traces=read_traces(record, read) if record.request.meters else (),
        layers=layers if asks_operators else {},
        numeric=_numeric(record, rounds, layers, read),
        history=record.history if record.HasField("history") else None,
    )


def read_rounds(record: control_pb2.MeasurementRecord, read: ReadBlob) -> list[result_pb2.RoundResult]:
    """Return every round of a record with its samples."""
    return [parse_round(read(one.result_digest), one.result_digest) for one in record.rounds]


def read_traces(record: control_pb2.MeasurementRecord, read: ReadBlob) -> list[control_pb2.MeterTrace]:
    """Return what each external meter said."""
    return [
        _parse(control_pb2.MeterTrace, read(one.trace_digest), "bad_trace", one.trace_digest, "a meter's trace")
        for one in record.traces
    ]


def parse_round(data: bytes, digest: str) -> result_pb2.RoundResult:
    """Return the round that a blob holds.

    Raises:
        SteelyardError: ``bad_round``.
    """
    return _parse(result_pb2.RoundResult, data, "bad_round", digest, "a round of measurements")


def _parse(kind: type[_Message], data: bytes, reason: str, digest: str, what: str) -> _Message:
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise SteelyardError(reason, f"blob {digest[:12]} is not {what}: {error}") from error


def _numeric(
    record: control_pb2.MeasurementRecord,
    rounds: Sequence[result_pb2.RoundResult],
    layers: Mapping[str, LayerTable | str],
    read: ReadBlob,
) -> dict[str, NumericEvidence]:
    """Return by label what is known of each artifact's outputs; nothing for a plan that does not ask."""
    if not record.request.plan.numeric.data_digest:
        return {}
    blocks = {block.label: block for one in rounds if one.pass_kind == result_pb2.PASS_NUMERIC for block in one.blocks}
    answers = {one.label: one for one in record.numeric}
    return {
        planned.label: _evidence(
            planned,
            blocks[planned.label],
            answers.get(planned.label, control_pb2.NumericAnswers()),
            layers.get(planned.label, ""),
            read,
        )
        for planned in record.request.plan.artifacts
        if planned.label in blocks
    }


def _evidence(
    planned: plan_pb2.PlannedArtifact,
    block: result_pb2.BlockResult,
    answers: control_pb2.NumericAnswers,
    layers: LayerTable | str,
    read: ReadBlob,
) -> NumericEvidence:
    if not block.outputs_digest:
        return NumericEvidence(block=block, reason=block.error.message or "the device sent no outputs")
    theirs = _outputs(read, block.outputs_digest, "the device")
    if isinstance(theirs, str):
        return NumericEvidence(block=block, reason=theirs)
    reference = _reference(answers, read)
    return NumericEvidence(
        block=block,
        is_tflite=planned.format == common_pb2.ARTIFACT_FORMAT_TFLITE,
        outputs=theirs,
        reference=None if isinstance(reference, str) else reference,
        reference_runtime=answers.reference.runtime,
        reason=reference if isinstance(reference, str) else "",
        form=model_form(layers),
        layers=layers,
        others=tuple(_others(answers, read)),
    )


def _reference(answers: control_pb2.NumericAnswers, read: ReadBlob) -> CheckedOutputs | str:
    if not answers.HasField("reference"):
        return "the controller did not run this model on these inputs"
    ours = answers.reference
    return ours.reason or _outputs(read, ours.outputs_digest, "the controller")


def _others(answers: control_pb2.NumericAnswers, read: ReadBlob) -> list[OtherOutputs]:
    found = []
    for one in answers.others:
        outputs = _outputs(read, one.outputs_digest, one.device)
        if not isinstance(outputs, str):
            found.append(OtherOutputs(device=one.device, runtime=one.runtime, outputs=outputs))
    return found


def _outputs(read: ReadBlob, digest: str, whose: str) -> CheckedOutputs | str:
    """Return outputs, or why they cannot be read: a damaged blob must not take the whole measurement with it."""
    try:
        return read_outputs(read(digest), whose)
    except SteelyardError as error:
        return str(error)

"""Which blobs a measurement's figures follow from."""

from __future__ import annotations

from collections.abc import Sequence

from steelyard_protocol.v1 import control_pb2, result_pb2


def blobs_of(record: control_pb2.MeasurementRecord, rounds: Sequence[result_pb2.RoundResult]) -> dict[str, str]:
    """Return the kind of each blob that the analysis reads, by digest."""
    found = {one.result_digest: "round" for one in record.rounds}
    if record.request.meters:
        found |= {one.trace_digest: "trace" for one in record.traces}
    if record.task.labels_digest:
        found[record.task.labels_digest] = "labels"
    for result in rounds:
        kind = {result_pb2.PASS_EVALUATION: "outputs", result_pb2.PASS_NUMERIC: "numeric"}.get(result.pass_kind)
        if kind is not None:
            found |= {block.outputs_digest: kind for block in result.blocks if block.outputs_digest}
    for answers in record.numeric:
        for one in (answers.reference, *answers.others):
            if one.outputs_digest:
                found[one.outputs_digest] = "numeric"
    return found


def models_of(record: control_pb2.MeasurementRecord) -> list[str]:
    """Return the digests of the models that were measured, each once."""
    return list(dict.fromkeys(one.artifact_digest for one in record.request.plan.artifacts))

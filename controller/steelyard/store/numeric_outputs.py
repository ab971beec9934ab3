"""Rows of numeric checks. Every function runs inside the transaction that it is given."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, insert, select

from steelyard.store import schema
from steelyard.store.names import require_digest

_TABLE = schema.numeric_outputs


@dataclass(frozen=True, slots=True, kw_only=True)
class NumericKey:
    """What was run on what: an artifact in batches of ``batch_size`` (0: its own), and its layers, "" for none."""

    artifact_digest: str
    data_digest: str
    batch_size: int = 0
    layers_digest: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no digest."""
        require_digest(self.artifact_digest, "artifact of a numeric check:")
        require_digest(self.data_digest, "data of a numeric check:")


@dataclass(frozen=True, slots=True, kw_only=True)
class NumericOutputs:
    """Where outputs lie, or the reason why there are none.

    ``device_id`` and ``job_id`` are "" for the controller's own run. ``runtime`` is what ran it:
    "onnxruntime 1.32.0".
    """

    key: NumericKey
    outputs_digest: str
    device_id: str = ""
    job_id: str = ""
    label: str = ""
    runtime: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuse outputs without a digest that say no reason."""
        if bool(self.outputs_digest) == bool(self.reason):
            raise ValueError(f"outputs {self.outputs_digest[:12]!r} with the reason {self.reason!r}")


def record(connection: Connection, one: NumericOutputs, recorded_at_ns: int) -> None:
    """Keep outputs; see ``Store.record_numeric``."""
    fields = asdict(one)
    values = {**fields.pop("key"), **fields}
    names = ("artifact_digest", "data_digest", "batch_size", "layers_digest", "device_id", "job_id", "label")
    same = [_TABLE.c[name] == values[name] for name in names]
    connection.execute(delete(_TABLE).where(*same))
    connection.execute(insert(_TABLE).values(**values, recorded_at_ns=recorded_at_ns))


def find(connection: Connection, artifact_digest: str, data_digest: str) -> list[NumericOutputs]:
    """List the outputs of an artifact on some data, the oldest first; see ``Store.list_numeric``."""
    wanted = (_TABLE.c.artifact_digest == artifact_digest, _TABLE.c.data_digest == data_digest)
    rows = connection.execute(select(_TABLE).where(*wanted).order_by(_TABLE.c.number))
    return [
        NumericOutputs(
            key=NumericKey(
                artifact_digest=row.artifact_digest,
                data_digest=row.data_digest,
                batch_size=row.batch_size,
                layers_digest=row.layers_digest,
            ),
            outputs_digest=row.outputs_digest,
            device_id=row.device_id,
            job_id=row.job_id,
            label=row.label,
            runtime=row.runtime,
            reason=row.reason,
        )
        for row in rows
    ]

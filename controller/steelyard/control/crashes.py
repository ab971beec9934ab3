"""Counting workers that crash: a model that crashes again and again is not sent to that device any more."""

from __future__ import annotations

from steelyard.store.store import Store
from steelyard.store.worker import AsyncStore
from steelyard_protocol.v1 import result_pb2


async def note_crashes(
    store: AsyncStore, device_id: str, key: result_pb2.ResultKey, result: result_pb2.RoundResult, *, crash_limit: int
) -> None:
    """Count the blocks of a recorded round whose worker crashed; a round that comes again counts once.

    ``crash_limit`` in a row keep the model from the device.

    Only workers that died of a signal of their own: what was killed from outside, ran out of a plan's memory or time,
    or cannot be loaded at all is told as it is and says nothing about other plans.
    """
    crashed = {one.artifact_digest: one for one in result.blocks if one.status == result_pb2.BLOCK_STATUS_CRASHED}
    ran = {one.artifact_digest for one in result.blocks if one.status == result_pb2.BLOCK_STATUS_OK} - set(crashed)

    def note(store: Store) -> None:
        quarantines = store.fleet.quarantines
        with store.batch():
            for digest in ran & quarantines.crashed(device_id):
                quarantines.note_success(device_id, digest)
            for digest, block in crashed.items():
                said = block.error.message or "it said nothing"
                reason = quarantines.note_crash(device_id, digest, key, said, crash_limit=crash_limit)
                if reason:
                    told = f"{block.label} is quarantined here: {reason}"
                    store.fleet.log.append(device_id, "quarantined", told)
                    store.append_event(key.job_id, told)

    await store.call(note)

"""Rounds added to a finished measurement through real processes, and figures computed anew from the store."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from steelyard.control.connect import connect
from steelyard.control.plans import MeasurementOptions
from steelyard.control.verdict_options import VerdictOptions
from steelyard.settings import Settings
from tests.support.anywhere import ANYWHERE

Write = Callable[..., Path]
_ONCE_MORE = """
import asyncio, sys
from pathlib import Path
from steelyard.control.results import Results
from steelyard.store.blobs import BlobStore
from steelyard.store.store import Store
from steelyard.store.worker import AsyncStore

async def again(folder, job_id, controller_id):
    store = AsyncStore(folder / "steelyard.sqlite3")
    await store.open()
    results = Results(store=store, blobs=BlobStore(folder / "blobs"), controller_id=controller_id)
    measurement = await results.measurement(await store.call(Store.get_job, job_id))
    await store.close()
    return measurement.SerializeToString(deterministic=True)

sys.stdout.buffer.write(asyncio.run(again(Path(sys.argv[1]), *sys.argv[2:])))
"""


def test_a_stored_measurement_is_computed_anew_bit_by_bit_after_rounds_were_added(
    settings: Settings, model: Write
) -> None:
    options = MeasurementOptions(
        min_round_count=3,
        max_round_count=3,
        sample_window_ms=20,
        gate=ANYWHERE,
        requirements=("p50<1s", "throughput>1/s"),
        verdicts=VerdictOptions(minimum_effect=0.1),
    )
    with connect(settings=settings) as client:
        artifacts = [client.add_model(model(name=f"{name}.onnx", seed=seed)) for seed, name in enumerate(("a", "b"))]
        first = client.measure(artifacts, options=options)
        first.wait()
        second = client.extend(first.job_id[:12], max_round_count=6)
        second.wait()
        measurement = second.measurement()
        controller_id = client.controller().controller_id
        assert {one.job_id for one in client.rounds(second.job_id)} == {first.job_id, second.job_id}
    assert measurement.round_count == 6
    assert measurement.segment_count == 2
    assert f"those of job {first.job_id[:12]}, which this one extends" in measurement.stop_reason
    other = measurement.variants[1]
    assert [one.segment for one in other.rounds] == [0, 0, 0, 1, 1, 1]
    assert other.minimum_detectable_effect.value > 0.0
    assert other.HasField("wilcoxon_p")
    assert any("would have shown a change of" in note for note in other.notes)
    assert [one.requirement for one in other.requirements] == ["p50<1s", "throughput>1/s"]
    again = subprocess.run(
        [sys.executable, "-c", _ONCE_MORE, str(settings.state_directory), second.job_id, controller_id],
        capture_output=True,
        check=True,
    )
    assert again.stdout == measurement.SerializeToString(deterministic=True)

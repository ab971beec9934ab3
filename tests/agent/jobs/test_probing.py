from pathlib import Path

from steelyard_agent.jobs.probing import probe_runtimes
from steelyard_agent.worker.block import Block, WorkerResult
from steelyard_agent.worker.failure import BlockStatus
from tests.agent.jobs.fakes import FakeOutcome, FakeWorkers


async def test_a_runtime_is_described_by_its_worker_and_a_missing_one_by_its_reason(tmp_path: Path) -> None:
    probes = ({"name": "CPU", "reason": ""}, {"name": "CUDA", "reason": "no driver"})

    def behave(block: Block) -> FakeOutcome:
        if block.runtime_name == "litert":
            return FakeOutcome(status=BlockStatus.RUNTIME_MISSING, reason="x", message="pip install ai-edge-litert")
        return FakeOutcome(result=WorkerResult(runtime_version="1.2", provider_probes=probes))

    workers = FakeWorkers(behave=behave)
    found = await probe_runtimes(("onnxruntime", "litert"), run_block=workers, work_folder=tmp_path)
    assert [block.kind for block in workers.blocks] == ["probe", "probe"]
    assert (found[0].version, found[0].providers, found[0].reason) == ("1.2", ("CPU",), "CUDA: no driver")
    assert (found[1].version, found[1].providers, found[1].reason) == ("", (), "pip install ai-edge-litert")

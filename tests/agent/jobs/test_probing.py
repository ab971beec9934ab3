from pathlib import Path

from steelyard_agent.environments import RuntimeEnvironment
from steelyard_agent.jobs.probing import probe_environment, probe_runtimes
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
    assert (found[0].version, found[0].providers, found[0].reason) == ("1.2", ("CPU",), "")
    assert found[0].unusable_providers == (("CUDA", "no driver"),)
    assert (found[1].version, found[1].providers, found[1].reason) == ("", (), "pip install ai-edge-litert")


def only(name: str, probes: tuple[dict[str, str], ...] = ()) -> FakeWorkers:
    """Workers that find one runtime and no other."""

    def behave(block: Block) -> FakeOutcome:
        if block.runtime_name != name:
            return FakeOutcome(status=BlockStatus.RUNTIME_MISSING, reason="x", message="not here")
        return FakeOutcome(result=WorkerResult(runtime_version="2.14.0", provider_probes=probes))

    return FakeWorkers(behave=behave)


TFLITE = RuntimeEnvironment(name="tflite", python=Path("/opt/tflite/bin/python"))


async def test_another_environment_is_asked_under_its_interpreter_and_shows_what_it_has(tmp_path: Path) -> None:
    workers = only("tflite-runtime", ({"name": "CPU", "reason": ""},))
    names = ("litert", "tflite-runtime")
    (found,) = await probe_environment(TFLITE, names, run_block=workers, work_folder=tmp_path)
    assert (found.name, found.environment, found.providers) == ("tflite-runtime", "tflite", ("CPU",))
    assert workers.pythons == [TFLITE.python] * 2


async def test_an_environment_that_has_no_runtime_says_so_for_each(tmp_path: Path) -> None:
    names = ("litert", "openvino")
    found = await probe_environment(TFLITE, names, run_block=only("none"), work_folder=tmp_path)
    assert [(one.name, one.environment, one.reason) for one in found] == [
        ("litert", "tflite", "not here"),
        ("openvino", "tflite", "not here"),
    ]


async def test_a_runtime_without_a_provider_is_not_usable_as_a_whole(tmp_path: Path) -> None:
    workers = only("openvino", ({"name": "GPU", "reason": "no driver"},))
    (found,) = await probe_runtimes(("openvino",), run_block=workers, work_folder=tmp_path)
    assert found.reason == "none of its providers can be used here"

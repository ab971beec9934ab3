"""What jobs see of the world: a link in memory, workers that are functions, a plan to run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from steelyard_agent.jobs.errors import ControllerFullError, LinkDownError, TransferRefusedError
from steelyard_agent.jobs.gate import QuietGate
from steelyard_agent.jobs.pinning import Pinning
from steelyard_agent.jobs.port import HeldBlobs, TransferGrant
from steelyard_agent.jobs.preparation import Preparation
from steelyard_agent.jobs.room import RoomPatience
from steelyard_agent.jobs.round_tools import RoundTools
from steelyard_agent.readings import Kind, Reading, Scope, Status
from steelyard_agent.state.prepared import PreparedCache
from steelyard_agent.surroundings.contract import BlockSurroundings
from steelyard_agent.worker.block import KIND_EVALUATION, Block, WorkerResult
from steelyard_agent.worker.failure import BlockStatus
from steelyard_protocol.v1 import common_pb2, plan_pb2
from steelyard_protocol.v1.session_pb2 import ConnectRequest
from tests.support.fake_controller import digest_of

DEGREES = Reading(
    name="cpu_temperature",
    value=41.5,
    status=Status.MEASURED,
    source="/fake",
    scope=Scope.SOC,
    unit="Cel",
    kind=Kind.SAMPLED,
)


@dataclass(frozen=True)
class FakeOutcome:
    status: BlockStatus = BlockStatus.OK
    reason: str = ""
    message: str = ""
    result: WorkerResult | None = None
    started_at_unix_ns: int = 1_700_000_000_000_000_000
    wall_ns: int = 5
    notes: tuple[str, ...] = ()
    least_available_bytes: int | None = None


@dataclass
class FakeWorkers:
    """Counts blocks; ``behave`` may return an outcome, wait, or raise; None means a good result."""

    behave: Callable[[Block], FakeOutcome | None] | None = None
    blocks: list[Block] = field(default_factory=list)
    timeouts_s: list[float] = field(default_factory=list)
    pythons: list[Path | None] = field(default_factory=list)
    cancelled_count: int = 0
    hold: asyncio.Event | None = None
    started: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(
        self,
        block: Block,
        *,
        timeout_s: float,
        memory_limit_bytes: int | None,
        work_dir: Path,
        python: Path | None = None,
    ) -> FakeOutcome:
        self.blocks.append(block)
        self.pythons.append(python)
        self.timeouts_s.append(timeout_s)
        self.started.set()
        if self.hold is not None:
            try:
                await self.hold.wait()
            except asyncio.CancelledError:
                self.cancelled_count += 1
                raise
        outcome = self.behave(block) if self.behave is not None else None
        if outcome is not None:
            return outcome
        if block.kind == KIND_EVALUATION:
            write_outputs(block)
        return FakeOutcome(
            result=WorkerResult(runtime_version="1.0", latency_ns=(100, 120), sample_count=2, providers=("CPU",))
        )

    @property
    def models(self) -> list[str]:
        return [Path(block.model_path).name for block in self.blocks]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def digest_of_file(path: Path) -> str:
    return digest_of(path.read_bytes())


def write_outputs(block: Block) -> None:
    Path(block.output_path).write_bytes(b"outputs of " + Path(block.model_path).read_bytes())


class FakeWatch:
    def __init__(self) -> None:
        self.log: list[str] = []

    async def start(self) -> None:
        self.log.append("start")

    async def stop(self, result: WorkerResult | None) -> list[Reading]:
        self.log.append("stop")
        return [DEGREES]


class FakePort:
    """A link in memory: ``connected`` can be switched, blobs are served from a dictionary."""

    def __init__(self) -> None:
        self.up = asyncio.Event()
        self.up.set()
        self.told: list[ConnectRequest] = []
        self.on_read: list[Callable[[], None] | None] = []
        self.blobs: dict[str, bytes] = {}
        self.uploads: list[str] = []
        self.offsets: list[int] = []
        self.break_after: list[int] = []
        self.refuse_uploads = False
        self.is_full = False
        self.full_count = 0

    @property
    def connected(self) -> bool:
        return self.up.is_set()

    async def wait_connected(self) -> None:
        await self.up.wait()

    def tell(self, message: ConnectRequest, *, on_read: Callable[[], None] | None = None) -> bool:
        if self.connected:
            self.told.append(message)
            self.on_read.append(on_read)
        return self.connected

    async def settle(self) -> None:
        await asyncio.sleep(0)

    async def download(
        self,
        digest: str,
        *,
        offset: int,
        size_bytes: int,
        grant: TransferGrant,
        write: Callable[[bytes], object],
        held: HeldBlobs | None = None,
    ) -> None:
        self.offsets.append(offset)
        if digest not in self.blobs:
            raise TransferRefusedError("transfer_refused", "not found")
        content = self.blobs[digest][offset:]
        if self.break_after:
            write(content[: self.break_after.pop(0)])
            raise LinkDownError("cut")
        write(content)

    async def upload(self, digest: str, path: Path, *, grant: TransferGrant) -> None:
        if not self.connected:
            raise LinkDownError("down")
        if self.refuse_uploads:
            raise TransferRefusedError("transfer_refused", "no lease")
        if self.is_full:
            self.full_count += 1
            raise ControllerFullError("no space left there")
        assert digest_of_file(path) == digest
        self.uploads.append(digest)

    def kinds(self) -> list[str]:
        return [str(message.WhichOneof("payload")) for message in self.told]

    def all(self, kind: str) -> list[object]:
        return [getattr(m, kind) for m in self.told if m.WhichOneof("payload") == kind]


class Spell:
    """A spell of a full disk: ``over`` is called at the first pause that is waited for room, which takes no time."""

    def __init__(self, over: Callable[[], object] = lambda: None) -> None:
        self.over = over
        self.pauses_s: list[float] = []

    async def pause(self, seconds: float) -> None:
        if not self.pauses_s:
            self.over()
        self.pauses_s.append(seconds)
        await asyncio.sleep(0)


class FakeSurroundings:
    """Sees the same temperature before and after every block; ``not_valid`` objects to it."""

    def __init__(self) -> None:
        self.not_valid = ""

    def look(self) -> object:
        return DEGREES

    def compare(self, before: object, after: object, latency_ns: Sequence[int]) -> BlockSurroundings:
        assert (before, after) == (DEGREES, DEGREES)
        names = (f"{DEGREES.name}_before", f"{DEGREES.name}_after")
        return BlockSurroundings(
            readings=tuple(replace(DEGREES, name=name) for name in names), not_valid=self.not_valid
        )


def round_tools(
    workers: FakeWorkers, folder: Path, watch: FakeWatch | None = None, spell: Spell | None = None
) -> RoundTools:
    folder.mkdir(exist_ok=True)
    return RoundTools(
        run_block=workers,
        surroundings=FakeSurroundings(),
        preparation=Preparation(cache=PreparedCache(folder / "prepared"), runtimes=()),
        pin=lambda plan: Pinning(core_ids=tuple(plan.core_ids)),
        energy_watch=lambda _cores: watch or FakeWatch(),
        gate=QuietGate(),
        work_folder=folder,
        room=RoomPatience(pause=(spell or Spell()).pause),
    )


def plan_of(*contents: bytes, evaluation: bytes = b"") -> plan_pb2.Plan:
    """A plan of one artifact per content, labelled a, b, c…"""
    plan = plan_pb2.Plan(
        artifacts=[
            plan_pb2.PlannedArtifact(
                artifact_digest=digest_of(content),
                label=chr(ord("a") + index),
                format=common_pb2.ARTIFACT_FORMAT_ONNX,
                size_bytes=len(content),
                runtime=plan_pb2.RuntimeSpec(name="onnxruntime"),
            )
            for index, content in enumerate(contents)
        ],
        block_timeout_ms=60_000,
    )
    if evaluation:
        plan.evaluation.data_digest = digest_of(evaluation)
        plan.evaluation.data_size_bytes = len(evaluation)
        plan.evaluation.reducer = plan_pb2.REDUCER_ARGMAX
        plan.evaluation.batch_size = 8
    return plan

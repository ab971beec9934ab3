"""A plan names libraries that the device's owner installed, never files that a controller sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard_agent.jobs.errors import InvalidPlanError
from steelyard_agent.jobs.named_files import refuse_own_files
from steelyard_protocol.v1.plan_pb2 import Plan


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "state" / "blobs").mkdir(parents=True)
    (tmp_path / "state" / "blobs" / ("a" * 64)).write_bytes(b"\x7fELF, and a model besides")
    return tmp_path / "state"


def plan_with(provider: str = "CPU", **options: str) -> Plan:
    plan = Plan()
    runtime = plan.artifacts.add(label="m").runtime
    runtime.providers.add(name=provider, options=options)
    return plan


def refusal(plan: Plan, state: Path) -> str:
    with pytest.raises(InvalidPlanError) as caught:
        refuse_own_files(plan, state)
    return str(caught.value)


def test_a_blob_is_no_library_however_it_is_named(state: Path, tmp_path: Path) -> None:
    blob = f"{state}/blobs/{'a' * 64}"
    (tmp_path / "link").symlink_to(state / "blobs")
    for path in (
        blob,
        f"/.{blob}",
        f"/{blob}",
        f"{tmp_path}/elsewhere/../state/blobs/{'a' * 64}",
        f"{tmp_path}/link/{'a' * 64}",
        f"../blobs/{'a' * 64}",
        f"./{'a' * 64}",
        f"{blob}\0.so",
        f"/proc/self/root{blob}",
    ):
        assert "leads into the agent's own folder" in refusal(plan_with(f"delegate:{path}"), state), path


def test_nor_is_one_that_an_option_of_a_provider_or_of_the_runtime_names(state: Path) -> None:
    blob = f"{state}/blobs/{'a' * 64}"
    for value in (blob, f"/usr/lib/libgood.so;{blob}", f"/usr/lib/a.so,{blob}", f"path={blob}", f"file://{blob}"):
        assert "install it on the device" in refusal(plan_with("QNN", backend_path=value), state), value
    plan = plan_with()
    plan.artifacts[0].runtime.options["ep.context_file_path"] = f"{state}/device.json"
    refusal(plan, state)
    plan = plan_with()
    plan.roofline.models.add().runtime.providers.add(name=f"delegate:{blob}")
    refusal(plan, state)


def test_what_the_owner_installed_may_be_named(state: Path, tmp_path: Path) -> None:
    for name in (
        "delegate:/usr/lib/libmagic.so",
        "delegate:libmagic.so",
        "CPU",
        f"delegate:{tmp_path}/state-of/lib.so",
    ):
        refuse_own_files(plan_with(name, precision="fp16", devices="GPU,CPU", cache="/var/cache/models"), state)


def test_a_link_that_the_owner_made_out_of_the_folder_counts_for_where_it_leads(state: Path) -> None:
    (state / "libraries").symlink_to("/usr/lib")
    refuse_own_files(plan_with(f"delegate:{state}/libraries/libmagic.so"), state)

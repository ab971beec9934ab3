"""Verifying: each kind of tampering is found and named, and what is only another platform's arithmetic is not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from steelyard.bundle import BundleError, verify_bundle
from steelyard.errors import IncompleteError, UsageError
from steelyard_protocol.v1 import control_pb2, result_pb2
from tests.controller.analysis.planted_rounds import latency_rounds
from tests.controller.bundle.planted import (
    TRUTH,
    blob_of_kind,
    consistently,
    manifest_of,
    members_of,
    planted_client,
    replace_blob,
    round_reference,
    with_manifest,
    write,
    write_members,
)

MEASUREMENT = "jobs/job-0001/measurement.json"
RECORD = "jobs/job-0001/record.json"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "bundle.zip").path


def claim(path: Path, change: Callable[[dict[str, Any]], None], name: str = MEASUREMENT) -> None:
    """Change a claim as a forger would: the checksums follow."""
    document = json.loads(members_of(path)[name])
    change(document)
    consistently(path, {name: json.dumps(document).encode()})


def timed_round(path: Path) -> tuple[str, result_pb2.RoundResult]:
    for one in manifest_of(path).members:
        if one.kind == "round":
            found = result_pb2.RoundResult.FromString(members_of(path)[one.name])
            if found.pass_kind == result_pb2.PASS_LATENCY:
                return one.sha256, found
    raise AssertionError("no timed round")


def test_a_manipulated_sample_shows_in_the_figures_that_follow_from_it(path: Path) -> None:
    digest, result = timed_round(path)
    block = next(one for one in result.blocks if one.label == "static-int8")
    block.latency_ns[:] = [value * 9 // 10 for value in block.latency_ns]
    replace_blob(path, digest, result.SerializeToString())
    found = verify_bundle(path)
    assert not found.agrees
    assert found.differences[0].where == "p50_latency of static-int8"
    assert "ns (" in found.differences[0].claimed
    assert found.differences[0].claimed != found.differences[0].recomputed
    assert all("of original" not in one.where for one in found.differences if "latency of" in one.where)


def test_a_manipulated_sample_without_its_checksum_is_named(path: Path) -> None:
    digest, result = timed_round(path)
    result.blocks[0].latency_ns[0] += 1
    write_members(path, {**members_of(path), f"blobs/{digest}": result.SerializeToString()})
    with pytest.raises(BundleError, match=f"blobs/{digest} was changed"):
        verify_bundle(path)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda one: one["variants"][1]["p50_latency"].update(value=5e5), "p50_latency of static-int8"),
        (lambda one: one["variants"][1]["p50_latency"].update(low=5.99e5), "p50_latency of static-int8"),
        (lambda one: one["variants"][0]["accuracy"].update(observation_count=500), "accuracy of original"),
        (lambda one: one["variants"][1].pop("accuracy_drop"), "accuracy_drop of static-int8"),
        (lambda one: one["variants"][1].update(comparison="COMPARISON_VERDICT_SLOWER"), "comparison of static-int8"),
        (lambda one: one["variants"][1]["requirements"][0].update(verdict="REQUIREMENT_VERDICT_FAILS"), "requirements"),
        (lambda one: one["variants"][0]["numeric"].update(cosine=0.5), "numeric cosine of original"),
        (lambda one: one["variants"].pop(), "variants"),
        (lambda one: one["decision"].update(label="original"), "decision label"),
        (lambda one: one["warnings"].clear(), "warnings"),
        (lambda one: one.update(stop_reason="it was enough"), "stop_reason"),
        (lambda one: one["device"].update(model="Raspberry Pi 3"), "device model"),
        (lambda one: one.update(round_count=40), "round_count"),
    ],
)
def test_a_manipulated_claim_is_named_with_both_values(
    path: Path, change: Callable[[dict[str, Any]], None], where: str
) -> None:
    claim(path, change)
    found = verify_bundle(path)
    assert not found.agrees
    assert found.differences[0].where.startswith(where)
    assert "claimed" in found.differences[0].sentence
    assert len(found.differences) == 1


def test_last_bits_of_another_platform_are_no_difference(path: Path) -> None:
    def nudge(one: dict[str, Any]) -> None:
        for variant in one["variants"]:
            for name in ("p50_latency", "p90_latency", "accuracy", "peak_memory"):
                variant[name]["value"] *= 1.0 + 2e-12

    claim(path, nudge)
    assert verify_bundle(path).agrees
    claim(
        path,
        lambda one: one["variants"][0]["p50_latency"].update(
            value=one["variants"][0]["p50_latency"]["value"] * (1 + 1e-7)
        ),
    )
    assert [one.where for one in verify_bundle(path).differences] == ["p50_latency of original"]


def test_measuring_on_after_the_rule_said_stop_is_found(tmp_path: Path) -> None:
    client = planted_client()
    record = client.records["job-0001"]
    for one in latency_rounds(TRUTH, 10)[6:]:
        content = one.SerializeToString()
        digest = hashlib.sha256(content).hexdigest()
        client.blobs[digest] = content
        record.rounds.append(round_reference(one, digest))
    found = verify_bundle(write(tmp_path / "b.zip", client).path)
    assert not found.agrees
    assert found.differences == ()
    (trouble,) = found.jobs[0].troubles
    assert trouble == (
        "the stop rule ends job job-0001 after 6 timed rounds (every verdict was settled after 6 rounds), and 10 are "
        "recorded"
    )


def test_rounds_that_were_left_out_are_found_by_the_stop_rule(tmp_path: Path) -> None:
    client = planted_client()
    rounds = client.records["job-0001"].rounds
    last = max(index for index, one in enumerate(rounds) if one.key.pass_kind == result_pb2.PASS_LATENCY)
    del rounds[last]
    (trouble,) = verify_bundle(write(tmp_path / "b.zip", client).path).jobs[0].troubles
    assert trouble.startswith("the stop rule asks for 1 more timed rounds of job job-0001 after 5")


def test_a_cancelled_job_need_not_have_followed_its_rule_to_the_end(tmp_path: Path) -> None:
    client = planted_client()
    record = client.records["job-0001"]
    record.job.state = control_pb2.JOB_STATE_CANCELLED
    last = max(index for index, one in enumerate(record.rounds) if one.key.pass_kind == result_pb2.PASS_LATENCY)
    del record.rounds[last]
    assert verify_bundle(write(tmp_path / "b.zip", client).path).agrees


def test_a_checksum_that_was_changed_is_named(path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["members"][-1]["sha256"] = "0" * 64

    write_members(path, with_manifest(members_of(path), change))
    with pytest.raises(BundleError, match=r"jobs/job-0001/record.json was changed: its SHA-256 is"):
        verify_bundle(path)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_gets_one_sentence(path: Path, kept: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(BundleError, match="damaged or cut short") as caught:
        verify_bundle(path)
    assert caught.value.exit_code == 1
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["round", "labels", "outputs", "trace", "numeric"])
def test_a_part_that_is_something_else_gets_one_sentence(path: Path, kind: str) -> None:
    replace_blob(path, blob_of_kind(path, kind), b"PK\x03\x04 is neither")
    try:
        found = verify_bundle(path)
    except BundleError as error:
        assert "cannot be computed from what the bundle holds" in str(error)  # noqa: PT017 - either end is right
    else:
        # Outputs that cannot be read are a finding of the analysis, not its end.
        assert kind in {"numeric", "outputs"}
        assert not found.agrees


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda one: one["request"]["plan"]["artifacts"].clear(), "plans 0 artifacts"),
        (lambda one: one["request"]["plan"]["artifacts"][1].update(label="original"), "two of one label"),
        (lambda one: one["artifacts"].pop(), "says nothing of the artifact 'static-int8'"),
        (lambda one: one["job"].update(job_id="another"), "is that of job 'another'"),
        (lambda one: one["rounds"][2]["key"].update(round_index=30), "holds another one"),
        (lambda one: one["rounds"].append(one["rounds"][1]), "twice"),
        (lambda one: one["request"].update(requirements=["nonsense"]), "cannot be computed"),
        (lambda one: one["request"].update(max_round_count=2), "cannot be computed"),
        (lambda one: one["layers"][0]["layers"][0].update(mac_count="-1"), "cannot be computed"),
        (lambda one: one["numeric"][0]["others"][0].update(outputs_digest="ab" * 32), "lacks"),
    ],
)
def test_a_record_that_no_controller_made_is_refused(
    path: Path, change: Callable[[dict[str, Any]], None], sentence: str
) -> None:
    claim(path, change, RECORD)
    with pytest.raises(BundleError, match=sentence) as caught:
        verify_bundle(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b'{"variants": 3}'])
def test_a_measurement_that_is_no_message_is_refused(path: Path, content: bytes) -> None:
    consistently(path, {MEASUREMENT: content})
    with pytest.raises(BundleError, match=r"measurement.json is no Measurement"):
        verify_bundle(path)


def test_a_bundle_of_another_version_is_verified_and_says_so(path: Path) -> None:
    def older(document: dict[str, Any]) -> None:
        document["written_by"] = "0.0.7"

    claim(path, lambda one: one["variants"][1].pop("minimum_detectable_effect"))
    write_members(path, with_manifest(members_of(path), older))
    found = verify_bundle(path)
    assert found.agrees
    assert found.other_version.startswith("0.0.7 (analysis ")
    assert found.jobs[0].comparison.not_claimed == 1


def test_a_bundle_of_another_build_of_this_version_says_so(path: Path) -> None:
    assert verify_bundle(path).other_version == ""

    def rebuilt(document: dict[str, Any]) -> None:
        document["versions"]["analysis"] = "0123456789ab"

    write_members(path, with_manifest(members_of(path), rebuilt))
    claim(path, lambda one: one["variants"][1]["p50_latency"].update(value=5e5))
    found = verify_bundle(path)
    assert found.other_version.endswith("(analysis 0123456789ab)")
    assert not found.agrees, "another build excuses nothing"


def test_fields_that_this_version_does_not_know_are_told(path: Path) -> None:
    claim(path, lambda one: one["variants"][0].update(figure_of_the_future={"value": 1.0}))
    found = verify_bundle(path)
    assert found.agrees
    assert found.jobs[0].has_unknown


def test_a_newer_layout_names_the_version_that_reads_it(path: Path) -> None:
    def newer(document: dict[str, Any]) -> None:
        document.update(schema_version=2, written_by="3.1.0", something="new")

    write_members(path, with_manifest(members_of(path), newer))
    with pytest.raises(IncompleteError, match=r"steelyard 3.1.0 in layout 2, and this version reads layout 1"):
        verify_bundle(path)


def test_a_file_that_is_no_bundle_is_a_mistake_of_its_user(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no bundle"):
        verify_bundle(tmp_path / "none.zip")
    with pytest.raises(UsageError, match="there is no bundle"):
        verify_bundle(tmp_path)
    text = tmp_path / "text.zip"
    text.write_text("hello")
    with pytest.raises(UsageError, match="not a zip file"):
        verify_bundle(text)
    other = tmp_path / "other.zip"
    write_members(other, {"manifest.json": b"{}"})
    with pytest.raises(BundleError, match="is not one of format"):
        verify_bundle(other)

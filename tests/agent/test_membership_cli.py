"""``enroll``, ``controllers`` and ``run`` without a controller: what they say, and what they end with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from steelyard_agent.cli import main
from steelyard_agent.enrollment.membership import Membership, membership_folder


def joined(root: Path, controller_id: str) -> None:
    folder = membership_folder(root, controller_id)
    folder.prepare()
    membership = Membership(
        controller_id=controller_id,
        controller_name=f"{controller_id}.steelyard",
        device_name="pi",
        addresses=("10.0.0.1:7443",),
        enrollment_addresses=("10.0.0.1:7444",),
        issued_at_s=1_795_867_200.0,
        not_after_s=1_796_472_000.0,
        clock_offset_s=0.25,
    )
    folder.keep(membership, certificate="C", authorities="A", enrollment="E")


def said(words: list[str], root: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main([*words, "--state-directory", str(root)])
    output = capsys.readouterr()
    return code, output.out, output.err


def test_an_agent_that_joined_nobody_says_how_to_join(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, complaint = said(["run"], tmp_path, capsys)
    assert code == 2
    assert "steelyard-agent enroll CODE" in complaint
    assert len(complaint.splitlines()) == 1


@pytest.mark.parametrize("code", ["hello", "sy1-aaaa", "sy9-aaaa"])
def test_what_is_no_join_code_ends_with_usage_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], code: str
) -> None:
    status, _, complaint = said(["enroll", code], tmp_path / "state", capsys)
    assert status == 2
    assert "join code" in complaint
    assert not (tmp_path / "state").exists()


def test_the_list_names_each_controller_and_what_is_wrong_with_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    joined(tmp_path, "aa1")
    joined(tmp_path, "ab2")
    (tmp_path / "controllers" / "ab2" / "controller.json").write_bytes(b"{}")
    code, text, _ = said(["controllers", "list"], tmp_path, capsys)
    first, second = text.splitlines()
    assert code == 0
    assert first == "aa1  as pi, until 2026-12-05 12:00 UTC, at 10.0.0.1:7443"
    assert "controllers forget ab2" in second
    _, text, _ = said(["controllers", "list", "--json"], tmp_path, capsys)
    record = json.loads(text)
    assert record["schema_version"] == 1
    assert [(row["id"], "problem" in row) for row in record["controllers"]] == [("aa1", False), ("ab2", True)]


def test_a_controller_is_forgotten_by_the_first_characters_of_its_id_unless_two_have_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for controller_id in ("aa1", "aa12", "bb1"):
        joined(tmp_path, controller_id)
    code, _, complaint = said(["controllers", "forget", "a"], tmp_path, capsys)
    assert (code, "names 2 of the joined controllers (aa1, aa12, bb1)" in complaint) == (4, True)
    assert said(["controllers", "forget", "aa1"], tmp_path, capsys)[0] == 0
    assert said(["controllers", "forget", "b"], tmp_path, capsys)[0] == 0
    assert [path.name for path in (tmp_path / "controllers").iterdir()] == ["aa12"]


@pytest.mark.parametrize("controller_id", ["", "..", "/", "../state"])
def test_no_id_forgets_what_is_no_controller(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], controller_id: str
) -> None:
    joined(tmp_path, "aa1")
    joined(tmp_path, "bb1")
    assert said(["controllers", "forget", controller_id], tmp_path, capsys)[0] == 4
    assert len(list((tmp_path / "controllers").iterdir())) == 2

from __future__ import annotations

from dataclasses import replace

from steelyard.nightly.digests import digest_of
from steelyard.nightly.night_report import DeviceState
from tests.controller.nightly.night_documents import bad_night, quiet_night


def test_the_digest_of_a_bad_night_says_what_since_when_and_why() -> None:
    digest = digest_of(bad_night(), url="https://ci.example.org/31")
    assert digest.title == "REGRESSED: shelf, night 31"
    assert (digest.key, digest.number, digest.verdict) == ("nightly/shelf", 31, "REGRESSED")
    assert digest.lines == (
        "1 regression confirmed.",
        "21 of 24 cells measured, exit code 1",
        "The suite was edited since last night.",
        "Runtime: onnxruntime 1.19.2 to 1.20.0 (1 of 1 series under onnxruntime got slower, none elsewhere)",
        (
            "- keywords p50 on pi5 (onnxruntime): 1.20 ms to 1.29 ms, +7.5 % (99 %: +6.1 % to +8.9 %), "
            "since night 31 (2026-11-28)"
        ),
        "Suspected: 1",
        "Undecided: 1",
        "Not reproduced: 1",
        "Improvements: 1",
        "Fixed: 1",
        "Known: 1",
        "Night 30 did not reach mail: refused: 550",
    )
    assert digest.markdown.startswith("## REGRESSED: ")
    assert digest.text.endswith("https://ci.example.org/31")


def test_the_digest_of_a_quiet_night_is_two_lines() -> None:
    assert len(digest_of(quiet_night()).lines) == 2


def test_a_night_with_hundreds_of_regressions_stays_a_digest() -> None:
    report = bad_night()
    (group,) = report.regressions
    flood = replace(
        report,
        regressions=tuple(
            replace(group, title=f"group {number}", findings=group.findings * 40) for number in range(50)
        ),
        devices=tuple(replace(report.devices[0], state=DeviceState.OFFLINE) for _ in range(200)),
    )
    lines = digest_of(flood).lines
    assert len(lines) < 80
    assert "And 42 more groups of regressions" in lines
    assert "- and 36 more series" in lines
    assert "And 194 more devices that are not as they should be" in lines


def test_a_suite_may_have_dashes_in_its_name() -> None:
    report = quiet_night()
    assert digest_of(replace(report, header=replace(report.header, suite="a--b---c"))).key == "nightly/a-b-c"


def test_the_sentences_of_a_digest_are_one_line_each() -> None:
    assert digest_of(replace(quiet_night(), notes=("two\nlines \N{NO-BREAK SPACE}here",))).lines[-1] == "two lines here"

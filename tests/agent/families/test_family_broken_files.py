"""Every file and program of every fake device goes missing, empty, denied, senseless and absurd, one at a time."""

from __future__ import annotations

import re

import pytest

from steelyard_agent.doctor import diagnosis_lines, diagnosis_to_json
from steelyard_agent.readings import Status
from steelyard_agent.surroundings.contract import ThrottleVerdict
from steelyard_agent.surroundings.device import DeviceSurroundings
from tests.support.fake_sysfs import load_manifest, load_tree
from tests.support.goldens import FAMILIES, examine

ABSURD = str(10**14)
HIGHEST = {"Cel": 150.0, "Hz": 20e9, "W": 10_000.0}
LOWEST = {"Cel": -55.0, "Hz": 1.0, "W": 0.0, "J": 0.0}
BREAKS = {
    "missing": lambda tree, path: tree.remove(path),
    "empty": lambda tree, path: tree.write(path, ""),
    "denied": lambda tree, path: tree.deny(path),
    "senseless": lambda tree, path: tree.write(path, "n/a\x00ü"),
    "absurd": lambda tree, path: tree.write(path, ABSURD),
    "busy": lambda tree, path: tree.refuse(path, "EAGAIN"),
    "negative": lambda tree, path: tree.write(path, f"-{ABSURD}"),
}
WAYS = tuple(BREAKS)[:5]


def values(diagnosis):
    return {(one.name, one.source): one.value for one in diagnosis.device.meters if one.value is not None}


def check(diagnosis, known, broken, way):
    """No value is invented, none is beyond what can be, and each that went away left a reason."""
    for one in diagnosis.device.meters:
        assert (one.value is None) == (one.status is Status.UNAVAILABLE)
        if one.value is None:
            assert one.reason.strip(), one
            continue
        assert LOWEST[one.unit] <= one.value <= HIGHEST.get(one.unit, float("inf")), (way, broken, one)
        before = known.get((one.name, one.source))
        mean = re.search(r"\((mean of|the same in) \d+ policies\)", one.source)
        assert before is None or before == one.value or mean, (way, broken, one, before)
    now = values(diagnosis)
    # The file whose number a reading is; one of several that make a mean or a sum may go without a word.
    gone = [key for key in known if key not in now and key[1].split(" (")[0] == broken]
    reasons = " ".join(one.reason for one in diagnosis.device.meters if one.value is None)
    for name, source in gone:
        folder = broken.rsplit("/", 1)[0]
        told = any(word in reasons for word in (broken.split()[0], folder, "denied", "looked at"))
        assert told, (way, name, source, reasons)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_doctor_survives_each_broken_file_and_invents_nothing(tmp_path, family):
    tree = load_tree(family, tmp_path / "tree")
    known = values(examine(tree))
    files = load_manifest(family)["files"]
    # What the doctor never opens is broken all at once.
    looked_at = [[path] for path in files if tree.was_opened(path)]
    for paths in (*looked_at, [path for path in files if not tree.was_opened(path)]):
        for way in WAYS:
            refused = dict(tree.refused)
            for path in paths:
                BREAKS[way](tree, path)
            diagnosis = examine(tree)
            check(diagnosis, known, paths[0], way)
            assert diagnosis_lines(diagnosis)
            tree.refused = refused
            for path in paths:
                tree.write(path, files[path])
    assert values(examine(tree)) == known, "all is as it was"


@pytest.mark.parametrize("family", FAMILIES)
def test_the_doctor_survives_each_program_that_says_something_else(tmp_path, family):
    tree = load_tree(family, tmp_path / "tree")
    known = values(examine(tree))
    for line, answer in dict(tree.commands).items():
        hung = f"!{line} did not answer within 2 s"
        for other in ("", hung, "n/a ü", "{}", "[]", "null", "error=1 error_msg=x", f"x={ABSURD}", ABSURD):
            tree.commands[line] = other
            diagnosis = examine(tree)
            check(diagnosis, known, line, other)
            diagnosis_to_json(diagnosis)
        del tree.commands[line]
        check(examine(tree), known, line, "not installed")
        tree.commands[line] = answer


@pytest.mark.parametrize("family", FAMILIES)
def test_a_device_that_tells_nothing_at_all_still_has_a_diagnosis(tmp_path, family):
    tree = load_tree(family, tmp_path / "tree")
    for way in ("empty", "senseless", "absurd", "negative", "denied", "missing"):
        for path in load_manifest(family)["files"]:
            BREAKS[way](tree, path)
        tree.commands = {}
        diagnosis = examine(tree)
        assert not [one for one in values(diagnosis).items() if one[1] >= float(ABSURD) / 1e6], way
        assert diagnosis_lines(diagnosis)


@pytest.mark.parametrize("family", FAMILIES)
def test_looks_around_a_block_survive_each_file_that_breaks_between_them(tmp_path, family):
    tree = load_tree(family, tmp_path / "tree")
    surroundings = DeviceSurroundings(tree.system)
    before = surroundings.look()
    steady = surroundings.compare(before, surroundings.look(), (1_000_000,) * 8)
    assert steady.throttle is not None
    for path, text in load_manifest(family)["files"].items():
        if not tree.was_opened(path):
            continue
        for way, damage in BREAKS.items():
            refused = dict(tree.refused)
            # A descriptor that is kept still reads a file that was removed: eyes of their own see it go.
            eyes = DeviceSurroundings(tree.system) if way == "missing" else surroundings
            first = eyes.look() if way == "missing" else before
            damage(tree, path)
            told = [eyes.compare(first, eyes.look(), (1_000_000,) * 8).throttle]
            if way == "missing":
                late = DeviceSurroundings(tree.system)
                told.append(late.compare(late.look(), late.look(), (1_000_000,) * 8).throttle)
            for report in told:
                assert report is not None
                assert all(sentence.strip() for sentence in (*report.evidence, *report.not_looked_at)), (way, path)
                assert report.verdict is not ThrottleVerdict.UNKNOWN or report.not_looked_at, (way, path)
            tree.refused = refused
            tree.write(path, text)

"""JUnit XML: cases, and the document that holds them; what XML cannot hold is replaced."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

# What XML 1.0 has no place for (section 2.2 of the standard).
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_case(
    group: str,
    name: str,
    *,
    failure: tuple[str, str] | None = None,
    error: tuple[str, str] | None = None,
    skipped: str = "",
    output: str = "",
) -> ET.Element:
    """Return a case; ``failure`` and ``error`` are a message and its text."""
    case = ET.Element("testcase", {"classname": _clean(group), "name": _clean(name)})
    for tag, found in (("failure", failure), ("error", error)):
        if found is not None:
            ET.SubElement(case, tag, {"message": _clean(found[0])}).text = _clean(found[1])
    if skipped:
        ET.SubElement(case, "skipped", {"message": _clean(skipped)})
    if output:
        ET.SubElement(case, "system-out").text = _clean(output)
    return case


def junit_document(name: str, cases: Sequence[ET.Element], *, timestamp: str = "") -> str:
    """Return the XML of one suite with its counts; ``timestamp`` is ISO 8601 without a zone."""
    counts = {
        attribute: str(sum(case.find(tag) is not None for case in cases))
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))
    }
    when = {"timestamp": _clean(timestamp)} if timestamp else {}
    suite = ET.Element("testsuite", {"name": _clean(name), "tests": str(len(cases)), **counts, **when})
    suite.extend(cases)
    root = ET.Element("testsuites", {"name": "steelyard"})
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _clean(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)

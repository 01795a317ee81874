"""A session as other tools read it: JUnit XML for test reports, SARIF for code scanning.

Both files say of each finding what the command line says.  The JSON of ``report`` holds everything.
"""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import gpusim
from properties.fuzz.engine import Session
from properties.fuzz.report import findings, line, verdict
from properties.model.failure import FailureKind

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def write_junit(session: Session, path: Path) -> None:
    """Write a suite: one case for the session, and one failing case for each finding."""
    found = findings(session)
    is_error = not found and not session.is_valid
    suite = ElementTree.Element(
        "testsuite",
        name="gpusim",
        tests=str(1 + len(found)),
        failures=str(len(found)),
        errors=str(int(is_error)),
        time=f"{session.seconds:.3f}",
    )
    whole = _case(suite, session, line(session))
    if is_error:
        ElementTree.SubElement(whole, "error", message=_legal(session.invalid_because))
    for bug, told in zip(session.bugs.met.values(), found, strict=True):
        case = _case(suite, session, bug.file.stem)
        failed = ElementTree.SubElement(
            case, "failure", type=str(bug.failure.kind), message=_legal(str(told).splitlines()[0])
        )
        failed.text = _legal(str(told))
    ElementTree.indent(suite)
    ElementTree.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)


def _case(suite: ElementTree.Element, session: Session, name: str) -> ElementTree.Element:
    target = _legal(session.settings.target)
    return ElementTree.SubElement(suite, "testcase", classname=target, name=_legal(name))


def _legal(text: str) -> str:
    """``text`` without the characters that XML cannot hold."""
    return "".join(each for each in text if each in "\t\n" or each.isprintable())


def write_sarif(session: Session, path: Path) -> None:
    """Write a run: one result for each finding, at the file of the finding."""
    path.write_text(json.dumps(as_sarif(session), indent=2) + "\n", encoding="utf-8")


def as_sarif(session: Session) -> dict[str, Any]:
    """The log of SARIF 2.1.0, as plain values."""
    rules = [{"id": str(kind), "shortDescription": {"text": str(kind)}} for kind in FailureKind]
    results = [
        {
            "ruleId": str(bug.failure.kind),
            "level": "error",
            "message": {"text": str(told)},
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": bug.file.as_posix()}}}],
            "partialFingerprints": {"signature/v1": "; ".join(signature)},
            "occurrenceCount": bug.count,
        }
        for (signature, bug), told in zip(session.bugs.met.items(), findings(session), strict=True)
    ]
    driver = {"name": "gpusim", "version": gpusim.__version__, "rules": rules}
    invocation = {
        "executionSuccessful": session.is_valid,
        "toolExecutionNotifications": [{"message": {"text": verdict(session)}}],
    }
    run = {"tool": {"driver": driver}, "invocations": [invocation], "results": results}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}

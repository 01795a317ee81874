"""Findings as files: what failed, and all that is needed to replay it.

    gpusim finding 2
    target: runtime
    promises: contract replays=yes indirect=yes parts=yes
    device: vulkan
    policy: pooled uniform_slots=2
    client: awaiting
    transformations: insert_boundary boundary=flush at=1; set_preset preset=eager
    disturbance: seed=17
    kernels: my_kernels.py
    seed: 17/4
    versions: gpusim 0.1.0, wgpu 0.32.0
    summary: op 3: read a 0 4 -> r0
    details:
    | Traceback (most recent call last):
    | KeyError: 'r0'

    alloc a 4
    read a 0 4 -> r0

The number on the first line is the version of this format.  Headers come in any order, each at most
once.  ``target`` and ``device`` are required.  ``policy`` is required if our own runtime was
judged, since other targets follow none.  The lines of ``details`` follow its header, each behind a
bar.  After the blank line comes the program in its text form.  A file of version 1 can be read as
well: it names no target, and ``caller`` is its word for ``client``.  Nothing here runs a program,
loads what a file names, or says what a failure means.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpusim.errors import ProgramError
from gpusim.program import Program
from gpusim.runtime.policy import parse_policy
from properties.clients import CLIENTS, FOREIGN_CLIENTS
from properties.model.capabilities import parse_capabilities
from properties.model.case import NO_POLICY, PLAIN, RUNTIME, Case, Transformation, parse_device
from properties.model.disturbance import parse_disturbance
from properties.oracles.metamorphic import parse_transformation, write_transformation

FORMAT_VERSION = 2
_MAGIC = "gpusim finding"
_BETWEEN = "; "
_BAR = "|"
"""The first character of each line of the details."""
_NO_FAULTS_BY_V1 = "without_faults"
"""Only files of version 1 use this transformation, which means: the same program without faults.
It is ignored, since every replay tries that anyway."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FindingFile:
    """A case that failed, with details for a person.

    ``versions``: the versions of gpusim and wgpu with which it failed.  ``summary``: how it failed.
    ``kernels``: the module or .py file with the program's own kernels.  Each of the three
    is one line, or empty.  ``details``: the lines of an exception's message or traceback.
    ``names_target`` is false for a file of version 1, whose program may have failed on any target.
    """

    case: Case
    versions: str = ""
    summary: str = ""
    kernels: str = ""
    details: str = ""
    names_target: bool = True

    def __post_init__(self) -> None:
        for header, value in _headers(self):
            if value != value.strip() or len(value.splitlines()) > 1:
                raise ProgramError(
                    f"cannot keep {header} {value!r} because a header is one line without "
                    "blanks around it (probably a message of several lines)"
                )
        if printable(self.details) != self.details:
            raise ProgramError(
                f"cannot keep details {self.details!r} because reading them would change them "
                "(probably they hold control characters, which ``printable`` escapes)"
            )
        for header, name in (("target", self.case.target), ("device", self.case.device.name)):
            if not name:
                raise ProgramError(
                    f"cannot keep a finding without a {header} because nothing could replay it "
                    f"(probably the {header}'s name was lost)"
                )


def write(path: Path, finding: FindingFile) -> None:
    """Write ``finding`` to the file at ``path``."""
    path.write_text(format_finding(finding), encoding="utf-8")


def read(path: Path) -> FindingFile:
    """The finding in the file at ``path``; ProgramError names the malformed line."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise _malformed(1, "the file is not text", "another kind of file") from None
    return parse_finding(text)


def format_finding(finding: FindingFile) -> str:
    """The text of the file, in the newest version."""
    headers = [f"{header}: {value}" for header, value in _headers(finding) if value]
    details = [f"{_BAR} {line}".rstrip() for line in finding.details.splitlines()]
    headers += ["details:", *details] if details else []
    lines = [f"{_MAGIC} {FORMAT_VERSION}", *headers, "", str(finding.case.program)]
    return "\n".join(lines)


def printable(text: str) -> str:
    """``text`` without invisible characters.

    Tabs become blanks, and blanks at the end of a line are removed.  Other invisible characters are
    escaped, except newlines.
    """
    lines = text.expandtabs().splitlines()
    return "\n".join("".join(map(_escaped, line)).rstrip() for line in lines).rstrip("\n")


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape", "surrogatepass").decode()


def parse_finding(text: str) -> FindingFile:
    """The finding that ``text`` holds; ProgramError names the malformed line."""
    lines = text.split("\n")
    version = _version_of(lines[0])
    blank = next((n for n, line in enumerate(lines) if not line.strip()), None)
    if blank is None:
        raise _malformed(len(lines), "no blank line ends the headers", "a truncated file")
    headers: dict[str, Any] = {}
    for number, line in enumerate(lines[1:blank], start=2):
        if line.startswith(_BAR) and next(reversed(headers), "") == "details":
            headers["details"] += f"\n{line.removeprefix(_BAR).removeprefix(' ')}"
        else:
            _parse_header(number, line, _HEADERS[version], headers)
    _check_complete(blank + 1, version, headers)
    # Blank lines replace the headers, so that the program's lines keep their numbers.
    program = Program.parse("\n" * blank + "\n".join(lines[blank:]))
    return _finding(program, headers)


def _headers(finding: FindingFile) -> list[tuple[str, str]]:
    """Every header but ``details``, with its value, which is empty if the header is left out."""
    case = finding.case
    return [
        ("target", case.target),
        ("promises", "" if case.promises is None else str(case.promises)),
        ("device", str(case.device)),
        ("policy", "" if case.follows_no_policy else str(case.policy)),
        ("client", case.client if case.client != PLAIN else ""),
        ("transformations", _BETWEEN.join(map(write_transformation, case.transformations))),
        ("disturbance", "" if case.disturbance is None else str(case.disturbance)),
        ("kernels", finding.kernels),
        ("seed", case.seed),
        ("versions", finding.versions),
        ("summary", finding.summary),
    ]


def _version_of(line: str) -> int:
    name, _, version = line.strip().rpartition(" ")
    if name != _MAGIC or not version.isdecimal():
        raise _malformed(1, f"{line!r} is not '{_MAGIC} {FORMAT_VERSION}'", "another kind of file")
    # Python refuses to read a number of thousands of digits.
    number = int(version) if len(version) < 19 else -1
    if number not in _HEADERS:
        known = " and ".join(map(str, _HEADERS))
        shown = version if len(version) < 19 else f"{version[:18]}..."
        raise _malformed(
            1, f"the format is version {shown} and this gpusim reads {known}", "another gpusim"
        )
    return number


def _client(text: str) -> str:
    known = (*CLIENTS, *FOREIGN_CLIENTS)
    if text not in known:
        raise ProgramError(f"its client is none of {', '.join(known)}")
    return text


def _transformations(text: str) -> tuple[Transformation, ...]:
    words = [each for each in text.split(_BETWEEN) if each and each != _NO_FAULTS_BY_V1]
    return tuple(map(parse_transformation, words))


_READ: dict[str, Callable[[str], Any]] = {
    "target": str,
    "promises": parse_capabilities,
    "device": parse_device,
    "policy": parse_policy,
    "client": _client,
    "transformations": _transformations,
    "disturbance": parse_disturbance,
    "kernels": str,
    "seed": str,
    "versions": str,
    "summary": str,
    "details": str,
}
"""How the value of each header is read."""
HEADERS = tuple(_READ)
"""The headers of the newest version."""
_V1 = ("device", "policy", "seed", "versions", "summary", "kernels", "caller", "transformations")
_HEADERS = {1: _V1, FORMAT_VERSION: HEADERS}
"""The headers of each version."""


def _parse_header(number: int, line: str, known: tuple[str, ...], headers: dict[str, Any]) -> None:
    header, colon, text = line.partition(":")
    if not colon:
        raise _malformed(number, f"{line!r} is no 'header: value'", "a missing blank line")
    if header not in known:
        raise _malformed(
            number, f"{header!r} is none of {', '.join(known)}", "a misspelling or a newer file"
        )
    header = "client" if header == "caller" else header
    if header in headers:
        raise _malformed(number, f"{header} is given twice", "two files were joined")
    try:
        headers[header] = _READ[header](text.strip())
    except (ProgramError, ValueError) as error:
        if "(probably" in str(error):
            raise ProgramError(
                f"cannot read line {number} of the finding because it holds no {header}: {error}"
            ) from None
        raise _malformed(number, f"it holds no {header}: {error}", "a misspelling") from None


def _check_complete(number: int, version: int, headers: dict[str, Any]) -> None:
    is_ours = version == 1 or headers.get("target") == RUNTIME
    needed = ["device"] + ["target"] * (version > 1) + ["policy"] * is_ours
    for header in needed:
        if not headers.get(header):
            raise _malformed(number, f"no {header} came before this line", "a header was deleted")


def _finding(program: Program, headers: dict[str, Any]) -> FindingFile:
    case = Case(
        program=program,
        policy=headers.get("policy", NO_POLICY),
        device=headers["device"],
        seed=headers.get("seed", ""),
        client=headers.get("client", PLAIN),
        transformations=headers.get("transformations", ()),
        target=headers.get("target", RUNTIME),
        promises=headers.get("promises"),
        disturbance=headers.get("disturbance"),
    )
    return FindingFile(
        case=case,
        versions=headers.get("versions", ""),
        summary=headers.get("summary", ""),
        kernels=headers.get("kernels", ""),
        details=headers.get("details", "").removeprefix("\n"),
        names_target="target" in headers,
    )


def _malformed(number: int, reason: str, probably: str) -> ProgramError:
    return ProgramError(
        f"cannot read line {number} of the finding because {reason} (probably {probably})"
    )

"""A finding as a file: what failed, and everything that replays it.

    gpusim finding 1
    device: vulkan
    policy: pooled uniform_slots=2
    seed: 17/4
    versions: gpusim 0.1.0, wgpu 0.32.0
    summary: op 3: read a 0 4 -> r0
    kernels: my_kernels.py
    caller: awaiting
    transformations: insert_boundary boundary=flush at=1; set_preset preset=eager

    alloc a 4
    read a 0 4 -> r0

The number on the first line is the version of this format, which changes only
when the format does.  Headers come in any order, each at most once; ``device``
and ``policy`` must be there.  After the blank line comes the program in its text
form.  Nothing here runs a program or says what its failure means.
"""

from dataclasses import dataclass
from pathlib import Path

from gpusim.errors import ProgramError
from gpusim.program import Program
from gpusim.runtime.policy import parse_policy
from properties.callers import CALLERS
from properties.case import PLAIN, Case
from properties.oracles.metamorphic import parse_transformation

FORMAT_VERSION = 1
_MAGIC = "gpusim finding"
_HEADERS = (
    "device",
    "policy",
    "seed",
    "versions",
    "summary",
    "kernels",
    "caller",
    "transformations",
)
_REQUIRED = ("device", "policy")
_BETWEEN = "; "


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A case that failed, and what a person wants to know about it.

    ``versions`` says what it failed on, ``summary`` how, and ``kernels`` names
    the module or the .py file that registers the program's own kernels; each is
    one line, empty where there is nothing to say.
    """

    case: Case
    versions: str = ""
    summary: str = ""
    kernels: str = ""

    def __post_init__(self) -> None:
        for header, value in _headers(self):
            if value != value.strip() or len(value.splitlines()) > 1:
                raise ProgramError(
                    f"cannot keep {header} {value!r} because a header is one line without "
                    "blanks around it (probably a message of several lines)"
                )
        if not self.case.device:
            raise ProgramError(
                "cannot keep a finding without a device because nothing could replay it "
                "(probably the device's name was lost)"
            )
        if parse_policy(str(self.case.policy)) != self.case.policy:
            raise ProgramError(
                f"cannot keep policy {self.case.policy} because its text form means another "
                "(probably a blank in its name)"
            )


def write(path: Path, finding: Finding) -> None:
    """Write ``finding`` to the file at ``path``."""
    path.write_text(format_finding(finding), encoding="utf-8")


def read(path: Path) -> Finding:
    """The finding in the file at ``path``; ProgramError names the malformed line."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise _malformed(1, "the file is no text", "another kind of file") from None
    return parse_finding(text)


def format_finding(finding: Finding) -> str:
    """The text of the file."""
    headers = [f"{header}: {value}" for header, value in _headers(finding) if value]
    lines = [f"{_MAGIC} {FORMAT_VERSION}", *headers, "", str(finding.case.program)]
    return "\n".join(lines)


def parse_finding(text: str) -> Finding:
    """The finding that ``text`` holds; ProgramError names the malformed line."""
    lines = text.split("\n")
    _check_version(lines[0])
    blank = next((n for n, line in enumerate(lines) if not line.strip()), None)
    if blank is None:
        raise _malformed(len(lines), "no blank line ends the headers", "a truncated file")
    headers: dict[str, str] = {}
    for number, line in enumerate(lines[1:blank], start=2):
        _parse_header(number, line, headers)
    for header in _REQUIRED:
        if not headers.get(header):
            raise _malformed(blank + 1, f"no {header} came before it", "a header was deleted")
    # Blank lines stand for the headers, so that the program's lines keep their numbers.
    program = Program.parse("\n" * blank + "\n".join(lines[blank:]))
    return _finding(program, headers)


def _headers(finding: Finding) -> list[tuple[str, str]]:
    case = finding.case
    values = (
        case.device,
        str(case.policy),
        case.seed,
        finding.versions,
        finding.summary,
        finding.kernels,
        case.caller if case.caller != PLAIN else "",
        _BETWEEN.join(case.transformations),
    )
    return list(zip(_HEADERS, values, strict=True))


def _check_version(line: str) -> None:
    name, _, version = line.strip().rpartition(" ")
    if name != _MAGIC or not version.isdecimal():
        raise _malformed(1, f"{line!r} is not '{_MAGIC} {FORMAT_VERSION}'", "another kind of file")
    if int(version) != FORMAT_VERSION:
        raise _malformed(
            1, f"the format is version {version} and this reads {FORMAT_VERSION}", "another gpusim"
        )


def _parse_header(number: int, line: str, headers: dict[str, str]) -> None:
    header, colon, value = line.partition(":")
    if not colon:
        raise _malformed(number, f"{line!r} is no 'header: value'", "a missing blank line")
    if header not in _HEADERS:
        raise _malformed(
            number, f"{header!r} is none of {', '.join(_HEADERS)}", "a misspelling or a newer file"
        )
    if header in headers:
        raise _malformed(number, f"{header} is given twice", "two files were joined")
    headers[header] = value.strip()
    if header == "policy":
        _check_policy(number, headers[header])
    if header == "caller" and headers[header] not in CALLERS:
        raise _malformed(number, f"its caller is none of {', '.join(CALLERS)}", "a misspelling")
    if header == "transformations":
        _check_transformations(number, headers[header])


def _check_policy(number: int, text: str) -> None:
    try:
        parse_policy(text)
    except (ProgramError, ValueError) as error:
        raise _malformed(number, f"it holds no policy: {error}", "a misspelling") from None


def _check_transformations(number: int, text: str) -> None:
    try:
        for transformation in text.split(_BETWEEN):
            parse_transformation(transformation)
    except ProgramError as error:
        raise _malformed(number, str(error), "a misspelling") from None


def _finding(program: Program, headers: dict[str, str]) -> Finding:
    case = Case(
        program=program,
        policy=parse_policy(headers["policy"]),
        device=headers["device"],
        seed=headers.get("seed", ""),
        caller=headers.get("caller", PLAIN),
        transformations=tuple(filter(None, headers.get("transformations", "").split(_BETWEEN))),
    )
    return Finding(
        case=case,
        versions=headers.get("versions", ""),
        summary=headers.get("summary", ""),
        kernels=headers.get("kernels", ""),
    )


def _malformed(number: int, reason: str, probably: str) -> ProgramError:
    return ProgramError(
        f"cannot read line {number} of the finding because {reason} (probably {probably})"
    )

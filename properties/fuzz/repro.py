"""Writes the source of a test, or of a script, that holds a finding and runs it again.

The source names the code of the target and of its kernels; nothing else is needed to run it.
Nothing is run or loaded here.
"""

import re
from dataclasses import replace
from pathlib import Path
from textwrap import fill

from gpusim.errors import ProgramError
from properties.finding_file import FindingFile, format_finding, read
from properties.fuzz.loading import TARGETS

_FILE = re.compile(r"(?!exec:|browser:).*\.(py|wgsl)(?=:|$)")
"""The file in the place of a target or of kernels."""
_TEST = '''\
"""{what}

It was written by `gpusim repro`.  It fails while the target does.{where}
"""

from gpusim.testing import check_finding

FINDING = """\\
{finding}"""


def test_{name}() -> None:
    check_finding(FINDING{code})
'''
_SCRIPT = '''\
"""{what}

It exits with 1 while the target fails, and with 0 once it passes.{where}
"""

import sys

from gpusim.testing import TargetFailed, check_finding

FINDING = """\\
{finding}"""

if __name__ == "__main__":
    try:
        check_finding(FINDING{code})
    except TargetFailed as error:
        sys.exit(str(error))
    print("passes")
'''


def pytest_source(path: Path) -> str:
    """A test to paste, which fails as long as the finding at ``path`` fails.

    Raises:
        ProgramError: the file is malformed, or is of version 1, which names no target.
        OSError: the file cannot be read.
    """
    return _source(_TEST, path)


def script_source(path: Path) -> str:
    """A script that runs by itself; raises what ``pytest_source`` raises."""
    return _source(_SCRIPT, path)


def _source(template: str, path: Path) -> str:
    finding = read(path)
    if not finding.names_target:
        raise ProgramError(
            f"cannot write {path} as Python because a file of version 1 names no target "
            "(probably the finding must be found anew)"
        )
    kept = replace(finding, summary="", details="")
    what = fill(f"A finding: {finding.summary or finding.case.program[-1:]}", 96)
    return template.format(
        what=_quoted(what),
        finding=_quoted(format_finding(kept)),
        name=re.sub(r"\W+", "_", path.stem.lower()),
        code=_code(finding),
        where=_quoted(_where(finding)),
    )


def _where(finding: FindingFile) -> str:
    """The lines that say in which folder the source runs; none if it runs in any folder."""
    places = (_FILE.match(place) for place in (finding.case.target, finding.kernels))
    files = [place[0] for place in places if place and not Path(place[0]).is_absolute()]
    return f"\n\nRun it in the folder from which {files[0]} is found." if files else ""


def _code(finding: FindingFile) -> str:
    """The arguments that name the code which the finding runs."""
    target, kernels = finding.case.target, finding.kernels
    words = [] if target in TARGETS else [repr(target)]
    words += [f"kernels={kernels!r}"] if kernels else []
    return "".join(f", {word}" for word in words)


def _quoted(text: str) -> str:
    """``text`` as it stands between three quotation marks."""
    return text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')

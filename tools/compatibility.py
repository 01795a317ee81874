"""Writes docs/compatibility.md: what sessions ran on runtimes that people use, and what they found.

    python tools/compatibility.py "NAME=SESSION.json" ...

Each NAME says which runtime, and in what it ran.  Each file is what ``gpusim fuzz --json`` wrote.
A session replaces the line of its name; the other lines stay.  The page is never written by hand,
so that it says no more than was run.
"""

import json
import sys
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[1] / "docs" / "compatibility.md"
_HEAD = """# Compatibility

`tools/compatibility.py` writes this page from the sessions themselves. What was found is in
[findings](findings/README.md). A session may count one mistake several times: if it shows in
programs of other kinds of ops, or if a program could not be made small in time.

| runtime | adapter | programs | ops | seconds | findings |
|---|---|---|---|---|---|
"""
_FOOT = """
Not run: macOS (Metal), Windows (D3D12), and every hardware GPU. There, maps may settle later and
in other orders.
"""


def row(name: str, session: dict[str, Any]) -> str:
    """The line of one session."""
    cells = [name, session["description"], f"{session['programs']:,}", f"{session['ops']:,}"]
    findings = [str(finding["kind"]) for finding in session["findings"]]
    kinds = ", ".join(f"{findings.count(kind)} {kind}" for kind in dict.fromkeys(findings))
    cells += [f"{session['seconds']:.0f}", f"{len(findings)} ({kinds})" if findings else "none"]
    return f"| {' | '.join(cells)} |"


def page(rows: dict[str, str]) -> str:
    """The whole page, from its lines by name."""
    return _HEAD + "\n".join(rows.values()) + "\n" + _FOOT


def rows_of(text: str) -> dict[str, str]:
    """The lines of a page, by name."""
    lines = text.removeprefix(_HEAD).partition("\n\n")[0].splitlines()
    return {line.split("|")[1].strip(): line for line in lines}


def main(words: list[str]) -> None:
    """Write the page from the sessions that are named."""
    rows = rows_of(PAGE.read_text("utf-8"))
    for name, file in (word.split("=", 1) for word in words):
        rows[name] = row(name, json.loads(Path(file).read_text("utf-8")))
    PAGE.write_text(page(rows), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

"""Notes on survivors: why nothing sees them."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

NOTES = Path(__file__).with_name("survivors.toml")
KINDS = {
    "equivalent": "no caller can tell it from the sound code",
    "cost": "every result is the same, and only time or memory differs",
    "message": "only the words of an error, a warning or a representation differ",
    "unreached": "only a device, an option or a misuse that this run leaves out would show it",
}
"""Why a mutant lives, in the order of the page."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """Why one survivor, or several of one place, live."""

    kind: str
    reason: str


def read_notes(path: Path = NOTES) -> dict[str, Note]:
    """The notes by ``Result.key``; several changes may share one reason."""
    notes = {}
    for entry in tomllib.loads(path.read_text(encoding="utf-8"))["survivor"]:
        if entry["kind"] not in KINDS:
            raise ValueError(f"cannot tell {entry['kind']!r} because it is none of {list(KINDS)}")
        for change in entry["changes"]:
            key = f"{entry['path']}: {entry['function']}\n{change.strip()}"
            notes[key] = Note(kind=entry["kind"], reason=entry["reason"].strip())
    return notes

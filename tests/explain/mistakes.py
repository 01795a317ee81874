"""Small programs that show a mutant, and the words that must stand in the argument of each.

They stand in the file beside this one: headers, then the program, then a blank line.  The words
name the op that went wrong, what overtook what or whose operand was used, and the rule.
"""

from dataclasses import dataclass
from pathlib import Path

_FILE = Path(__file__).with_suffix(".txt")
_HEADERS = ("mutant", "says", "rule", "policy", "device", "oracles")


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistake:
    """A mutant, a program that shows it, and what its argument must say."""

    mutant: str
    program: str
    says: str
    """What stands in the first line."""
    rule: str
    policy: str = "eager"
    device: str = "simulated"
    oracles: str = "meaning"
    """``laws`` where only those show it."""


def _parsed(text: str) -> Mistake:
    headers: dict[str, str] = {}
    ops = []
    for line in text.splitlines():
        name, colon, value = line.partition(": ")
        if colon and name in _HEADERS:
            headers[name] = value
        else:
            ops.append(f"{line}\n")
    return Mistake(program="".join(ops), **headers)


MISTAKES = tuple(map(_parsed, _FILE.read_text(encoding="utf-8").split("\n\n")))
"""At least two of each family of mistakes that programs alone show."""

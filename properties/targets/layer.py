"""The layer between a target and its device: which rules it checks, and its JavaScript source.

The files of the layer in JavaScript import each other by name.  A target gets their text over the
wire, where no file has a name, so they are joined here.  Nothing here runs the text.
"""

import re
from functools import cache
from importlib.resources import files

from gpusim.layer import EMPTY_SUBMIT, RULES, Sanitizer

_FILES = ("watched.js", "failures.js", "calls.js", "adversary.js")
"""Each imports only files before it."""
_IMPORT = re.compile(r"^import .*\n", re.MULTILINE)
_NAME = "//# sourceURL=gpusim-adversary.js"
"""Gives the layer a name in stack traces."""


@cache
def adversary_source() -> str:
    """The text of the joined files, as a module that exports ``install``."""
    folder = files("gpusim") / "layer"
    texts = [(folder / name).read_text(encoding="utf-8") for name in _FILES]
    return "\n".join([*(_IMPORT.sub("", text) for text in texts), _NAME, ""])


_NO_LAWS = ("kept-view", "growing-buffers", "endless-writes")
"""Rules by which no target is judged.  A sound runtime may keep a view that it never reads again.
One program is too short to show growth; another oracle repeats the program for that."""
_LAWS = (*(rule for rule in RULES if rule.name not in _NO_LAWS), EMPTY_SUBMIT)


def judging_sanitizer() -> Sanitizer:
    """The sanitizer for the calls of a target; the oracles decide whether its reports count."""
    return Sanitizer(lambda report: None, _LAWS)

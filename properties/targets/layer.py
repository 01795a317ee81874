"""The layer in JavaScript as one module, for a target in another process.

Its files import each other by name.  A target gets their text over the wire, where no file has a
name, so they are joined here.  Nothing here runs it.
"""

import re
from functools import cache
from importlib.resources import files

_FILES = ("watched.js", "failures.js", "calls.js", "adversary.js")
"""Each imports only files before it."""
_IMPORT = re.compile(r"^import .*\n", re.MULTILINE)
_NAME = "//# sourceURL=gpusim-adversary.js"
"""Under this name the layer stands in a stack trace."""


@cache
def adversary_source() -> str:
    """The text of the module; it exports ``install``."""
    folder = files("gpusim") / "layer"
    texts = [(folder / name).read_text(encoding="utf-8") for name in _FILES]
    return "\n".join([*(_IMPORT.sub("", text) for text in texts), _NAME, ""])

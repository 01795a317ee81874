"""Call sites: which line of the program made a call, as ``file:line``.

It is the line of the innermost frame that belongs neither to the layer nor to an implementation of
WebGPU.  The line is found for every call, so this walks bare frames and makes no traceback.
Nothing here knows what the call was.
"""

import os
import sys
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

_GPUSIM = Path(__file__).resolve().parent.parent
_PACKAGES = ("wgpu", "wgpudawn")
"""Packages that implement WebGPU; a program's line is never in one."""


def _inner_folders() -> tuple[str, ...]:
    folders = [str(_GPUSIM / "layer"), str(_GPUSIM / "simulated")]
    for package in _PACKAGES:
        spec = find_spec(package)
        folders += (spec.submodule_search_locations or []) if spec else []
    return tuple(os.path.join(folder, "") for folder in folders)


_INNER_FOLDERS = _inner_folders()


@lru_cache(maxsize=4096)
def is_inner(filename: str) -> bool:
    """Whether a file belongs to the layer or to an implementation of WebGPU."""
    return filename.startswith(_INNER_FOLDERS) or filename.startswith("<frozen ")


@lru_cache(maxsize=65_536)
def _site(filename: str, line: int) -> str:
    return f"{filename}:{line}"


def call_site() -> str:
    """``file:line`` of the program's call that is being carried out; empty if there is none."""
    frame = sys._getframe(2)  # The caller and its caller are the layer's own.
    while frame is not None:
        filename = frame.f_code.co_filename
        if not is_inner(filename):
            return _site(filename, frame.f_lineno)
        frame = frame.f_back  # type: ignore[assignment]
    return ""

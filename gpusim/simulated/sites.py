"""Call sites of dispatches: the line of the program that a report on a shader names."""

import os
import sys
from functools import lru_cache
from pathlib import Path

import wgpu

_INNER = (
    os.path.join(Path(__file__).resolve().parent.parent, ""),
    os.path.join(Path(wgpu.__file__).resolve().parent, ""),
    "<",
)


@lru_cache(maxsize=4096)
def _is_inner(filename: str) -> bool:
    return filename.startswith(_INNER)


def call_site() -> str:
    """``file:line`` of the program's call, outside of gpusim and wgpu; empty without one."""
    frame = sys._getframe(1)
    while frame is not None:
        filename = frame.f_code.co_filename
        if not _is_inner(filename):
            return f"{filename}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""

"""How a pipeline uses its buffers, from explicit layouts or from the text of its WGSL.

An access is ``uniform``, ``read`` or ``read_write``.  If neither a layout nor WGSL says which, the
access is ``unknown``: the buffer counts as used, and its binding is never reported as aliased.
Nothing here parses WGSL: only the declarations of resources are found, since these have one form.
Source: WebGPU Shading Language, section 7.3 "var Declarations" and 12.3 "Resource Interface".
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

Access = Mapping[tuple[int, int], str]
"""The access by group and binding."""
Layout = Mapping[int, tuple[str, bool]]
"""For each binding the access, and whether a dynamic offset moves the range that is bound."""

UNKNOWN = "unknown"
_OF_TYPES = {"uniform": "uniform", "storage": "read_write", "read-only-storage": "read"}
_COMMENTS = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_BUFFER = re.compile(
    r"((?:@\s*(?:group|binding)\s*\(\s*\d+[iu]?\s*,?\s*\)\s*){2})"
    r"var\s*<\s*(uniform|storage)\s*(?:,\s*(\w+)\s*)?,?\s*>"
)
_PLACE = re.compile(r"@\s*(group|binding)\s*\(\s*(\d+)")


def access_of_wgsl(code: object) -> Access:
    """The access to each buffer that WGSL declares; empty if ``code`` is no text."""
    found: dict[tuple[int, int], str] = {}
    if not isinstance(code, str):
        return found
    for places, space, mode in _BUFFER.findall(_COMMENTS.sub(" ", code)):
        place = {name: int(number) for name, number in _PLACE.findall(places)}
        if len(place) == 2:
            written = "read_write" if mode in ("write", "read_write") else "read"
            access = "uniform" if space == "uniform" else written
            found[place["group"], place["binding"]] = access
    return found


def layout_of(entries: Iterable[Any]) -> Layout:
    """The buffers of a bind group layout, by binding."""
    found = {}
    for entry in entries:
        buffer = entry.get("buffer")
        if buffer:
            kind = str(buffer.get("type") or "uniform")
            dynamic = bool(buffer.get("has_dynamic_offset", False))
            found[int(entry["binding"])] = (_OF_TYPES.get(kind, UNKNOWN), dynamic)
    return found


def access_of_layouts(layouts: Iterable[Layout]) -> Access:
    """The access by group and binding that the layouts of a pipeline say."""
    return {
        (group, binding): access
        for group, layout in enumerate(layouts)
        for binding, (access, _) in layout.items()
    }

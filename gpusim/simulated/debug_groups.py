"""Debug groups and markers: labels that a tool may show, checked for balance only."""

from typing import Any


class DebugGroups:
    """Mixed into the encoders, as in the specification ("GPUDebugCommandsMixin")."""

    __slots__ = ("_debug_depth",)

    _debug_depth: int

    def push_debug_group(self, group_label: str) -> None:
        """Open a group."""
        if self._check_open("push a debug group"):
            self._debug_depth += 1

    def pop_debug_group(self) -> None:
        """Close the innermost group."""
        if self._check_open("pop a debug group"):
            if not self._debug_depth:
                self._invalidate("pop a debug group", "none is open", "one pop too many")
                return
            self._debug_depth -= 1

    def insert_debug_marker(self, marker_label: str) -> None:
        """Mark a place."""
        self._check_open("insert a debug marker")

    def _check_open(self, doing: str) -> bool:
        raise NotImplementedError

    def _invalidate(self, doing: str, because: str, probably: str) -> Any:
        raise NotImplementedError

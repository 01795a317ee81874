"""What all handles of a runtime share: they stand for something, and are no copy of it.

A handle that was copied or pickled would stand for what only one process has, and one that was
gone through like a list would show bytes that are on the device.  No handle is defined here.
"""

from typing import ClassVar, NoReturn

from gpusim.errors import InvalidHandle


class Handle:
    """What a runtime hands out; ``_instead``: what was probably meant by taking it for data."""

    __slots__ = ()
    _instead: ClassVar[str]

    def __getitem__(self, key: object) -> NoReturn:
        # Also what iterates over an object that has no __iter__.
        raise InvalidHandle(
            f"cannot take items of {self!r} because it only stands for them "
            f"(probably {self._instead})"
        )

    def __reduce__(self) -> NoReturn:
        raise InvalidHandle(
            f"cannot pickle or copy {self!r} because it belongs to this process's device "
            f"(probably {self._instead})"
        )

"""The base of all handles: they refer to something of a runtime, and refuse to be used as data.

A handle cannot be pickled, because its object belongs to this process.  It cannot be copied either,
since Python uses the same method for both.  It cannot be iterated over, because the bytes behind it
are on the device.  No handle is defined here.
"""

from typing import ClassVar, NoReturn

from gpusim.errors import InvalidHandle


class Handle:
    """A handle; ``_instead`` is the remedy that its messages name."""

    __slots__ = ()
    _instead: ClassVar[str]

    def __getitem__(self, key: object) -> NoReturn:
        # Python also calls this to iterate over an object without __iter__.
        raise InvalidHandle(
            f"cannot take items of {self!r} because it is a handle, without items "
            f"(probably {self._instead})"
        )

    def __reduce__(self) -> NoReturn:
        raise InvalidHandle(
            f"cannot pickle or copy {self!r} because it belongs to this process's device "
            f"(probably {self._instead})"
        )

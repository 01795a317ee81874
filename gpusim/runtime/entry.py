"""Whether an op may begin at all: the first of the contract's checks, the same for every op.

It knows the runtime's parts and not the runtime, which holds it: parts that
held the runtime too would keep all of it, after its last use, until the garbage
collector comes.
"""

from gpusim.runtime import checks
from gpusim.runtime.caller import Caller
from gpusim.runtime.captures import Captures
from gpusim.runtime.drivers.driver import Driver
from gpusim.runtime.readbacks import Readbacks
from gpusim.runtime.waits import Waits


class Entry:
    """What every op of one runtime begins with."""

    def __init__(
        self,
        driver: Driver,
        caller: Caller,
        *,
        readbacks: Readbacks,
        waits: Waits,
        captures: Captures,
    ) -> None:
        self.is_open = True
        """Whether the runtime was not closed."""
        self._driver = driver
        self._caller = caller
        self._readbacks = readbacks
        self._waits = waits
        self._captures = captures

    def check(self) -> None:
        """Raise what stands in the way of an op that a graph may hold."""
        if not self.is_open:
            raise checks.runtime_closed()
        self._caller.check()
        if self._readbacks.unseen is not None or self._driver.lost:
            self._waits.raise_fault()

    def check_op(self, what: str) -> None:
        """The same for an op that no graph can hold."""
        self.check()
        self._captures.refuse(what)

    def check_free(self) -> None:
        """The same for a free, which a fault does not stop."""
        if not self.is_open:
            raise checks.runtime_closed()
        self._caller.check()
        self._captures.refuse("free a buffer")

"""Counts the buffers that are alive: neither destroyed nor collected.  It judges nothing."""

from gpusim.layer.watch import Watch
from gpusim.trace import Event


class LiveBuffers:
    """A sink that knows the size of every live buffer of the devices that its watch watches."""

    def __init__(self) -> None:
        self._sizes: dict[int, int] = {}
        self.watch = Watch(self, wanted=("create_buffer", "destroy_buffer"))

    def __call__(self, event: Event) -> None:
        """Take an event."""
        if event.kind == "create_buffer":
            self._sizes[event["buffer"]] = event["size_bytes"]
        elif event.kind in ("destroy_buffer", "collect_buffer"):
            self._sizes.pop(event["buffer"], None)

    def count(self) -> tuple[int, int]:
        """How many buffers are alive, and their bytes."""
        self.watch.tell_gone()
        return len(self._sizes), sum(self._sizes.values())

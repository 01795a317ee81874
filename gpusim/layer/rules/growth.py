"""Rules against growth without end: buffers that every step leaves, and writes without a submit.

A step is a submit of commands.  A buffer counts as forgotten if nothing has used it since the step
in which it was made.  The bounds are generous, since a program may load a lot at once.
"""

from collections.abc import Iterator

from gpusim.layer.report import Place
from gpusim.layer.rules.rule import Breach, Check
from gpusim.layer.scene import Buffer, Scene
from gpusim.trace import Event

FEWEST_FORGOTTEN = 32
"""Forgotten buffers of one call site are a finding if they were made in at least this many steps.

Besides, at least a quarter of this number of steps must lie in the second half of the program.
"""
MOST_QUEUED_BYTES = 64 << 20
MOST_QUEUED_WRITES = 16_384
OVERWRITTEN_TIMES = 4
"""Queued writes are a finding if they reach one of the two bounds above, and have at least this
many times the bytes of the buffers that they write."""


class GrowingBuffers(Check):
    """Buffers of one call site whose number grows from step to step."""

    def at_end(self) -> Iterator[Breach]:
        """Report forgotten buffers; only the end shows that nothing used them."""
        by_site: dict[str, list[Buffer]] = {}
        for buffer in self.scene.buffers.values():
            if not buffer.destroyed_site and buffer.used_step <= buffer.created_step + 1:
                by_site.setdefault(buffer.created_site, []).append(buffer)
        for site, buffers in by_site.items():
            steps = sorted({buffer.created_step for buffer in buffers})
            late = [step for step in steps if step > self.scene.step // 2]
            if len(steps) >= FEWEST_FORGOTTEN and len(late) >= FEWEST_FORGOTTEN // 4:
                yield self._breach(site, buffers, len(steps))

    def _breach(self, site: str, buffers: list[Buffer], steps: int) -> Breach:
        total = sum(buffer.size_bytes for buffer in buffers)
        last = buffers[-1]
        return Breach(
            what=(
                f"{len(buffers)} buffers, {total} bytes together, are neither destroyed nor "
                f"collected, and nothing uses them any more; they were made in {steps} steps"
            ),
            places=(
                Place(doing=f"{buffers[0]} is the first", site=site),
                Place(doing=f"{last} is the last", site=last.created_site),
            ),
        )


class EndlessWrites(Check):
    """Queue writes that overwrite each other, with no submit between them."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._clear()

    def _clear(self) -> None:
        self._queued_bytes = self._queued_writes = 0
        self._sizes: dict[int, int] = {}
        self._first_site = ""
        self._is_told = False

    def submit(self, event: Event) -> Iterator[Breach]:
        """Count anew: a submit, even an empty one, frees the memory that the writes hold."""
        self._clear()
        return iter(())

    def write_buffer(self, event: Event) -> Iterator[Breach]:
        """Count the bytes that are queued, and the bytes of the buffers that they go to."""
        self._queued_bytes += event["size_bytes"]
        self._queued_writes += 1
        self._first_site = self._first_site or event["site"]
        buffer = self.scene.buffers.get(event["buffer"])
        size = event["size_bytes"] if buffer is None else buffer.size_bytes
        self._sizes[event["buffer"]] = size
        if self._is_told or not self._is_much():
            return
        self._is_told = True
        yield Breach(
            what=(
                f"{self._queued_writes} queue writes to {len(self._sizes)} buffers, "
                f"{self._queued_bytes} bytes together, were made without a submit, and hold host "
                "memory"
            ),
            places=(
                Place(doing="the first is made", site=self._first_site),
                Place(doing="the last so far is made", site=event["site"]),
            ),
        )

    def _is_much(self) -> bool:
        if self._queued_bytes < MOST_QUEUED_BYTES and self._queued_writes < MOST_QUEUED_WRITES:
            return False
        return self._queued_bytes >= OVERWRITTEN_TIMES * sum(self._sizes.values())

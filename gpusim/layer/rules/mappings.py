"""Rules about mapped memory: a view that outlives its mapping, a write to a mapped buffer."""

from collections.abc import Iterator

from gpusim.layer.report import Place
from gpusim.layer.rules.rule import Breach, Check
from gpusim.trace import Event


class KeptView(Check):
    """A view of mapped memory that somebody still holds when the mapping ends."""

    def keep_view(self, event: Event) -> Iterator[Breach]:
        """Report a view that could not be released when its mapping ended."""
        buffer = self.scene.buffers.get(event["buffer"], f"buffer {event['buffer']}")
        yield Breach(
            what=f"a view of the mapped memory of {buffer} is kept after the mapping has ended",
            places=(
                Place(doing="the view is taken", site=event["view_site"]),
                Place(doing="the mapping ends", site=event["site"]),
            ),
        )


class WrittenWhileMapped(Check):
    """A queue write to a buffer that is mapped, or whose map is pending."""

    def write_buffer(self, event: Event) -> Iterator[Breach]:
        """Look at the state of the buffer."""
        buffer = self.scene.buffers.get(event["buffer"])
        if buffer is None or buffer.map_state == "unmapped":
            return
        pending = buffer.map_state == "pending"
        state = "while its map is pending" if pending else "while it is mapped"
        yield Breach(
            what=f"{buffer} is written {state}",
            places=(
                Place(doing="the map is asked for", site=buffer.map_site),
                Place(doing="the buffer is written", site=event["site"]),
            ),
        )

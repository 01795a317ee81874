"""Capturing: which graph is open, and what may be called meanwhile."""

from gpusim.errors import InvalidCapture
from gpusim.runtime.graph import Graph


class Captures:
    """The open capture of one runtime."""

    def __init__(self) -> None:
        self.open: Graph | None = None

    def begin(self, graph: Graph) -> None:
        """From here on dispatches and copies go to ``graph``; InvalidCapture."""
        self.refuse("begin another capture")
        if graph.is_complete or graph.calls:
            raise InvalidCapture(
                f"cannot capture into {graph!r} because it was captured before "
                "(probably each capture wants its own runtime.capture())"
            )
        self.open = graph

    def end(self) -> None:
        """What is called from here on happens again."""
        self.open = None

    def refuse(self, what: str) -> None:
        """InvalidCapture where a capture is open."""
        if self.open is not None:
            raise InvalidCapture(
                f"cannot {what} while a capture is open because a graph holds dispatches and "
                "copies only (probably it belongs before the with block, or after it)"
            )

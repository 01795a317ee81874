"""Choices drawn from elsewhere, such as from Hypothesis, so that they shrink."""

from collections.abc import Callable


class Drawn:
    """``draw(n)`` gives a number from 0 to n - 1; 0 is always the simplest choice.

    With Hypothesis: ``Drawn(lambda n: data.draw(st.integers(0, n - 1)))``.  A
    schedule of zeros is the one that is as late as possible.
    """

    runs = False

    def __init__(self, draw: Callable[[int], int]) -> None:
        self._draw = draw

    def choose(self, options: tuple[str, ...]) -> int:
        """Ask only where there is a choice."""
        return self._draw(len(options)) if len(options) > 1 else 0

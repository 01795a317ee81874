"""Random: every choice from one seeded generator."""

from random import Random


class AtRandom:
    """The same ``seed`` makes the same choices."""

    runs = True

    def __init__(self, seed: int) -> None:
        self._random = Random(seed).random

    def choose(self, options: tuple[str, ...]) -> int:
        """Each option alike."""
        return int(self._random() * len(options))

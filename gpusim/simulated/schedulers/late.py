"""As late as possible: nothing happens before somebody waits for it."""


class AsLate:
    """Stop where that is allowed; where somebody waits, do just what they need."""

    runs = False
    defers = True

    def choose(self, options: tuple[str, ...]) -> int:
        """The first option is always STOP or the shortest way."""
        return 0

"""As early as possible: everything happens at the call that allows it."""


class AsEarly:
    """Run everything at once; settle in the order of the calls."""

    runs = True

    def choose(self, options: tuple[str, ...]) -> int:
        """Run before settling, settle before stopping."""
        last = len(options) - 1
        if options[last] == "run":
            return last
        return 1 if options[0] == "stop" and last else 0

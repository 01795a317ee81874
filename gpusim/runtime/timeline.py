"""The three clocks, as numbers: what the queue was given, what a submit followed, what is done.

Recorded work is not here: it belongs to the batch until it is submitted.
"""


class Timeline:
    """Counts the acts of one queue: its writes and its submits.

    A queued write starts with the submit that follows it, so that after nothing
    but a write a submit is still owed.
    """

    def __init__(self) -> None:
        self.acts = 0
        self.submits = 0
        self.done = 0
        self._submitted = 0

    def wrote(self) -> None:
        """The queue was given a write."""
        self.acts += 1

    def submitted(self) -> None:
        """The queue was given a command buffer; every write before it starts too."""
        self.acts += 1
        self.submits += 1
        self._submitted = self.acts

    def finished(self, act: int) -> None:
        """Everything up to ``act`` is done: the queue works in order."""
        self.done = max(self.done, act)

    @property
    def owes_submit(self) -> bool:
        """Whether a queued write still waits for a submit to start it."""
        return self.acts > self._submitted

    @property
    def is_idle(self) -> bool:
        """Whether all the queue was given is done."""
        return self.done == self.acts

"""The results of running a program: one outcome for each op, and the order of deliveries.

Every executor gives a history, so that two histories of one program can be compared.
Data only; the comparison is the judge's.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

CRASH = "crash: "
"""Stands before the name of an error class that the contract does not have."""


@dataclass(frozen=True, slots=True)
class Raised:
    """The message of an exception and, for a crash, its traceback as Python prints it."""

    message: str
    traceback: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What one op showed: the error class it raised, or the bytes it read.

    ``error``: None if the op was accepted; otherwise the name of a ``Refused`` or a
    ``DeviceFault``, or ``CRASH`` and the name of any other class.
    ``data``: the value of an accepted read; for a ``sync`` that returned, the names
    of the results delivered by then, in order, joined by commas; None for other ops.
    ``late_error``: the error class of an accepted read whose value never came; or
    ``changed after delivery``, if the value was no longer the same at the end.
    ``error_bound``: how far each byte of ``data`` may be off, as a float32: 0 where the byte
    is exact, a relative tolerance where it belongs to a float result, infinity where
    nothing is promised.  None: every byte is exact.  Only an oracle sets the bounds, and
    equality ignores them.
    ``raised``: the message of ``error`` or ``late_error``.  Equality ignores it.
    """

    error: str | None = None
    data: bytes | None = None
    late_error: str | None = None
    error_bound: npt.NDArray[np.float32] | None = field(default=None, compare=False)
    raised: Raised | None = field(default=None, compare=False)


ACCEPTED = Outcome()
"""The outcome of an accepted op without a value; executors share it, so ``is`` recognizes it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """The outcomes of a program's ops, and its results in the order of delivery.

    If a program does not end with a sync, every executor adds one; ``closing`` is the outcome of
    that sync.  It is None if the program ends with a sync of its own.
    """

    outcomes: tuple[Outcome, ...]
    deliveries: tuple[str, ...]
    closing: Outcome | None = None

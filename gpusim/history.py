"""What running a program showed: one outcome an op, and the order of deliveries.

Vocabulary shared by every executor, so that two histories of one program can
be held against each other.  Data only; the comparison is the judge's.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

CRASH = "crash: "
"""What the name of an error begins with that the contract does not know."""


@dataclass(frozen=True, slots=True)
class Raised:
    """What an exception said: its message and, of a crash, its traceback as Python prints it."""

    message: str
    traceback: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What one op showed: the error class it raised, or the bytes it read.

    ``error`` is the name of a ``Refused`` or a ``DeviceFault``, None where the op was
    accepted, or ``CRASH`` and the name of the class where the target raised any other.
    ``data`` is the value of an accepted read; for a ``sync`` that returned, the
    results delivered by then, in order, joined by commas; None for other ops.
    ``late_error`` is the error class of a read that was accepted and whose
    value never came, or ``changed after delivery``.

    ``error_bound`` is an oracle's doubt: a float32 for each byte of ``data``, 0 where
    the byte is exact, a relative tolerance where it belongs to a float result,
    and infinity where nothing is promised.  None means every byte is exact.  It
    is no observation, so outcomes are equal without it.

    ``raised`` is what the exception of ``error`` or ``late_error`` said.  It is for a
    reader: outcomes are equal without it.
    """

    error: str | None = None
    data: bytes | None = None
    late_error: str | None = None
    error_bound: npt.NDArray[np.float32] | None = field(default=None, compare=False)
    raised: Raised | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """The outcomes of a program's ops, and its results in the order of delivery.

    ``closing`` is the outcome of the sync that every executor makes after a
    program that does not end with one; None where the program does.
    """

    outcomes: tuple[Outcome, ...]
    deliveries: tuple[str, ...]
    closing: Outcome | None = None

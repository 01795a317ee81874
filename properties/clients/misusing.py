"""A client that misuses the runtime between the ops of a program.

Each misuse must be refused with its error class and a message that names the remedy.  It must
change nothing: the program shows what it shows without the misuse, and no command, read or buffer
is counted for it.  The table of misuses is in ``misuses``.  The buffers and reads of the program
are misused.
"""

import inspect
import re
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import Any

import numpy as np

from gpusim.errors import DeviceFault, GpusimError
from gpusim.kernels import AFFINE
from gpusim.ops import Alloc, Free, Op, Read
from gpusim.runtime import Buffer, Graph, Runtime, Ticket
from gpusim.simulated import open_device
from gpusim.text import write_op
from properties.clients.client import BrokenPromise, Client
from properties.clients.controls import CONTROLS
from properties.clients.forbidden import Row
from properties.clients.misuses import OF_A_RUNTIME
from properties.generate.choices import SeededChoices
from properties.model.target import Delivery
from properties.targets.runtime_target import RuntimeTarget

_LEAST_BYTES = 16
_MOST_BYTES = 1 << 13
"""With a larger buffer, a misuse that is not refused would take long."""


_TELLING = ("free", "sync")
"""No misuse comes before these ops: a ``free`` never reports a fault, and a ``sync`` that reports a
fault also settles reads."""


_LAMBDA = "lambda at: "
_MOST_TOLD = 4
_MOVING = ("a write", "a copy")
"""The first words of misuses that would move bytes, which ``stats()`` counts."""


class _Missing(Exception):
    """The program has nothing of the kind that a misuse needs."""


class _Scene:
    """What can be misused now; the table calls it ``at``."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.live: dict[str, Buffer] = {}
        self.freed: Buffer | None = None
        self.read: Ticket | None = None
        self._graphs: dict[Buffer, Graph] = {}

    @property
    def x(self) -> Buffer:
        return self._fitting(0)

    @property
    def y(self) -> Buffer:
        return self._fitting(1)

    def _fitting(self, place: int) -> Buffer:
        most = min(_MOST_BYTES, self.runtime.limits.max_binding_bytes)
        fitting = [one for one in self.live.values() if _LEAST_BYTES <= one.size_bytes <= most]
        if len(fitting) <= place:
            raise _Missing
        return fitting[-1 - place]

    @property
    def gone(self) -> Buffer:
        if self.freed is None:
            raise _Missing
        return self.freed

    @property
    def ticket(self) -> Ticket:
        """A read that is under way, since a finished read may be asked from any thread."""
        if self.read is None or self.read.done():
            raise _Missing
        return self.read

    @property
    def graph(self) -> Graph:
        """A capture of two dispatches, which is never replayed."""
        x = self.x
        if x not in self._graphs:
            with self.runtime.capture() as graph:
                self.runtime.dispatch(AFFINE, [x], (3, 1))
                self.runtime.dispatch(AFFINE, [x], (5, 2))
            self._graphs[x] = graph
        return self._graphs[x]

    @property
    def begun(self) -> Graph:
        return self.runtime.capture()

    @cached_property
    def _elsewhere(self) -> Runtime:
        return Runtime(open_device())

    @cached_property
    def foreign(self) -> Buffer:
        return self._elsewhere.alloc(_LEAST_BYTES, label="foreign")

    @cached_property
    def closed(self) -> Runtime:
        closed = Runtime(open_device())
        closed.close()
        return closed

    def close(self) -> None:
        """Release what this client made itself."""
        if "foreign" in vars(self):
            self._elsewhere.free(self.foreign)
            self._elsewhere.close()


def misuse_before(op: Op) -> Row | None:
    """The misuse that comes before ``op``, if any.

    The client skips it if the program does not yet have what the misuse needs.
    """
    choices = SeededChoices(f"misuse {write_op(op)}")
    if choices.chance(1, 2) and op.verb not in _TELLING:
        return choices.pick(OF_A_RUNTIME)
    return None


class MisusingClient(Client):
    """Misuses the runtime before about half of the ops."""

    def __init__(self, target: RuntimeTarget) -> None:
        super().__init__(target)
        self._scene = _Scene(target.runtime)

    def perform(self, op: Op) -> Delivery | None:
        """See ``Target``."""
        row = misuse_before(op)
        if row is not None:
            self._misuse(row)
        delivery = super().perform(op)
        self._note(op, delivery)
        return delivery

    def close(self) -> None:
        """Close the runtime, which then refuses every op."""
        self.target.close()
        self._scene.close()

    def _note(self, op: Op, delivery: Any) -> None:
        scene = self._scene
        if isinstance(op, Alloc):
            scene.live[op.buffer] = self.target.find(op.buffer)
        elif isinstance(op, Free):
            scene.freed = scene.live.pop(op.buffer)
        elif isinstance(op, Read):
            scene.read = delivery

    def _misuse(self, row: Row) -> None:
        name, misuse, error, says = row
        before, stats = _counted(self.target.runtime), self.target.runtime.stats()
        try:
            given = misuse(self._scene)
        except _Missing:
            return
        except DeviceFault:
            # Any call may raise a fault that no call has raised yet.
            raise
        except Exception as raised:
            self._judge(name, raised, error, says)
        else:
            same = self.target.runtime.stats() == stats
            did = " and no counter of stats() changed" if same else ""
            if same and given is None and name.startswith(_MOVING):
                did += ": it was dropped, and no bytes were moved"
            others = self._alike(row)
            raise BrokenPromise(f"{name} is not refused{_gave(misuse, given)}{did}{others}")
        if _counted(self.target.runtime) != before:
            raise BrokenPromise(f"{name} was refused, but changed something")

    def _alike(self, row: Row) -> str:
        """Which misuses of the same method, or of the same sort, are refused, and which are not."""
        own = _parts(row)
        ends: dict[bool, list[str]] = {False: [], True: []}
        for other in CONTROLS + OF_A_RUNTIME:
            if other is not row and any(map(str.__eq__, own, _parts(other))):
                with suppress(_Missing):
                    is_refused, shape = self._ends(other)
                    ends[is_refused].append(other[0] + shape)
        told = {"accepted too is": ends[False], "refused is": ends[True]}
        return "".join(
            f"; {words} {', '.join(names[:_MOST_TOLD])}" for words, names in told.items() if names
        )

    def _ends(self, row: Row) -> tuple[bool, str]:
        """Whether a misuse is refused; if not, also the shape of the array that it gave, if any."""
        try:
            value = _value(row[1](self._scene))
        except _Missing:
            raise
        except Exception as raised:
            return type(raised) is row[2], ""
        return False, f" (gave shape {value.shape})" if isinstance(value, np.ndarray) else ""

    def _judge(self, name: str, raised: Exception, error: type[GpusimError], says: str) -> None:
        if type(raised) is not error:
            raise BrokenPromise(f"{name} ends with {raised!r}, and not with {error.__name__}")
        pattern = says if "{x}" not in says else says.replace("{x}", re.escape(repr(self._scene.x)))
        if not re.search(f"(?s){pattern}", str(raised)):
            raise BrokenPromise(f"{name} is refused in a sentence without {pattern!r}: {raised}")


def _parts(row: Row) -> tuple[str, str]:
    """What is misused, and how: the first noun of a row's name, and what follows it."""
    words = row[0].split()
    first = 1 + (words[0] in ("a", "an"))
    return " ".join(words[:first]), " ".join(words[first:])


def _value(given: Any) -> Any:
    """What a call gave; of a read, its value."""
    # What should have been refused may fail in any way.
    with suppress(Exception):
        return given.result() if isinstance(given, Ticket) else given
    return given


def _gave(misuse: Callable[[Any], Any], given: Any) -> str:
    """The call of a misuse, and what it gave; of a read, the type and the shape of its value."""
    value, call = _value(given), "the call"
    with suppress(OSError, TypeError):
        source = " ".join(inspect.getsource(misuse).split())
        if source.startswith(_LAMBDA):
            call = source.removeprefix(_LAMBDA).rstrip(",")
    shape = f" of shape {value.shape}" if isinstance(value, np.ndarray) else ""
    return f": {call} gave {type(value).__name__}{shape}"


def _counted(runtime: Runtime) -> tuple[int, ...]:
    stats = runtime.stats()
    return stats.commands, stats.submits, stats.reads, stats.live_buffers, stats.live_bytes

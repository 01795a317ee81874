"""The target's end of the line protocol in Python: serves targets to a judge in another process.

It is for a runtime that needs another environment than the judge.  Nothing is judged here.
"""

import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gpusim.errors import GpusimError
from gpusim.ops import Op, Read, Sync
from gpusim.text import parse_op
from properties.model.target import Adapter, Delivery, Target
from properties.targets import wire
from properties.targets.adapters import as_target, check_target
from properties.targets.doors import AdapterDoors
from properties.targets.wire import (
    Answer,
    Failed,
    Ok,
    Raised,
    Ready,
    Value,
    parse_hello,
    write_answer,
    write_ready,
)

MakeTarget = Callable[[], Target | Adapter]


class _Server:
    """Carries out the lines of one judge, with a new target for each program."""

    def __init__(self, make_target: MakeTarget, answer: Callable[[Answer], None]) -> None:
        self._make_target = make_target
        self._answer = answer
        self._target: Target | None = None
        self._doors: Any = None
        self._reads: dict[str, Delivery] = {}
        self._untold: dict[str, Delivery] = {}
        """The reads whose values were not yet sent."""

    def carry_out(self, line: str) -> None:
        """Do what a line says, and answer it."""
        try:
            self._do(line)
        except Exception as error:
            self._answer(Raised(type(error).__name__, str(error), _details(error)))
        else:
            self._answer(Ok())

    def _do(self, line: str) -> None:
        verb, _, rest = line.strip().partition(" ")
        match verb:
            case wire.OPEN:
                self._open()
            case wire.CLOSE:
                self._opened.close()
            case wire.AWAIT:
                self._await(rest)
            case wire.SPOILT:
                self._doors.write_spoilt(parse_op(rest))
            case wire.INTO:
                array, _, read = rest.partition(" ")
                op: Any = parse_op(read)
                self._expect(op, self._doors.read_into(op, array))
            case wire.RECLAIM:
                self._doors.reclaim(rest)
            case wire.BEGIN:
                self._doors.begin_sync(rest)
            case wire.BESIDE:
                self._doors.sync_beside(rest.split()[0])
                self._tell_rest()
            case wire.END:
                self._doors.end_sync(rest)
                self._tell_rest()
            case _:
                self._issue(parse_op(line))

    def _open(self) -> None:
        self._reads.clear()
        self._untold.clear()
        self._target = as_target(self._make_target())
        self._doors = AdapterDoors(self._target)

    @property
    def _opened(self) -> Target:
        if self._target is None:
            raise RuntimeError(f"no program was opened (probably {wire.OPEN!r} was not sent)")
        return self._target

    def _issue(self, op: Op) -> None:
        delivery = self._opened.perform(op)
        if delivery is not None and isinstance(op, Read):
            self._expect(op, delivery)
        elif isinstance(op, Sync):
            self._tell_rest()

    def _expect(self, op: Read, delivery: Delivery) -> None:
        self._reads[op.result] = self._untold[op.result] = delivery
        delivery.add_done_callback(lambda done: self._deliver(op.result, done))

    def _tell_rest(self) -> None:
        """After a sync, send the values of reads that the target did not call back for.

        A target that promises ``orders_deliveries`` calls back for each read by itself.
        """
        if not self._opened.capabilities.orders_deliveries:
            for result, delivery in [*self._untold.items()]:
                self._deliver(result, delivery)

    def _await(self, result: str) -> None:
        # The value or the error is sent to the judge by ``_deliver``, not from here.
        with suppress(GpusimError):
            self._reads[result].result()

    def _deliver(self, result: str, delivery: Delivery) -> None:
        self._untold.pop(result, None)
        try:
            self._answer(Value(result, bytes(delivery.result())))
        except Exception as error:
            self._answer(Failed(result, type(error).__name__, str(error), _details(error)))


def _details(error: Exception) -> str:
    """The further lines of an error: a message of many lines, or the traceback of a crash."""
    if isinstance(error, GpusimError):
        return str(error) if "\n" in str(error) else ""
    return "".join(traceback.format_exception(error)).rstrip()


def serve(start: Callable[[str], MakeTarget]) -> None:
    """Serve the judge at the other end of this process's input and output, until it hangs up.

    ``start`` is called once, with the name of the device; it returns a function that makes a new
    target for each program.
    """
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    # What else is printed goes to the error output, so that it does not mix with the answers.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        make_target = start(str(parse_hello(sys.stdin.readline())["device"]))
        first = make_target()
        check_target(first)
        ready = write_ready(Ready(capabilities=first.capabilities, limits=first.limits))
        first.close()
    except Exception as error:
        out.write(write_answer(Raised(type(error).__name__, str(error), _details(error))) + "\n")
        out.close()
        raise SystemExit(1) from None
    print(ready, file=out, flush=True)
    server = _Server(make_target, lambda answer: print(write_answer(answer), file=out))
    for line in sys.stdin:
        server.carry_out(line)
        out.flush()

"""The words of refusals: a message names the buffers, offsets, sizes and limits that it is about.

The reference refuses the same op with a message of its own.  Everything that the runtime's message
names must stand in the reference's message, in the same order; the reference's may name more.  What
a message says after "probably" is a guess, and is ignored.  The message of a fault is not checked,
since only the device knows it.  Nothing here compares errors or values.
"""

import re
from collections.abc import Collection, Mapping

from gpusim.history import History, Outcome
from gpusim.ops import Alloc, Free
from gpusim.program import Program
from gpusim.text import write_op
from properties.model.failure import Failure, FailureKind

_GRAPH = re.compile(r"<graph[^>]*>")
_HANDLE = re.compile(r"<(\w+), (-?\d+) bytes(, freed)?>")
_FACT = re.compile(r"<\w+>|(?<![\w.=])-?\d+(?![\w.])")


def judge_words(
    program: Program, expected: History, got: History, met: Collection[str] = ()
) -> Failure | None:
    """The first refusal in ``got`` whose message is about something else than the expected message.

    Both histories have the same errors.  A message of ``got`` calls a buffer ``<a, 16 bytes>``, and
    one of ``expected`` calls it ``<a>``.

    ``met``: the error classes of the device's faults.  A later op may raise a fault that no call
    has raised yet.  If that op is to be refused with an error of the same class, the message may be
    the fault's and not the refusal's.  So refusals of these classes are not checked.
    """
    sizes: dict[str, int] = {}
    if not any([outcome.error for outcome in got.outcomes]):
        return None
    for position, (op, shown) in enumerate(zip(program.ops, got.outcomes, strict=True)):
        if shown.error is None:
            if type(op) is Alloc:
                sizes[op.buffer] = op.size_bytes
            elif type(op) is Free:
                sizes[op.buffer] = -1 - sizes[op.buffer]
            continue
        if shown.error in met:
            continue
        words = _said(expected.outcomes[position]), _GRAPH.sub("", _said(shown))
        reason = _wrong(*words, sizes) if all(words) else ""
        if reason:
            return Failure(
                kind=FailureKind.WORDS,
                trait=shown.error,
                position=position,
                op=write_op(op),
                reason=reason,
                sides=(("expected", words[0]), ("got", words[1])),
            )
    return None


def _said(outcome: Outcome) -> str:
    """What a message says before its guess; empty if nothing is known of it."""
    return "" if outcome.raised is None else outcome.raised.message.partition(" (probably")[0]


def _wrong(meant: str, shown: str, sizes: Mapping[str, int]) -> str:
    """What is wrong with the words of a refusal; empty if nothing is."""
    for name, size, freed in _HANDLE.findall(shown):
        known = sizes.get(name, 0)
        if (int(size), bool(freed)) != (known if known >= 0 else -1 - known, known < 0):
            return f"<{name}, {size} bytes{freed}> is none of the program's buffers"
    named = _FACT.findall(meant)
    rest = iter(named)
    for fact in _FACT.findall(_HANDLE.sub(r"<\1>", shown)):
        if fact not in rest:
            return f"it names {fact}; it should be about {', '.join(named)}, in this order"
    return ""

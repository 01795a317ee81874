"""The words of errors: a message names the buffers, offsets, sizes and limits that it is about.

The reference refuses the same op with a message of its own.  Everything that the runtime's message
names must stand in the reference's message, in the same order; the reference's may name more.  What
a message says after "probably" is a guess, and is ignored.

The message of a fault says which call on the driver failed.  If it names what the call was about,
such as the number of commands, a call that failed must have been about that.  Only the device knows
the rest of the message.  Nothing here compares errors or values.
"""

import re
from collections.abc import Collection, Mapping

from gpusim.history import History, Outcome
from gpusim.ops import Alloc, Free
from gpusim.program import Program
from gpusim.text import write_op
from gpusim.trace import Trace
from properties.model.failure import Failure, FailureKind

_GRAPH = re.compile(r"<graph[^>]*>")
_HANDLE = re.compile(r"<(\w+), (-?\d+) bytes(, freed)?>")
_FACT = re.compile(r"<\w+>|(?<![\w.=])-?\d+(?![\w.])")
_OF_FAULTS = {
    "encode": (re.compile(r"cannot encode a batch of (\d+) commands "), ("commands",)),
    "create_buffer": (
        re.compile(r"cannot create a (\w+) buffer of (\d+) bytes "),
        ("role", "size_bytes"),
    ),
    "create_bind_group": (re.compile(r"cannot bind buffers for (\w+) "), ("kernel",)),
    "compile": (re.compile(r"cannot compile kernel (\w+) "), ("kernel",)),
}
"""For each verb: how the message of its fault begins, and the details of the ``failed`` event that
the message names."""


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


def judge_fault_words(program: Program, got: History, trace: Trace) -> Failure | None:
    """The first fault in ``got`` whose message is about a call that did not fail in ``trace``."""
    if not trace.failures:
        return None
    for position, outcome in enumerate(got.outcomes):
        said = _said(outcome)
        verb, about = _call_of(said) if said else ("", ())
        met = _failed(trace, verb) if verb else None
        if met is None or about in met:
            continue
        return Failure(
            kind=FailureKind.WORDS,
            trait=verb,
            position=position,
            op=write_op(program[position]),
            reason=f"no call of {verb} that failed was about {' '.join(about)}",
            sides=(("failed calls", "; ".join(map(" ".join, met)) or "none"), ("got", said)),
        )
    return None


def _call_of(said: str) -> tuple[str, tuple[str, ...]]:
    """The verb whose faults have messages like ``said``, and what ``said`` names; empty if none."""
    for verb, (pattern, _) in _OF_FAULTS.items():
        found = pattern.match(said)
        if found:
            return verb, found.groups()
    return "", ()


def _failed(trace: Trace, verb: str) -> list[tuple[str, ...]] | None:
    """What the failed calls of a verb were about; None if a drain failed.

    A drain makes calls that no event shows.
    """
    failed = [event for event in trace if event.kind == "failed"]
    if any([event["verb"] == "drain" for event in failed]):
        return None
    names = _OF_FAULTS[verb][1]
    return [tuple([str(one[name]) for name in names]) for one in failed if one["verb"] == verb]


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

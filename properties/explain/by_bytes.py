"""Adds to an argument what wrong bytes tell: which op went wrong, and where they came from."""

from dataclasses import replace

from gpusim.errors import InvalidHandle
from gpusim.text import write_op
from properties.explain.argument import Argument, ByteStory, Crossing
from properties.explain.carried import tell_when
from properties.explain.clocks import Traced
from properties.explain.hypothesis import Hypothesis
from properties.explain.search import Shown
from properties.explain.weighing import CROSSING, SILENT, distinct, doubt
from properties.explain.writers import stories
from properties.model.failure import Failure
from properties.oracles.judge import Verdict
from properties.oracles.laws.catalogue import A9, A12


def by_bytes(
    argument: Argument,
    shown: Shown,
    failure: Failure,
    found: tuple[Hypothesis, ...],
    traced: Traced,
) -> Argument:
    """Adds the best mistake of ``found`` to the argument, and where the wrong bytes came from.

    ``found``: the mistakes that explain what came back, the best first.
    """
    got = shown.got.outcomes[failure.position].data
    bytes_ = stories(shown.scene, failure, got) if got is not None else ()
    if not found:
        return _unfound(replace(argument, bytes=bytes_), bytes_)
    best = found[0]
    crossing = None
    if best.kind in CROSSING:
        crossing = Crossing(earlier=best.culprit, later=best.other)
    facts = tell_when(best, argument.program, traced)
    facts = facts if crossing else (*facts, *_told(bytes_))
    if best.kind == "poisoned":
        raised = shown.got.outcomes[best.culprit].error
        end = (
            f"raised {raised} when it was called" if raised else "raised nothing when it was called"
        )
        facts = (f"op {best.culprit} {end}", *facts)
    why = f", {best.why}" if best.why else ""
    sentence = best.sentence
    if best.kind == "given":
        # Every read was given wrong bytes.  The sentence is to name the read that failed.
        sentence = f"op {failure.position} ({failure.op}){sentence.partition(')')[2]}"
    return replace(
        argument,
        sentence=sentence + why,
        facts=(*facts, *argument.facts),
        rule=best.rule,
        culprit=best.other if crossing else best.culprit,
        crossing=crossing,
        lost=_lost(best),
        bytes=bytes_,
        others=tuple(distinct(best, found[1:], is_sure=doubt(best, traced) < SILENT)),
    )


def _lost(found: Hypothesis) -> tuple[int, ...]:
    """The ops that had no effect under the mistake: one, those of a lost batch, or none."""
    last = {"omitted": found.culprit, "lost": found.other}.get(found.kind, -1)
    return tuple(range(found.culprit, last + 1))


def is_accepted(verdict: Verdict, failure: Failure, found: tuple[Hypothesis, ...]) -> bool:
    """Whether the failing op was wrongly accepted, and the best mistake says no more than that.

    It says more if a freed handle reached another buffer.  An op that uses a freed buffer and is
    refused for another reason was accepted as far as its buffers go.
    """
    at = failure.position
    shown, refused = (
        verdict.execution.history.outcomes[at].error,
        verdict.expected.outcomes[at].error,
    )
    accepted = shown is None or refused == InvalidHandle.__name__
    return accepted and refused is not None and not (found and found[0].kind == "stale")


def _unfound(argument: Argument, bytes_: tuple[ByteStory, ...]) -> Argument:
    """Adds what the wrong bytes tell although no single mistake explains them."""
    if not bytes_:
        return argument
    facts = tuple(_told(bytes_))
    program = argument.program
    if all(story.writer < 0 for story in bytes_):
        name = bytes_[0].buffer
        made = next(
            n for n, op in enumerate(program) if op.verb == "alloc" and name in write_op(op).split()
        )
        sentence = f"op {made} ({write_op(program[made])}) made a buffer that is not zero"
        return replace(argument, sentence=sentence, facts=facts, rule=A12, culprit=made)
    first = bytes_[0]
    if first.source.startswith(f"what op {first.writer} "):
        sentence = (
            f"op {first.writer} ({write_op(program[first.writer])}) put its bytes at other places"
        )
        return replace(argument, sentence=sentence, facts=facts, rule=A9, culprit=first.writer)
    return replace(argument, facts=(*facts, *argument.facts))


def _told(bytes_: tuple[ByteStory, ...]) -> list[str]:
    """The first wrong byte, in words."""
    if not bytes_:
        return []
    first = bytes_[0]
    wrote = f"op {first.writer} wrote it last" if first.writer >= 0 else "nothing wrote it"
    came = f", {first.source}" if first.source else ""
    return [
        f"byte {first.byte} of {first.buffer} should be {first.meant:02x} ({wrote}); "
        f"{first.shown:02x} came back{came}"
    ]

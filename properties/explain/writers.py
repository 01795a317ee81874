"""What wrong bytes tell: which op wrote each last, where they came from, and which op went wrong.

To see which bytes a dispatch writes, it is run twice, over different bytes.  A byte that changes in
either run was written.
"""

from collections.abc import Mapping
from dataclasses import replace

from gpusim.effects import accesses
from gpusim.errors import GpusimError, InvalidHandle
from gpusim.ops import Alloc, AnyDispatch, Op, Read
from gpusim.text import write_op
from properties.explain.argument import Argument, ByteStory, Crossing
from properties.explain.carried import tell_when
from properties.explain.clocks import Traced
from properties.explain.hypothesis import Hypothesis, named
from properties.explain.scene import NOBODY, Scene
from properties.explain.search import Shown
from properties.explain.weighing import CROSSING, SILENT, distinct, doubt
from properties.model.failure import Failure
from properties.oracles.judge import Verdict
from properties.oracles.laws.catalogue import A9, A12
from reference import Reference

_MOST_BYTES = 64
_LEAST_ALIKE = 3
"""A piece with fewer bytes, or fewer different ones, may stand elsewhere by chance."""
_FLIP = bytes(255 - value for value in range(256))


def stories(scene: Scene, failure: Failure, got: bytes) -> tuple[ByteStory, ...]:
    """The wrong bytes of the read that failed, at most the first sixty-four."""
    op = scene.program[failure.position]
    at = next((n for n, step in enumerate(scene.steps) if step.position == failure.position), None)
    meant = scene.expected.outcomes[failure.position].data
    if not isinstance(op, Read) or at is None or meant is None:
        return ()
    wrong = [n for n, (one, other) in enumerate(zip(meant, got, strict=False)) if one != other]
    writers = _writers(scene, at, op.buffer)
    return tuple(
        ByteStory(
            buffer=op.buffer,
            byte=op.offset + n,
            meant=meant[n],
            shown=got[n],
            writer=writers[op.offset + n] if op.offset + n < len(writers) else NOBODY,
            source=_source(scene, got, n),
        )
        for n in wrong[:_MOST_BYTES]
    )


def _writers(scene: Scene, end: int, buffer: str) -> list[int]:
    """The number of the op that last wrote each byte of ``buffer`` before step ``end``."""
    found: list[int] = []
    for at, step in enumerate(scene.steps[:end]):
        if scene.is_refused(step):
            continue
        if isinstance(step.op, Alloc) and step.op.buffer == buffer:
            found = [NOBODY] * step.op.size_bytes
        for byte in _written(scene, at, step.op, buffer):
            if byte < len(found):
                found[byte] = step.number
    return found


def _written(scene: Scene, at: int, op: Op, buffer: str) -> range | list[int]:
    """The bytes of ``buffer`` that a step writes."""
    touched = [each for each in accesses(op, scene.kernels) if each.buffer == buffer]
    written = next((range(each.start, each.end) for each in touched if each.writes), range(0))
    if not written or not isinstance(op, AnyDispatch):
        return written
    before, after = scene.states[at], scene.states[at + 1].get(buffer, b"")
    flipped = before[buffer].translate(_FLIP)
    other = _after(scene, {**before, buffer: flipped}, op, buffer)
    if other is None:
        return range(len(after))
    pairs = enumerate(zip(after, other, before[buffer], flipped, strict=False))
    return [n for n, (one, two, old, turned) in pairs if one != old or two != turned]


def _after(scene: Scene, state: Mapping[str, bytes], op: Op, buffer: str) -> bytes | None:
    """What ``op`` leaves in ``buffer`` if all buffers hold ``state``; None if it is refused."""
    reference = Reference(scene.kernels, scene.limits)
    try:
        for name, data in state.items():
            reference.alloc(name, len(data))
            reference.write(name, data, 0)
        reference.perform(op)
        return reference.read(buffer, 0, len(state[buffer])).data
    except GpusimError:
        return None


def _source(scene: Scene, got: bytes, at: int) -> str:
    """Where the bytes ``got[at:]``, eight at most, first stood; empty if nowhere.

    The step that left them there may be one after the read, since it may have overtaken the read.
    """
    piece = got[at : at + 8]
    if len(piece) < _LEAST_ALIKE or len(set(piece)) < _LEAST_ALIKE:
        return ""
    for time, step in enumerate(scene.steps):
        for name, data in scene.states[time + 1].items():
            if data == scene.states[time].get(name):
                continue
            place = data.find(piece)
            if place >= 0:
                return f"what {named(step)} left at byte {place} of {name}"
    return ""


def by_bytes(
    argument: Argument,
    shown: Shown,
    failure: Failure,
    found: tuple[Hypothesis, ...],
    traced: Traced,
    needed: tuple[int, ...],
) -> Argument:
    """Adds the best mistake of ``found`` to the argument, and where the wrong bytes came from.

    ``found``: the mistakes that explain what came back, the best first.  ``needed``: the
    ops without which the case passes.
    """
    got = shown.got.outcomes[failure.position].data
    bytes_ = stories(shown.scene, failure, got) if got is not None else ()
    if not found:
        return _unfound(replace(argument, bytes=bytes_), bytes_, needed)
    best, crossing = found[0], None
    if best.kind in CROSSING:
        crossing = Crossing(earlier=best.culprit, later=best.other)
    facts = tell_when(best, argument.program, traced)
    facts = facts if crossing else (*facts, *_told(bytes_))
    if best.kind == "poisoned":
        raised = shown.got.outcomes[best.culprit].error or "nothing"
        facts = (f"op {best.culprit} raised {raised} when it was called", *facts)
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

    It says more if a freed handle reached another buffer.  An op that uses a freed buffer counts as
    accepted even if the runtime refused it for another reason.
    """
    shown = verdict.execution.history.outcomes[failure.position].error
    refused = verdict.expected.outcomes[failure.position].error
    accepted = shown is None or refused == InvalidHandle.__name__
    return accepted and refused is not None and not (found and found[0].kind == "stale")


def _unfound(
    argument: Argument, bytes_: tuple[ByteStory, ...], needed: tuple[int, ...]
) -> Argument:
    """Adds what the wrong bytes tell although no single mistake explains them."""
    if not bytes_:
        return argument
    facts, program, first = tuple(_told(bytes_)), argument.program, bytes_[0]
    if all(story.writer < 0 for story in bytes_):
        at = next(
            n for n, op in enumerate(program) if isinstance(op, Alloc) and op.buffer == first.buffer
        )
        if any(at < each for each in needed):
            # Without an op after the alloc it passes, so the alloc alone made no such buffer.
            return replace(argument, facts=(*facts, *argument.facts))
        said, rule = "made a buffer that is not zero", A12
    elif first.source.startswith(f"what op {first.writer} "):
        at, said, rule = first.writer, "put its bytes at other places", A9
    else:
        return replace(argument, facts=(*facts, *argument.facts))
    sentence = f"op {at} ({write_op(program[at])}) {said}"
    return replace(argument, sentence=sentence, facts=facts, rule=rule, culprit=at)


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

"""Hypotheses about operands: a dispatch used another op's scalars, kernel, buffers, parts or grid.

These are the mistakes of caches, pools and rounding.  A dispatch may have an old bind group, or the
scalars of another dispatch, or a part whose offset or size was rounded; or it runs over more or
fewer groups, or over a grid that was read too early or at another place.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import permutations, product

from gpusim.limits import WORD_BYTES
from gpusim.ops import (
    GRID_BYTES,
    Alloc,
    AnyDispatch,
    Bound,
    Capture,
    Dispatch,
    DispatchIndirect,
    Flush,
    Free,
    Part,
    Scalars,
    Sync,
    name_of,
)
from gpusim.text import write_bound
from properties.explain import rules
from properties.explain.hypothesis import ALIGNMENTS, Hypothesis, named, quoted, with_ops, without
from properties.explain.scene import Scene, Step, Steps
from properties.oracles.laws.catalogue import B1, B3, E3, E5, Law

_MOST_BINDINGS = 4
"""A dispatch with at most so many buffers is tried with them in every order."""
Grid = tuple[int, int, int]


def _dispatches(scene: Scene) -> Iterator[tuple[int, AnyDispatch]]:
    """The dispatches, each with its place among the steps."""
    for at, step in enumerate(scene.steps):
        if isinstance(step.op, AnyDispatch):
            yield at, step.op


def scalars(scene: Scene) -> Iterator[Hypothesis]:
    """Dispatches with another call's scalars, with zeros for scalars, or with scalars reversed."""
    for at, op in _dispatches(scene):
        # A dispatch with a wrong number of scalars is refused, whatever they are.
        if op.scalars and len(op.scalars) == len(scene.kernels[op.kernel].scalars):
            for given, said, other, detail in _other_scalars(scene, at, op):
                instead = replace(op, scalars=given)
                yield with_ops(scene, at, instead, "scalars", B1, f"ran {said}", other, detail)


def _other_scalars(
    scene: Scene, at: int, op: AnyDispatch
) -> Iterator[tuple[Scalars, str, int, str]]:
    """Yields other scalars, with words that say whose they are, the op they are from, and a detail.

    The op is -1 if they are from none.  The detail distinguishes these scalars from the others.
    """
    step, own = scene.steps[at], op.scalars
    for other in _with_captured(scene):
        is_own = (other.position, other.command) == (step.position, step.command)
        if not isinstance(other.op, AnyDispatch) or is_own:
            continue
        given = _fit(other.op.scalars, op, scene)
        if given not in (None, own):
            said = f"with the scalars of {named(other)} ({_listed(given)}), and not its own"
            yield given, said, other.number, str(other.command)
    zeros = tuple(type(one)(0) for one in own)
    yield zeros, "with scalars that are all zero, and not its own", -1, "zero"
    for place, one in enumerate(own if len(own) > 1 else ()):
        if one:
            name = scene.kernels[op.kernel].scalars[place].name
            less = (*own[:place], zeros[place], *own[place + 1 :])
            yield less, f"with its scalar {name} as zero", -1, f"zero {place}"
    if len(own) > 1:
        yield own[::-1], "with its scalars in another order", -1, "turned"


def slots(scene: Scene) -> Iterator[Hypothesis]:
    """Batches in which slots for scalars were used again too early, after some dispatches.

    All dispatches of a slot run with the scalars that it got last.  The slots that were used once
    keep their scalars, or are not uploaded and hold zeros.
    """
    for batch in _batches(scene):
        for count, zeros in product(range(len(batch) - 1, 0, -1), (False, True)):
            steps = _sharing(scene, batch, count, zeros=zeros)
            if steps is None or (zeros and len(batch) % count == 0):
                continue
            first, again = (scene.steps[batch[n]] for n in (0, (len(batch) - 1) // count * count))
            assert isinstance(again.op, AnyDispatch)
            lost = ", and the slots that were used once held zeros" if zeros else ""
            yield Hypothesis(
                kind="slots",
                culprit=first.number,
                other=again.number,
                detail=f"{first.command} {count} {zeros}",
                sentence=f"{quoted(first)} ran with the scalars of {named(again)} "
                f"({_listed(again.op.scalars)}), as if slots for scalars were used again after "
                f"{count} dispatches of a batch{lost}",
                rule=B3,
                steps=steps,
            )


def _batches(scene: Scene) -> Iterator[list[int]]:
    """The places of the dispatches with scalars, up to each flush or sync and up to the end."""
    batch: list[int] = []
    for at, step in enumerate(scene.steps):
        if isinstance(step.op, AnyDispatch) and step.op.scalars:
            batch.append(at)
        if isinstance(step.op, Flush | Sync):
            yield batch
            batch = []
    yield batch


def _sharing(scene: Scene, batch: list[int], count: int, *, zeros: bool) -> Steps | None:
    """The steps if the dispatches at ``batch`` share ``count`` slots; None if some do not fit."""
    steps, end = list(scene.steps), len(batch)
    for n, at in enumerate(batch):
        op, last = steps[at].op, scene.steps[batch[n + (end - 1 - n) // count * count]].op
        assert isinstance(op, AnyDispatch)
        assert isinstance(last, AnyDispatch)
        given = _fit(last.scalars, op, scene)
        if given is None:
            return None
        if zeros and n % count > (end - 1) % count:
            given = tuple(type(one)(0) for one in given)
        steps[at] = steps[at]._replace(op=replace(op, scalars=given))
    return tuple(steps)


def _with_captured(scene: Scene) -> list[Step]:
    """The commands of every capture, each as a step, and after them the steps of the scene."""
    captured = [
        Step(step.position, command, number, step.number)
        for step in scene.steps
        if isinstance(step.op, Capture)
        for number, command in enumerate(step.op.commands)
    ]
    return [*captured, *scene.steps]


def _fit(given: Scalars, op: AnyDispatch, scene: Scene) -> Scalars | None:
    """As many of ``given`` as ``op`` has scalars; None if they are too few or of other types."""
    fitting = given[: len(op.scalars)]
    types = [float if each.is_float else int for each in scene.kernels[op.kernel].scalars]
    return fitting if [type(one) for one in fitting] == types else None


def _listed(values: Iterable[object]) -> str:
    return ",".join(map(str, values))


def bindings(scene: Scene) -> Iterator[Hypothesis]:
    """Dispatches over other buffers or parts, or with another kernel."""
    for at, op in _dispatches(scene):
        tried = {op.buffers}
        for bound, said, number, detail in _other_buffers(scene, at, op):
            if bound not in tried:
                tried.add(bound)
                instead = replace(op, buffers=bound)
                yield with_ops(scene, at, instead, "buffers", E5, f"bound {said}", number, detail)
        for bound, rule, said in _other_places(scene, op):
            yield with_ops(scene, at, replace(op, buffers=bound), "part", rule, said)
        for other in scene.steps:
            given = _with_kernel_of(other, op, scene)
            if given is not None:
                said = f"ran kernel {given.kernel}, which is that of {named(other)}"
                yield with_ops(scene, at, given, "kernel", E5, said, other.number, "")


def _with_kernel_of(other: Step, op: AnyDispatch, scene: Scene) -> AnyDispatch | None:
    """The dispatch ``op`` with the kernel of ``other``; None if it is the same or does not fit."""
    if not isinstance(other.op, AnyDispatch) or other.op.kernel == op.kernel:
        return None
    kernel = scene.kernels[other.op.kernel]
    if len(kernel.buffers) != len(op.buffers):
        return None
    # The other kernel takes its scalars from this payload, which may end with the count of groups.
    groups = math.prod(op.grid) if isinstance(op, Dispatch) else 0
    payload = (*op.scalars, groups, *(0 for _ in kernel.scalars))
    given = list(zip(payload, kernel.scalars, strict=False))
    if not all(scalar.is_float or math.isfinite(one) for one, scalar in given):
        return None
    values = tuple(float(one) if scalar.is_float else int(one) for one, scalar in given)
    return replace(op, kernel=other.op.kernel, scalars=values)


def _other_buffers(
    scene: Scene, at: int, op: AnyDispatch
) -> Iterator[tuple[tuple[Bound, ...], str, int, str]]:
    """Yields other bindings, with words that describe them, the op they are from, and a detail.

    The op is -1 if they are from none.  The detail distinguishes these bindings from the others.
    """
    for other in scene.steps:
        if isinstance(other.op, AnyDispatch) and len(other.op.buffers) == len(op.buffers):
            bound = other.op.buffers
            said = f"{_shown(bound)}, as {named(other)} did, and not its own buffers"
            yield bound, said, other.number, ""
    if 1 < len(op.buffers) <= _MOST_BINDINGS:
        for bound in permutations(op.buffers):
            order = str([op.buffers.index(one) for one in bound])
            yield bound, f"its buffers in another order, {_shown(bound)}", -1, order
    for place, own in enumerate(op.buffers):
        for name in scene.states[at]:
            instead = name if isinstance(own, str) else own._replace(buffer=name)
            bound = (*op.buffers[:place], instead, *op.buffers[place + 1 :])
            yield bound, f"{name} instead of {name_of(own)}", -1, f"{place} {name}"


def freed(scene: Scene) -> Iterator[Hypothesis]:
    """Dispatches over a freed buffer that an earlier dispatch of the same kernel bound."""
    for at, op in _dispatches(scene):
        step, ahead, later = scene.steps[at], scene.steps[:at], scene.steps[at + 1 :]
        for other in ahead:
            before = other.op
            if not isinstance(before, AnyDispatch) or before.kernel != op.kernel:
                continue
            bound = before.buffers
            gone = [name_of(one) for one in bound if name_of(one) not in scene.states[at]]
            if not gone or len(bound) != len(op.buffers):
                continue
            frees = [s for s in ahead if isinstance(s.op, Free) and s.op.buffer in gone]
            kept = [each for each in ahead if each not in frees]
            over = step._replace(op=replace(op, buffers=bound))
            # Either the dispatch works on the freed buffer's bytes, or it shows no effect.
            for detail, steps in (
                ("kept", (*kept, over, *frees, *later)),
                ("freed", without(scene.steps, at)),
            ):
                yield Hypothesis(
                    kind="buffers",
                    culprit=step.number,
                    other=other.number,
                    detail=detail,
                    sentence=f"{quoted(step)} bound {_shown(bound)}, as {named(other)} did, and "
                    f"not its own buffers; {gone[0]} was freed",
                    rule=E3,
                    steps=steps,
                )


def _shown(bound: Iterable[Bound]) -> str:
    return ",".join(map(write_bound, bound))


def _other_places(scene: Scene, op: AnyDispatch) -> Iterator[tuple[tuple[Bound, ...], Law, str]]:
    """Each binding in turn at another place of its buffer."""
    sizes = {each.buffer: each.size_bytes for each in scene.program if isinstance(each, Alloc)}
    for place, own in enumerate(op.buffers):
        size = sizes[name_of(own)]
        if isinstance(own, str):
            rule, places = rules.WORDS, _places_of_whole(own, size)
        else:
            rule, places = rules.PART, _places_of_part(own, size)
        for instead, said in places:
            yield (*op.buffers[:place], instead, *op.buffers[place + 1 :]), rule, said


def _places_of_whole(name: str, size: int) -> Iterator[tuple[Bound, str]]:
    whole = size // WORD_BYTES * WORD_BYTES
    for words in (1, 2, 4, 16, 64):
        some = words * WORD_BYTES
        if whole > some:
            yield Part(name, 0, whole - some), f"was given {name} without its last {words} words"
            yield Part(name, 0, some), f"was given only the first {words} words of {name}"


def _places_of_part(own: Part, size: int) -> Iterator[tuple[Bound, str]]:
    name, start, length = own
    if start:
        said = f"bound bytes 0 to {length - 1} of {name}, the right number from the wrong place"
        yield Part(name, 0, length), said
    for align in ALIGNMENTS:
        longer, low = -(-length // align) * align, start // align * align
        if longer > length and start + longer <= size:
            said = f"bound a part whose size was rounded up to a multiple of {align} bytes"
            yield Part(name, start, longer), said
        if low < start:
            said = f"bound a part whose start was rounded down to a multiple of {align} bytes"
            yield Part(name, low, length), said
    if start + length < size:
        yield Part(name, start, size - start), f"bound {name} up to its end"
    yield name, f"bound all of {name} instead of a part"


def grids(scene: Scene) -> Iterator[Hypothesis]:
    """Dispatches over another number of groups, and indirect ones over another grid."""
    for at, op in _dispatches(scene):
        if isinstance(op, Dispatch):
            groups = math.prod(op.grid)
            for grid, said in _other_grids(scene, at, op.grid):
                other, instead = math.prod(grid), replace(op, grid=grid)
                if other != groups:
                    how = f"{said}: {other} groups and not {groups}"
                    yield with_ops(scene, at, instead, "grid", rules.GRID, how, detail=said)
        else:
            for grid, (said, number) in _other_counts(scene, at, op).items():
                how, kernel = f"{said}: {'x'.join(map(str, grid))}", op.kernel
                direct = Dispatch(kernel=kernel, buffers=op.buffers, scalars=op.scalars, grid=grid)
                yield with_ops(scene, at, direct, "counts", rules.INDIRECT, how, number, said)


def _other_grids(scene: Scene, at: int, own: Grid) -> Iterator[tuple[Grid, str]]:
    most, groups = scene.limits.max_groups_per_dimension, math.prod(own)
    x, y, z = own
    for other in scene.steps:
        if isinstance(other.op, Dispatch) and other.op.grid != own:
            yield other.op.grid, f"ran over the grid of {named(other)}"
        elif isinstance(other.op, DispatchIndirect):
            found = _grid_in(scene.states[at].get(other.op.counts, b""), other.op.offset)
            if found is not None:
                yield found, f"ran over the grid that {named(other)} reads"
    fewer = "ran one group too few" if groups > 1 else "ran over no groups, as if it was lost"
    if groups:
        yield (groups - 1, 1, 1), fewer
    else:
        yield (1, 1, 1), "ran, though its grid has a zero"
    yield (groups + 1, 1, 1), "ran one group too many"
    yield (min(x, most), min(y, most), min(z, most)), "ran over a grid that was cut to the limit"
    yield (max(x, 1), max(y, 1), max(z, 1)), "ran as if a zero in its grid were a one"
    yield (x, 1, 1), "ran over the first dimension of its grid alone"
    yield (x, y, 1), "ran over two dimensions of its grid"
    box = math.prod(min(side, most) for side in (groups, -(-groups // most)))
    yield (box, 1, 1), "ran over all groups of the larger grid into which its own was spread"


def _other_counts(scene: Scene, at: int, op: DispatchIndirect) -> dict[Grid, tuple[str, int]]:
    """Grids from another time or place in the buffer, or of another dispatch.

    Each grid comes with words for it, and the op that takes part; -1 if none does.
    """
    found: dict[Grid, tuple[str, int]] = {}
    counts = scene.states[at].get(op.counts, b"")
    own = _grid_in(counts, op.offset)

    def found_in(data: bytes, offset: int, said: str, number: int = -1) -> None:
        grid = _grid_in(data, offset)
        if grid not in (None, own):
            found.setdefault(grid, (said, number))

    found_in(counts, 0, "read its grid from the start of its buffer")
    words = "read its grid at four times its offset, as if that were in words"
    found_in(counts, 4 * op.offset, words)
    for time, state in enumerate(scene.states):
        before = time <= at
        near = scene.steps[time if before else time - 1]
        when = f"{'before' if before else 'after'} {named(near)} wrote it"
        said = f"read its grid as it was {when}"
        found_in(state.get(op.counts, b""), op.offset, said, near.number)
    for other in scene.steps:
        if isinstance(other.op, DispatchIndirect) and other.op != op:
            data = scene.states[at].get(other.op.counts, b"")
            said = f"read its grid where {named(other)} reads its own"
            found_in(data, other.op.offset, said, other.number)
        elif isinstance(other.op, Dispatch) and other.op.grid != own:
            found.setdefault(other.op.grid, (f"ran over the grid of {named(other)}", other.number))
    found.setdefault((1, 1, 1), ("ran over one group, whatever its grid", -1))
    return found


def _grid_in(data: bytes, offset: int) -> Grid | None:
    piece = data[offset : offset + GRID_BYTES]
    if len(piece) < GRID_BYTES:
        return None
    x, y, z = (int.from_bytes(piece[n : n + WORD_BYTES], "little") for n in (0, 4, 8))
    return x, y, z

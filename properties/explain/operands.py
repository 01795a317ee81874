"""Hypotheses about operands: a dispatch used another op's scalars, kernel, buffers or parts.

These are the mistakes of caches, pools and rounding.  A dispatch may have an old bind group, or the
scalars of another dispatch, or a part whose offset or size was rounded.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import permutations

from gpusim.limits import WORD_BYTES
from gpusim.ops import (
    Alloc,
    AnyDispatch,
    Bound,
    Capture,
    Dispatch,
    Free,
    Part,
    Scalars,
    name_of,
)
from gpusim.text import write_bound
from properties.explain import rules
from properties.explain.hypothesis import ALIGNMENTS, Hypothesis, named, quoted, with_op, without
from properties.explain.scene import Scene, Step
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.catalogue import Law

_MOST_BINDINGS = 4
"""The most buffers whose orders are all tried."""


def scalars(scene: Scene) -> Iterator[Hypothesis]:
    """Dispatches with another call's scalars, with zeros for scalars, or with scalars reversed."""
    dispatches = [step for step in _with_captured(scene) if isinstance(step.op, AnyDispatch)]
    for at, step in enumerate(scene.steps):
        op = step.op
        if not isinstance(op, AnyDispatch) or not op.scalars:
            continue
        if len(op.scalars) != len(scene.kernels[op.kernel].scalars):
            # This number of scalars is refused, whatever their values are.
            continue
        for other in dispatches:
            assert isinstance(other.op, AnyDispatch)
            given = _fit(other.op.scalars, op, scene)
            if other.position == step.position and other.command == step.command:
                continue
            if given is None or given == op.scalars:
                continue
            whose = f"the scalars of {named(other)}"
            said = f"ran with {whose} ({_listed(given)}), and not its own"
            yield with_op(
                scene, at, replace(op, scalars=given), "scalars", laws.B1, said, other.number,
                str(other.command),
            )  # fmt: skip
        zeros = tuple(type(one)(0) for one in op.scalars)
        yield with_op(
            scene, at, replace(op, scalars=zeros), "scalars", laws.B1,
            "ran with scalars that are all zero, and not its own", detail="zero",
        )  # fmt: skip
        for place, own in enumerate(op.scalars):
            less = (*op.scalars[:place], type(own)(0), *op.scalars[place + 1 :])
            if own and len(op.scalars) > 1:
                name = scene.kernels[op.kernel].scalars[place].name
                yield with_op(
                    scene, at, replace(op, scalars=less), "scalars", laws.B1,
                    f"ran with its scalar {name} as zero", detail=f"zero {place}",
                )  # fmt: skip
        if len(op.scalars) > 1:
            turned = op.scalars[::-1]
            yield with_op(
                scene, at, replace(op, scalars=turned), "scalars", laws.B1,
                "ran with its scalars in another order", detail="turned",
            )  # fmt: skip


def _with_captured(scene: Scene) -> list[Step]:
    """The steps, with the commands of each capture before them, as if they were steps too."""
    captured = [
        Step(step.position, command, number, step.number)
        for step in scene.steps
        if isinstance(step.op, Capture)
        for number, command in enumerate(step.op.commands)
    ]
    return [*captured, *scene.steps]


def _fit(given: Scalars, op: AnyDispatch, scene: Scene) -> Scalars | None:
    """As many of ``given`` as ``op`` has scalars; None if they are too few or of other types."""
    kernel = scene.kernels[op.kernel]
    fitting = given[: len(op.scalars)]
    if len(fitting) != len(op.scalars):
        return None
    types = [float if scalar.is_float else int for scalar in kernel.scalars]
    if any(type(one) is not kind for one, kind in zip(fitting, types, strict=True)):
        return None
    return fitting


def _listed(values: Iterable[object]) -> str:
    return ",".join(map(str, values))


def bindings(scene: Scene) -> Iterator[Hypothesis]:
    """Dispatches over other buffers or parts, or with another kernel."""
    for at, step in enumerate(scene.steps):
        op = step.op
        if not isinstance(op, AnyDispatch):
            continue
        yield from _other_buffers(scene, at, op)
        for bound, rule, said in _other_places(scene, op):
            yield with_op(scene, at, replace(op, buffers=bound), "part", rule, said, detail=said)
        for other in scene.steps:
            if not isinstance(other.op, AnyDispatch) or other.op.kernel == op.kernel:
                continue
            given = _fit_kernel(op, other.op.kernel, scene)
            if given is not None:
                said = f"ran kernel {other.op.kernel}, which is that of {named(other)}"
                yield with_op(scene, at, given, "kernel", laws.E5, said, other.number)


def _fit_kernel(op: AnyDispatch, name: str, scene: Scene) -> AnyDispatch | None:
    kernel = scene.kernels[name]
    if len(kernel.buffers) != len(op.buffers):
        return None
    # The other kernel takes its scalars from this payload, which may end with the count of groups.
    groups = math.prod(op.grid) if isinstance(op, Dispatch) else 0
    given = (*op.scalars, groups, *(0 for _ in kernel.scalars))[: len(kernel.scalars)]
    floats = [scalar.is_float for scalar in kernel.scalars]
    if any(
        not (is_float or math.isfinite(one)) for one, is_float in zip(given, floats, strict=True)
    ):
        return None
    values = [
        float(one) if is_float else int(one) for one, is_float in zip(given, floats, strict=True)
    ]
    return replace(op, kernel=name, scalars=tuple(values))


def _other_buffers(scene: Scene, at: int, op: AnyDispatch) -> Iterator[Hypothesis]:
    step = scene.steps[at]
    tried: set[tuple[Bound, ...]] = {op.buffers}
    for other in scene.steps:
        if not isinstance(other.op, AnyDispatch) or other is step:
            continue
        bound = other.op.buffers
        if len(bound) == len(op.buffers) and bound not in tried:
            tried.add(bound)
            said = f"bound {_shown(bound)}, as {named(other)} did, and not its own buffers"
            yield with_op(
                scene, at, replace(op, buffers=bound), "buffers", laws.E5, said, other.number
            )
    if 1 < len(op.buffers) <= _MOST_BINDINGS:
        for bound in permutations(op.buffers):
            if bound not in tried:
                tried.add(bound)
                said = f"bound its buffers in another order, {_shown(bound)}"
                yield with_op(
                    scene, at, replace(op, buffers=bound), "buffers", laws.E5, said,
                    detail=str([op.buffers.index(one) for one in bound]),
                )  # fmt: skip
    for place, own in enumerate(op.buffers):
        for name in scene.states[at]:
            bound = (*op.buffers[:place], _renamed(own, name), *op.buffers[place + 1 :])
            if bound not in tried:
                tried.add(bound)
                said = f"bound {name} in the place of {name_of(own)}"
                yield with_op(
                    scene, at, replace(op, buffers=bound), "buffers", laws.E5, said,
                    detail=f"{place} {name}",
                )  # fmt: skip


def freed(scene: Scene) -> Iterator[Hypothesis]:
    """Dispatches over a freed buffer that an earlier dispatch of the same kernel bound."""
    for at, step in enumerate(scene.steps):
        op = step.op
        if not isinstance(op, AnyDispatch):
            continue
        for other in scene.steps[:at]:
            before = other.op
            if not isinstance(before, AnyDispatch) or before.kernel != op.kernel:
                continue
            bound = before.buffers
            gone = [name_of(one) for one in bound if name_of(one) not in scene.states[at]]
            if not gone or len(bound) != len(op.buffers):
                continue
            frees = [each for each in scene.steps[:at] if _frees(each, gone)]
            kept = [each for each in scene.steps[:at] if each not in frees]
            over = step._replace(op=replace(op, buffers=bound))
            later = scene.steps[at + 1 :]
            # What the dispatch reads from a freed buffer may matter, or nothing that it does.
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
                    rule=laws.E3,
                    steps=steps,
                )


def _frees(step: Step, names: Iterable[str]) -> bool:
    return isinstance(step.op, Free) and step.op.buffer in names


def _renamed(bound: Bound, name: str) -> Bound:
    return name if isinstance(bound, str) else bound._replace(buffer=name)


def _shown(bound: Iterable[Bound]) -> str:
    return ",".join(map(write_bound, bound))


def _other_places(scene: Scene, op: AnyDispatch) -> Iterator[tuple[tuple[Bound, ...], Law, str]]:
    """Each binding in turn at another place of its buffer."""
    sizes = {each.buffer: each.size_bytes for each in scene.program if isinstance(each, Alloc)}
    for place, own in enumerate(op.buffers):
        size = sizes[name_of(own)]
        for instead, rule, said in _places_of(own, size):
            yield (*op.buffers[:place], instead, *op.buffers[place + 1 :]), rule, said


def _places_of(own: Bound, size: int) -> Iterator[tuple[Bound, Law, str]]:
    name = name_of(own)
    if isinstance(own, str):
        whole = size // WORD_BYTES * WORD_BYTES
        for words in (1, 2, 4, 16, 64):
            if whole > words * WORD_BYTES:
                less = Part(own, 0, whole - words * WORD_BYTES)
                yield less, rules.WORDS, f"was given {name} without its last {words} words"
                first = Part(own, 0, words * WORD_BYTES)
                yield first, rules.WORDS, f"was given only the first {words} words of {name}"
        return
    start, length = own.offset, own.size_bytes
    if start:
        there = f"bound bytes 0 to {length - 1} of {name}, the right number from the wrong place"
        yield Part(name, 0, length), rules.PART, there
    for align in ALIGNMENTS:
        longer = -(-length // align) * align
        if longer > length and start + longer <= size:
            yield (
                Part(name, start, longer),
                rules.PART,
                f"bound a part whose size was rounded up to a multiple of {align} bytes",
            )
        low = start // align * align
        if low < start:
            yield (
                Part(name, low, length),
                rules.PART,
                f"bound a part whose start was rounded down to a multiple of {align} bytes",
            )
    if start + length < size:
        yield Part(name, start, size - start), rules.PART, f"bound {name} up to its end"
    yield name, rules.PART, f"bound all of {name} in the place of a part"

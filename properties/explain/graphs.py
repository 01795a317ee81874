"""Hypotheses: a replay used the scalars or buffers of its capture, or of another replay."""

from collections.abc import Iterator
from dataclasses import replace

from gpusim.ops import Op, Replay, Scalars
from gpusim.program import replayed
from properties.explain import rules
from properties.explain.hypothesis import Hypothesis
from properties.explain.scene import Scene, Step
from properties.oracles.laws.catalogue import Law


def replays(scene: Scene) -> Iterator[Hypothesis]:
    """Each replay with the scalars or the buffers of its capture or of another replay.

    Also each replay with a part of its own scalars or bindings, and with its commands in reverse.
    """
    for position in dict.fromkeys(step.position for step in scene.steps if step.command >= 0):
        op = scene.program[position]
        assert isinstance(op, Replay)
        capture = scene.captures[op.graph]
        own = replayed(capture, op)
        for other, given, rule, said in _other_replays(scene, position, op):
            commands = replayed(capture, given)
            if commands != own:
                yield _replayed(scene, position, commands, rule, said, other)
        yield _replayed(scene, position, own[::-1], rules.REPLAY, "ran its commands backwards", -1)


def _other_replays(
    scene: Scene, position: int, op: Replay
) -> Iterator[tuple[int, Replay, Law, str]]:
    yield -1, replace(op, scalars=None), rules.ENTRIES, "kept the scalars of the capture"
    yield -1, replace(op, bindings=()), rules.BINDINGS, "ran over the captured buffers"
    turned = tuple((new, old) for old, new in op.bindings)
    yield -1, replace(op, bindings=turned), rules.BINDINGS, "took its bindings the wrong way round"
    if op.bindings:
        yield (
            -1,
            replace(op, bindings=op.bindings[:1]),
            rules.BINDINGS,
            "took its first binding alone",
        )
        yield (
            -1,
            replace(op, bindings=op.bindings[-1:]),
            rules.BINDINGS,
            "took its last binding alone",
        )
    if op.scalars and len(op.scalars) > 1:
        entries = (*op.scalars[1:], op.scalars[-1])
        said = "ran each dispatch with the scalars given for the next one"
        if len(op.scalars) == 2:
            # Of two dispatches, the other one may be the next one or the one before.
            said = "ran its first dispatch with the scalars given for its second"
        yield -1, replace(op, scalars=entries), rules.ENTRIES, said
        first = (op.scalars[0],) * len(op.scalars)
        yield (
            -1,
            replace(op, scalars=first),
            rules.ENTRIES,
            "ran every dispatch with the scalars given for its first",
        )
    for at in range(position):
        other = scene.program[at]
        if not isinstance(other, Replay) or other.graph != op.graph:
            continue
        mixed = _mixed(op.scalars, other.scalars)
        number = scene.number(at)
        yield (
            number,
            replace(op, scalars=other.scalars),
            rules.ENTRIES,
            f"ran with the scalars of op {number}, another replay",
        )
        yield (
            number,
            replace(op, scalars=mixed),
            rules.ENTRIES,
            f"kept the scalars of op {number}, another replay, in the place of the capture's",
        )
        yield (
            number,
            replace(op, bindings=other.bindings),
            rules.BINDINGS,
            f"ran over the buffers of op {number}, another replay",
        )


def _mixed(
    own: tuple[Scalars | None, ...] | None, other: tuple[Scalars | None, ...] | None
) -> tuple[Scalars | None, ...] | None:
    if other is None:
        return own
    given = own or (None,) * len(other)
    return tuple(
        theirs if mine is None else mine for mine, theirs in zip(given, other, strict=False)
    )


def _replayed(
    scene: Scene, position: int, commands: tuple[Op, ...], rule: Law, said: str, other: int
) -> Hypothesis:
    steps = scene.steps
    at = [number for number, step in enumerate(steps) if step.position == position]
    instead = tuple(
        Step(position, command, number, scene.number(position))
        for number, command in enumerate(commands)
    )
    return Hypothesis(
        kind="replay",
        culprit=scene.number(position),
        other=other,
        detail=said,
        sentence=f"op {scene.number(position)} (a replay) {said}",
        rule=rule,
        steps=(*steps[: at[0]], *instead, *steps[at[-1] + 1 :]),
    )

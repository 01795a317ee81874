"""Hypotheses: a replay used the scalars or buffers of its capture, or of another replay."""

from collections.abc import Iterator
from dataclasses import replace

from gpusim.ops import Op, Replay, Scalars
from gpusim.program import replayed
from properties.explain import rules
from properties.explain.hypothesis import Hypothesis
from properties.explain.scene import Scene, Step
from properties.oracles.laws.catalogue import Law

Entries = tuple[Scalars | None, ...]


def replays(scene: Scene) -> Iterator[Hypothesis]:
    """Each replay with the scalars or the buffers of its capture or of another replay.

    Also each replay with a part of its own scalars or bindings, and with its commands in reverse.
    """
    for position in dict.fromkeys(step.position for step in scene.steps if step.command >= 0):
        op = scene.program[position]
        assert isinstance(op, Replay)
        capture = scene.captures[op.graph]
        own = replayed(capture, op)
        alike = [(given, said, -1) for given, said in _changed(op)]
        for given, said, other in (*alike, *_like_others(scene, position, op)):
            commands = replayed(capture, given)
            rule = rules.BINDINGS if given.scalars == op.scalars else rules.ENTRIES
            if commands != own:
                yield _replayed(scene, position, commands, rule, said, other)
        yield _replayed(scene, position, own[::-1], rules.REPLAY, "ran its commands backwards", -1)


def _changed(op: Replay) -> Iterator[tuple[Replay, str]]:
    """The replay with fewer scalars or bindings, or with these in another order."""
    scalars, bindings = op.scalars, op.bindings
    yield replace(op, scalars=None), "kept the scalars of the capture"
    yield replace(op, bindings=()), "ran over the captured buffers"
    turned = tuple((new, old) for old, new in bindings)
    yield replace(op, bindings=turned), "took its bindings the wrong way round"
    yield replace(op, bindings=bindings[:1]), "took its first binding alone"
    yield replace(op, bindings=bindings[-1:]), "took its last binding alone"
    if scalars and len(scalars) > 1:
        said = "ran each dispatch with the scalars given for the next one"
        if len(scalars) == 2:
            # Of two dispatches, only the first has a next one.
            said = "ran its first dispatch with the scalars given for its second"
        yield replace(op, scalars=(*scalars[1:], scalars[-1])), said
        said = "ran every dispatch with the scalars given for its first"
        yield replace(op, scalars=scalars[:1] * len(scalars)), said


def _like_others(scene: Scene, position: int, op: Replay) -> Iterator[tuple[Replay, str, int]]:
    """The replay with the operands of an earlier replay of its graph, and that replay's number."""
    for at, other in enumerate(scene.program.ops[:position]):
        if isinstance(other, Replay) and other.graph == op.graph:
            number = scene.number(at)
            by = f"op {number}, another replay"
            yield replace(op, scalars=other.scalars), f"ran with the scalars of {by}", number
            said = f"ran with the scalars of {by}, where it should keep those of the capture"
            yield replace(op, scalars=_mixed(op.scalars, other.scalars)), said, number
            yield replace(op, bindings=other.bindings), f"ran over the buffers of {by}", number


def _mixed(own: Entries | None, other: Entries | None) -> Entries | None:
    if other is None:
        return own
    given = own or (None,) * len(other)
    return tuple(
        theirs if mine is None else mine for mine, theirs in zip(given, other, strict=False)
    )


def _replayed(
    scene: Scene, position: int, commands: tuple[Op, ...], rule: Law, said: str, other: int
) -> Hypothesis:
    at = [number for number, step in enumerate(scene.steps) if step.position == position]
    number = scene.number(position)
    instead = tuple(Step(position, each, n, number) for n, each in enumerate(commands))
    return Hypothesis(
        kind="replay",
        culprit=number,
        other=other,
        detail=said,
        sentence=f"op {number} (a replay) {said}",
        rule=rule,
        steps=(*scene.steps[: at[0]], *instead, *scene.steps[at[-1] + 1 :]),
    )

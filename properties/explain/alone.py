"""Runs a kernel alone, in one dispatch, to see if its WGSL and its NumPy give the same bytes.

A kernel of a user may mean one thing in WGSL and another in NumPy.  Then every program with that
kernel fails, and no order of ops explains this.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from gpusim.errors import ProgramError
from gpusim.kernels import BUILTIN
from gpusim.limits import WORD_BYTES
from gpusim.ops import Alloc, AnyDispatch, Op, Read, Sync, Write
from gpusim.program import Program, buffers_of
from properties.explain.experiments import Judge
from properties.explain.scene import Scene, Step
from properties.model.case import PLAIN, Case
from properties.model.failure import FailureKind


@dataclass(frozen=True, kw_only=True, slots=True)
class Unlike:
    """A lane in which a kernel's WGSL and its NumPy differ.

    ``shown`` is the word that the WGSL gave, and ``meant`` that of NumPy, both as u32.
    """

    kernel: str
    position: int
    buffer: str
    lane: int
    shown: int
    meant: int

    def __str__(self) -> str:
        return (
            f"kernel {self.kernel} alone: its WGSL and its NumPy differ in lane {self.lane} of "
            f"{self.buffer}: {self.shown} came back, and NumPy gives {self.meant}"
        )


def held_alone(scene: Scene, case: Case, again: Judge) -> Unlike | None:
    """Tries the first dispatch of each kernel that is not built in, alone.

    Gives the first difference found.
    """
    tried: set[str] = set()
    for at, step in enumerate(scene.steps):
        op = step.op
        if isinstance(op, AnyDispatch) and op.kernel not in (*BUILTIN, *tried):
            tried.add(op.kernel)
            found = _differs(scene, at, step, case, again)
            if found is not None:
                return found
    return None


def _differs(scene: Scene, at: int, step: Step, case: Case, again: Judge) -> Unlike | None:
    try:
        program = Program(tuple(_program(scene, at, step.op)))
    except ProgramError:
        return None
    verdict = again(replace(case, program=program, client=PLAIN, transformations=()))
    failure = verdict.failure
    if failure is None or failure.kind is not FailureKind.VALUE or failure.byte is None:
        return None
    read = program[failure.position]
    meant = verdict.expected.outcomes[failure.position].data
    shown = verdict.execution.history.outcomes[failure.position].data
    if not isinstance(read, Read) or meant is None or shown is None:
        return None
    assert isinstance(step.op, AnyDispatch)
    lane = failure.byte // WORD_BYTES
    place = slice(lane * WORD_BYTES, (lane + 1) * WORD_BYTES)
    return Unlike(
        kernel=step.op.kernel,
        position=step.number,
        buffer=read.buffer,
        lane=lane,
        shown=int.from_bytes(shown[place], "little"),
        meant=int.from_bytes(meant[place], "little"),
    )


def _program(scene: Scene, at: int, op: Op) -> Iterator[Op]:
    """Writes of what the buffers hold at that step, the dispatch over them, and a read of each."""
    names = list(dict.fromkeys(buffers_of(op)))
    for name in names:
        data = scene.states[at].get(name, b"")
        yield Alloc(buffer=name, size_bytes=len(data))
        if data:
            yield Write(buffer=name, offset=0, data=data)
    yield Sync()
    yield op
    for name in names:
        size = len(scene.states[at].get(name, b""))
        yield Read(buffer=name, offset=0, size_bytes=size, result=f"alone_{name}")

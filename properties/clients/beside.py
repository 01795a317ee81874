"""The client beside: a second runtime on the same driver runs another program in between.

The other program follows from the case's program, so that both shrink together.  It allocates like
buffers, has other data and other scalars, and at odd places dispatches the kernel's twin.
Each runtime is judged by its own program.  ``execute`` drives both.
"""

from collections.abc import Mapping
from dataclasses import replace

from gpusim.kernels import Kernel
from gpusim.limits import WORD_BYTES
from gpusim.ops import Capture, Dispatch, DispatchIndirect, Op, Replay, Write
from gpusim.program import Program
from properties.clients.client import Client
from properties.targets.twins import twin_name

BESIDE = "beside"
"""The name of the client."""


class BesideClient(Client):
    """Forwards the ops of the program; ``execute`` drives the other program."""


def other_program(program: Program, kernels: Mapping[str, Kernel]) -> Program:
    """The program that runs beside ``program``, over ``kernels`` with their twins.

    The other program ends earlier.  It has no indirect dispatches, since other data would give
    other grids.
    """
    graphs = {
        op.graph
        for op in program
        if isinstance(op, Capture)
        and any(isinstance(command, DispatchIndirect) for command in op.commands)
    }
    ops = [
        op
        for op in program
        if not isinstance(op, DispatchIndirect)
        and not (isinstance(op, Capture | Replay) and op.graph in graphs)
    ]
    ops = ops[: -(-3 * len(ops) // 4)]
    return Program(tuple(_other(op, at, kernels) for at, op in enumerate(ops)))


def _other(op: Op, at: int, kernels: Mapping[str, Kernel]) -> Op:
    match op:
        case Write():
            return replace(op, data=op.data[WORD_BYTES:] + op.data[:WORD_BYTES])
        case Dispatch():
            name = twin_name(op.kernel, kernels) if at % 2 else op.kernel
            scalars = tuple(each ^ 1 if type(each) is int else each for each in op.scalars)
            return replace(op, kernel=name, scalars=scalars)
        case _:
            return op

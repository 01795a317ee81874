"""A replay as the calls that it stands for: another relation that needs the reference.

A replay is refused whole and its calls one by one, so that it has to be known
that it is accepted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from gpusim.kernels import Kernel
from gpusim.limits import Limits
from gpusim.ops import Capture, Replay
from gpusim.program import Program, replayed
from properties.model.case import Case, Image
from properties.oracles.metamorphic.image import Rewriting
from properties.oracles.metamorphic.registry import Scope, draw_op, transformation
from properties.programs.choices import Choices
from reference import run


@transformation(3)
@dataclass(frozen=True, kw_only=True, slots=True)
class Unroll:
    """The replay at ``at`` as the dispatches and copies of its graph."""

    name: ClassVar[str] = "unroll"
    at: int

    @classmethod
    def draw(cls, choices: Choices, scope: Scope) -> Self:
        return cls(at=draw_op(choices, scope, Replay))

    @property
    def words(self) -> str:
        return f"op {self.at} as the calls that it replays"

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Image | None:
        program = case.program
        replay = program[self.at] if 0 <= self.at < len(program) else None
        if not isinstance(replay, Replay) or not _is_accepted(case, self.at, kernels):
            return None
        captures = {op.graph: op for op in program if isinstance(op, Capture)}
        rewriting = Rewriting(case)
        for position, op in enumerate(program):
            if position == self.at:
                rewriting.keep_as(*replayed(captures[replay.graph], replay))
            else:
                rewriting.keep(op)
        return rewriting.image()


def _is_accepted(case: Case, at: int, kernels: Mapping[str, Kernel]) -> bool:
    prefix = Program(case.program.ops[: at + 1])
    return run(prefix, kernels, case.limits(Limits())).outcomes[at].error is None

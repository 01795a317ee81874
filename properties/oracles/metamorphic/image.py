"""Rewriting a program while keeping account of its ops: how an image is made.

What a transformation does is not known here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from gpusim.errors import ProgramError
from gpusim.ops import Op
from gpusim.program import Program
from properties.model.case import Case, Image, Places, Promise


def unchanged(case: Case, *, same_adapter: bool = True) -> Image:
    """The image under a transformation that leaves the program alone."""
    places = tuple((position,) for position in range(len(case.program)))
    return Image(case=case, places=places, same_adapter=same_adapter)


@dataclass(slots=True)
class Rewriting:
    """A transformed program as it grows, op by op."""

    case: Case
    ops: list[Op] = field(default_factory=list)
    places: list[Places] = field(default_factory=list)
    promises: list[Promise] = field(default_factory=list)

    def keep(self, op: Op) -> None:
        """The next op of the original, as it is or in another form."""
        self.places.append((len(self.ops),))
        self.ops.append(op)

    def keep_as(self, *pieces: Op) -> None:
        """The next op of the original, in pieces."""
        self.places.append(tuple(range(len(self.ops), len(self.ops) + len(pieces))))
        self.ops += pieces

    def drop(self) -> None:
        """The next op of the original is left out."""
        self.places.append(())

    def add(self, *ops: Op) -> None:
        """Ops that the original does not have."""
        self.ops += ops

    def add_promised(self, op: Op, data: bytes | None) -> None:
        """An op that the original does not have, and what it must show."""
        self.promises.append(Promise(position=len(self.ops), data=data))
        self.ops.append(op)

    def image(self, *, steady: tuple[int, int] | None = None) -> Image | None:
        """The result, None where it is not well formed."""
        try:
            program = Program(tuple(self.ops))
        except ProgramError:
            return None
        return Image(
            case=replace(self.case, program=program),
            places=tuple(self.places),
            promises=tuple(self.promises),
            steady=steady,
        )


def inserted(case: Case, at: int, ops: Sequence[Op]) -> Image | None:
    """The image with ``ops`` in the gap before op ``at``."""
    if not ops or not 0 <= at <= len(case.program):
        return None
    rewriting = Rewriting(case)
    for position, op in enumerate(case.program):
        if position == at:
            rewriting.add(*ops)
        rewriting.keep(op)
    if at == len(case.program):
        rewriting.add(*ops)
    return rewriting.image()

"""A case transformed, and where each of its ops shows in the result.

Data, the protocol of a transformation, and the one way to rewrite a program
while keeping account of its ops.  What a transformation does is not known here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Protocol

from gpusim.errors import ProgramError
from gpusim.kernels import Kernel
from gpusim.program import Op, Program
from properties.case import Case

Places = tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Promise:
    """What an op that a transformation put in must show: ``data``, or a refusal where None."""

    position: int
    data: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """A transformed case, and what of it corresponds to the case as it was.

    ``places`` has an entry for each op of the original: the positions at which
    the transformed program does the same.  Several are its pieces, in order;
    none means that the op is gone and nothing is compared.
    """

    case: Case
    places: tuple[Places, ...]
    promises: tuple[Promise, ...] = ()
    same_adapter: bool = True
    """Whether floats must be equal to the bit."""
    steady: tuple[int, int] | None = None
    """Ops, from the first to before the second, that repeat what was done before them."""

    def then(self, later: "Image") -> "Image":
        """This transformation and then another one, as one."""
        return Image(
            case=later.case,
            places=tuple(_through(places, later) for places in self.places),
            promises=(*_carried(self.promises, later), *later.promises),
            same_adapter=self.same_adapter and later.same_adapter,
            # What a later transformation puts into a repetition need not be there before it.
            steady=later.steady,
        )


class Transformation(Protocol):
    """One way to change a case without changing what it shows.

    A frozen dataclass whose fields are whole numbers and words, so that it has a
    text form.  A field called ``at`` is a position in the program: of an op, or
    of the gap before one.
    """

    name: ClassVar[str]

    @property
    def words(self) -> str:
        """What it did, for a reader: ``flush before op 3``."""
        ...

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Image | None:
        """The image of ``case``; None where there is nothing here to transform."""
        ...


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


def _through(places: Places, later: Image) -> Places:
    """Where the pieces of an op are after another transformation: nowhere if one is gone."""
    if not all(later.places[position] for position in places):
        return ()
    return tuple(place for position in places for place in later.places[position])


def _carried(promises: Sequence[Promise], later: Image) -> list[Promise]:
    """Promises about ops that the later image still shows in one piece."""
    return [
        replace(promise, position=later.places[promise.position][0])
        for promise in promises
        if len(later.places[promise.position]) == 1
    ]

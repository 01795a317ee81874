"""The marks that a checked shader has beside its statements.

There are marks of accesses, of indices, of barriers, and of arithmetic that may be a mistake.

A mark stands before its statement, and does not change what the shader computes.  A Site is a place
in the text that a report can name.  Nothing here decides what is checked.
"""

from dataclasses import dataclass, field

from gpusim.wgsl.ir import Address, Length, Memory, Scalar
from gpusim.wgsl.syntax import Place

READ, WRITE, ATOMIC = "read", "write", "atomic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A place in the text, what is done there (``how``), and to what (``name``).

    ``offsets``: the bytes from the address of an access to each of its scalars.  ``kinds``: the
    types of these scalars.
    """

    number: int
    place: Place
    how: str
    name: str
    offsets: tuple[int, ...] = ()
    kinds: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class Touch:
    """An access to memory that invocations share."""

    site: Site
    memory: Memory
    address: Address
    values: tuple[Scalar, ...] = ()
    """What is written, a scalar for each offset; empty for a read."""
    races: bool = True
    """Whether the access may be part of a race; for workgroup memory, ``planned`` decides this."""
    region: int = 0
    covers: bool = False
    """Whether all invocations of a workgroup together write all of the memory."""

    @property
    def how(self) -> str:
        """READ, WRITE or ATOMIC."""
        return self.site.how


@dataclass(slots=True, eq=False)
class Bound:
    """An index that must be below a limit."""

    site: Site
    index: Scalar
    limit: int | Length
    memory: Memory | None = None
    stride: int = 0


@dataclass(slots=True, eq=False)
class Wait:
    """A barrier, and the address space that it orders."""

    site: Site
    space: str


@dataclass(slots=True, eq=False)
class Doubt:
    """An operation whose operands or result are to be checked."""

    site: Site
    rule: str
    operands: tuple[Scalar, ...]
    result: Scalar
    needed: bool = True


Mark = Touch | Bound | Wait | Doubt


@dataclass(slots=True)
class Sites:
    """All sites of an entry point, by number."""

    all: list[Site] = field(default_factory=list)

    def add(
        self,
        place: Place,
        how: str,
        name: str,
        leaves: tuple[tuple[int, str], ...] = (),
    ) -> Site:
        """A new site."""
        site = Site(
            number=len(self.all),
            place=place,
            how=how,
            name=name,
            offsets=tuple(at for at, _ in leaves),
            kinds=tuple(kind for _, kind in leaves),
        )
        self.all.append(site)
        return site

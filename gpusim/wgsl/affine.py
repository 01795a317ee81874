"""Integer expressions as polynomials modulo 2^32, to find indices that are linear in the lane.

The lanes of a block have consecutive numbers: lane k of workgroup w has number S * w + k, where S
is the size of a workgroup.  If an index is a step times this number plus a value that all lanes
share, the access is a slice of memory.  If a condition bounds this number, the lanes for which it
holds have consecutive numbers as well.

u32 and i32 add and multiply modulo 2^32, like these polynomials, so a polynomial always has the
value of its expression.  An atom is a piece of Python that all lanes share, or WORKGROUP (w), LOCAL
(k), X, Y and Z (the place of the workgroup), or AXES (the place of the lane in its workgroup).
"""

from dataclasses import dataclass

Monomial = tuple[str, ...]
Polynomial = dict[Monomial, int]
WORKGROUP, LOCAL, X, Y, Z = "$w", "$l", "$x", "$y", "$z"
AXES = ("$lx", "$ly", "$lz")
VARYING = (WORKGROUP, LOCAL, X, Y, Z, *AXES)
_MASK = 0xFFFFFFFF
_MOST = 24


@dataclass(frozen=True, slots=True)
class Affine:
    """``step`` times the number of the lane, plus ``rest``, which all lanes share."""

    step: int
    rest: Polynomial


def constant(value: int) -> Polynomial:
    """A number."""
    return {(): value & _MASK} if value & _MASK else {}


def atom(name: str) -> Polynomial:
    """One atom."""
    return {(name,): 1}


def add(left: Polynomial, right: Polynomial, sign: int = 1) -> Polynomial:
    """The sum, or with a ``sign`` of -1 the difference."""
    total = dict(left)
    for monomial, factor in right.items():
        value = (total.get(monomial, 0) + sign * factor) & _MASK
        if value:
            total[monomial] = value
        else:
            total.pop(monomial, None)
    return total


def multiply(left: Polynomial, right: Polynomial) -> Polynomial | None:
    """The product; None if it is too long to be of use."""
    if len(left) * len(right) > _MOST:
        return None
    total: Polynomial = {}
    for one, factor in left.items():
        for other, by in right.items():
            monomial = tuple(sorted((*one, *other)))
            total = add(total, {monomial: factor * by & _MASK})
    return total


def linear_workgroup(x_count: str, y_count: str) -> Polynomial:
    """The number of a workgroup in its grid, where X counts fastest, as a polynomial of X, Y and Z.

    ``x_count`` and ``y_count`` name the numbers of workgroups on these axes of the grid.
    """
    plane = tuple(sorted((Z, x_count, y_count)))
    return {plane: 1, tuple(sorted((Y, x_count))): 1, (X,): 1}


def affine(value: Polynomial, size: int, linear: Polynomial | None) -> Affine | None:
    """The polynomial as a linear function of the lane's number; None if it is not linear.

    ``linear``: the number of the workgroup as a polynomial of X, Y and Z; None if there is no such
    polynomial.
    """
    if linear is not None and value.get((X,), 0):
        factor = value[(X,)]
        scaled = multiply(linear, constant(factor)) or {}
        value = add(add(value, scaled, -1), {(WORKGROUP,): factor})
    step = value.get((LOCAL,), 0)
    if value.get((WORKGROUP,), 0) != step * size & _MASK or step > 0xFFFF:
        return None
    rest = {key: by for key, by in value.items() if key not in ((LOCAL,), (WORKGROUP,))}
    if any(name in VARYING for monomial in rest for name in monomial):
        return None
    return Affine(step, rest)


def steps(
    value: Polynomial, sizes: tuple[int, int, int]
) -> tuple[tuple[int, int, int], Polynomial] | None:
    """The polynomial as a step along each axis of a workgroup, plus a rest that all lanes share.

    None if it has no such form.
    """
    whole = value.get((LOCAL,), 0)
    x, y, z = (value.get((name,), 0) for name in AXES)
    own = [(LOCAL,), *((name,) for name in AXES)]
    rest = {key: by for key, by in value.items() if key not in own}
    if any(name in VARYING for monomial in rest for name in monomial):
        return None
    return (x + whole, y + whole * sizes[0], z + whole * sizes[0] * sizes[1]), rest


def axis(value: Polynomial | None, sizes: tuple[int, int, int]) -> int | None:
    """The axis of a workgroup on which ``value`` is each lane's place, from 0; None if none is."""
    for number, size in enumerate(sizes):
        alone = size == sizes[0] * sizes[1] * sizes[2]
        if value == {(LOCAL,) if alone else (AXES[number],): 1}:
            return number
    return None


def python_of(rest: Polynomial) -> str:
    """Python for ``rest``; its value is not yet taken modulo 2^32."""
    parts = []
    for monomial, factor in sorted(rest.items()):
        signed = factor - 2**32 if factor >= 2**31 else factor
        names = "*".join(monomial)
        parts.append(f"{signed}*{names}" if names and signed != 1 else names or str(signed))
    return " + ".join(parts) or "0"

"""Upper bounds of u32 expressions, so that small shifts and indices need no check.

A bound follows from the expression and from bounds of its variables, not from conditions around it.
"""

from gpusim.wgsl.ir import Const, Get, Op, Scalar, Variable

LARGEST = 0xFFFFFFFF


def most_of(value: Scalar, known: dict[Variable, int]) -> int:
    """An upper bound of an expression's values; ``known`` has the bounds of variables."""
    if isinstance(value, Const):
        return int(value.value) if value.type == "u32" else LARGEST
    if isinstance(value, Get):
        return known.get(value.variable, LARGEST)
    if not isinstance(value, Op) or value.type != "u32":
        return LARGEST
    return min(_most_of_op(value, known), LARGEST)


def _most_of_op(value: Op, known: dict[Variable, int]) -> int:
    """Like ``most_of``, but the bound is above the largest u32 if the operation may wrap."""
    if value.operands[0].type != "u32":
        return LARGEST
    most = [most_of(each, known) for each in value.operands]
    if value.name in ("and", "min"):
        return min(most[0], most[1])
    if value.name in ("add", "mul"):
        return most[0] + most[1] if value.name == "add" else most[0] * most[1]
    if value.name == "max":
        return max(most[0], most[1])
    if value.name == "shr_by":
        return most[0] >> most[1]
    if value.name == "shl_by":
        return most[0] << most[1]
    if value.name == "remainder":
        return min(most[0], most[1] - 1)
    if value.name == "quotient" and isinstance(value.operands[1], Const):
        return most[0] // most[1]
    return max(most[0], most[1]) if value.name == "select" else LARGEST

"""How lanes reach memory (slices, gathering, scattering, atomics), and which lanes go on.

A memory is an array of one type over its bytes.  Indices count elements.  ``start`` is the number
of the first lane if the lanes are consecutive, and otherwise an array of their numbers.
``NAMES`` holds the functions and types that the Python written for a shader may use besides
Python's own.  Source: WGSL specification, 14.3 "Memory Access", 17.8 "Atomic Built-in Functions".
"""

from itertools import pairwise
from typing import Any

import numpy as np

from gpusim.wgsl import groups, machine
from gpusim.wgsl.machine import Values, u32

_WRAP = 2**32
intp = np.intp


class StepsExceeded(RuntimeError):
    """A loop went on for more rounds than allowed."""


def chosen(condition: Values) -> tuple[Any, int]:
    """The positions of the lanes for which a condition holds, and how many they are.

    The positions are a slice if they are consecutive, None if there are none, and else an array.
    """
    count = int(np.count_nonzero(condition))
    if count == 0:
        return None, 0
    first = int(condition.argmax())
    if count == len(condition) or condition[first : first + count].all():
        return slice(first, first + count), count
    return np.flatnonzero(condition), count


def start_of(start: Any, part: Any) -> Any:
    """What ``start`` becomes if only the lanes at ``part`` go on.

    ``part`` is a slice or an array of positions.  Position 0 is the first lane that ``start``
    stands for.
    """
    if isinstance(start, int):
        return start + part.start if isinstance(part, slice) else part + start
    return start[part]


def span(start: Any, step: int, offset: int, count: int, size: int) -> Any:
    """Where ``count`` lanes find their elements in a memory of ``size`` elements.

    A lane's element has the index ``step * lane + offset``.  The result is a slice if the lanes are
    consecutive and all the elements exist, and otherwise an array of indices.
    """
    offset %= _WRAP
    if offset >= 0x80000000:
        offset -= _WRAP
    if isinstance(start, int):
        first = step * start + offset
        last = first + step * (count - 1)
        if first >= 0 and last < size:
            return slice(first, last + 1, step)
        return np.arange(first, last + 1, step) % _WRAP
    return (start * step + offset) % _WRAP


def numbers(start: int, count: int, step: int, offset: int) -> Values:
    """``step * lane + offset`` as u32, for each of the ``count`` lanes from ``start`` on."""
    first = (step * start + offset) % _WRAP
    return np.arange(first, first + step * count, step).astype(u32)


def clamped(
    start: int, count: int, step: int, offset: int, size: int, clamps: tuple[Any, ...]
) -> Any:
    """The slice of the elements ``step * lane + offset``, for ``count`` lanes from ``start`` on.

    None if a clamp changes a value, or if an index is ``size`` or more.  Each of ``clamps`` is
    (shift, least, most): the shader clamps ``step * lane + shift`` to least ... most.
    """
    reach = step * (count - 1)
    for shift, least, most in clamps:
        first = (step * start + shift) % _WRAP
        if first < least or first + reach > most:
            return None
    first = (step * start + offset) % _WRAP
    return slice(first, first + reach + 1, step) if first + reach < size else None


def load(memory: Values, where: Any) -> Values:
    """Read elements; an index past the end reads the last element."""
    if isinstance(where, slice):
        return memory[where]
    return memory.take(where, mode="clip")


def gather(memory: Values, where: Values) -> Values:
    """Read an element by each lane's index; an index past the end reads the last element."""
    return memory.take(where, mode="clip")


def store(memory: Values, where: Any, values: Values) -> None:
    """Write elements; past the end nothing is written."""
    try:
        memory[where] = values
    except IndexError:
        inside = where < len(memory)
        memory[where[inside]] = values[inside] if isinstance(values, np.ndarray) else values


def store_at(memory: Values, where: Values, values: Values) -> None:
    """Write elements that all exist."""
    memory[where] = values


def one(memory: Values, index: int) -> Any:
    """Read one element; an index past the end reads the last element."""
    size = len(memory)
    return memory.item(index if index < size else size - 1)


def one_float(memory: Values, index: int) -> Any:
    """Read one float; an index past the end reads the last element."""
    size = len(memory)
    return memory[index if index < size else size - 1]


def store_one(memory: Values, index: int, value: Any) -> None:
    """Write one element; if each lane has its own value, the last lane's value is written."""
    if index < len(memory):
        memory[index] = value[-1] if isinstance(value, np.ndarray) else value


def positions(index: Any, count: int) -> Values:
    """An array of each lane's index, also if ``index`` is one number that all lanes share."""
    return np.full(count, index, intp) if isinstance(index, int) else index


def modify(name: str, memory: Values, where: Any, values: tuple[Any, ...], wanted: bool) -> Values:
    """An atomic read-modify-write, lane after lane; gives the old values if they are ``wanted``."""
    size = len(memory)
    inside = where < size
    if not inside.all():
        where = np.where(inside, where, size - 1)
    compute = _MODIFIERS.get(name)
    if compute is not None and not wanted:
        compute.at(memory, where, values[0])
        return None
    return _in_turn(name, memory, where, values)


_MODIFIERS: dict[str, Any] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Max": np.maximum,
    "Min": np.minimum,
    "And": np.bitwise_and,
    "Or": np.bitwise_or,
    "Xor": np.bitwise_xor,
}


def _in_turn(name: str, memory: Values, where: Values, values: tuple[Any, ...]) -> Values:
    """Modify lane after lane.  Returns the old values."""
    before = np.empty(len(where), memory.dtype)
    operands = [np.broadcast_to(np.asarray(each, memory.dtype), where.shape) for each in values]
    if name in _MODIFIERS and len(where) and (where == where[0]).all():
        compute, at = _MODIFIERS[name], int(where[0])
        steps = np.concatenate([memory[at : at + 1], operands[0]])
        after = compute.accumulate(steps, dtype=memory.dtype)
        before[:] = after[:-1]
        memory[at] = after[-1]
        return before
    plain = [each.tolist() for each in operands]
    step = _STEPS[name]
    cells = memory.dtype.type
    for lane, at in enumerate(where.tolist()):
        old = memory.item(at)
        before[lane] = old
        new = step(old, *(each[lane] for each in plain))
        memory[at] = np.int64(new).astype(cells)
    return before


_STEPS: dict[str, Any] = {
    "Add": lambda old, value: old + value,
    "Sub": lambda old, value: old - value,
    "Max": max,
    "Min": min,
    "And": lambda old, value: old & value,
    "Or": lambda old, value: old | value,
    "Xor": lambda old, value: old ^ value,
    "Exchange": lambda old, value: value,
    "CompareExchangeWeak": lambda old, compared, value: value if old == compared else old,
}


def store_private(memory: Values, index: Values, lanes: Values, values: Values) -> None:
    """Write elements of the lanes' own memories; past the end nothing is written."""
    inside = index < len(memory)
    if not inside.all():
        index, lanes = index[inside], lanes[inside]
        values = values[inside] if isinstance(values, np.ndarray) else values
    memory[index, lanes] = values


def others(positions: Values, count: int) -> Values:
    """The positions below ``count`` that are not among ``positions``."""
    kept = np.ones(count, np.bool_)
    kept[positions] = False
    return np.flatnonzero(kept)


def too_long(limit: int) -> None:
    """Raise, since a loop does not end."""
    raise StepsExceeded(
        f"cannot finish this shader because a loop went on for more than {limit} rounds "
        "(probably its condition never changes)"
    )


def backwards(start: int, stop: int, step: int) -> Any:
    """The numbers at which blocks of lanes begin, the last block first."""
    return reversed(range(start, stop, step))


def _reversed(values: Any) -> Any:
    return values[::-1] if isinstance(values, np.ndarray) else values


def load_varied(memory: Values, where: Any) -> Values:
    """Read elements; an index past the end reads as in ``gather_varied``."""
    return memory[where] if isinstance(where, slice) else gather_varied(memory, where)


def gather_varied(memory: Values, where: Values) -> Values:
    """Read an element by each lane's index.

    An index past the end gives zero, as on many adapters.  A plain run reads the last element
    instead.  If that is zero, the two runs would not differ, so then the index is taken modulo the
    number of elements.
    """
    found = memory.take(where, mode="wrap")
    if memory[-1] != 0:
        found[where >= len(memory)] = 0
    return found


def store_varied(memory: Values, where: Any, values: Values) -> None:
    """Write elements; if several lanes write one element, the first lane's value stays.

    After all other lanes, the lanes with an index past the end write the last element.  The value
    of the last such lane stays.
    """
    if isinstance(where, slice):
        store(memory, where, values)
        return
    store(memory, where[::-1], _reversed(values))
    past = where >= len(memory)
    if past.any():
        memory[-1] = values[past][-1] if isinstance(values, np.ndarray) else values


def store_at_varied(memory: Values, where: Values, values: Values) -> None:
    """Write elements that all exist; if several lanes write one, the first lane's value stays."""
    memory[where[::-1]] = _reversed(values)


def store_one_varied(memory: Values, index: int, value: Any) -> None:
    """Write one element; if each lane has its own value, the first lane's value is written.

    An index past the end writes the last element.
    """
    store_one(memory, min(index, len(memory) - 1), _reversed(value))


def one_varied(memory: Values, index: int) -> Any:
    """Read one element; an index past the end reads as in ``gather_varied``."""
    return gather_varied(memory, np.array([index])).item()


def one_float_varied(memory: Values, index: int) -> Any:
    """Read one float; an index past the end reads as in ``gather_varied``."""
    return gather_varied(memory, np.array([index]))[0]


def modify_varied(
    name: str, memory: Values, where: Values, values: tuple[Any, ...], wanted: bool
) -> Values:
    """An atomic read-modify-write, the last lane first."""
    turned = tuple(_reversed(each) for each in values)
    before = modify(name, memory, where[::-1], turned, wanted)
    return None if before is None else before[::-1].copy()


def modify_inward(
    name: str, memory: Values, where: Values, values: tuple[Any, ...], wanted: bool
) -> Values:
    """An atomic read-modify-write.  Of the lanes at one word, the middle one comes first.

    The others follow, the last lane first.  So if several lanes are at one word, none has the same
    place in all three orders: this one, that of ``modify``, and that of ``modify_varied``.
    """
    if not wanted:
        return modify(name, memory, where, values, wanted)
    turned = np.argsort(where, kind="stable")[::-1]
    starts = np.flatnonzero(np.diff(where[turned], prepend=-1))
    for start, stop in pairwise([*starts.tolist(), len(turned)]):
        middle = (start + stop) // 2
        turned[start : middle + 1] = np.roll(turned[start : middle + 1], 1)
    operands = tuple(each[turned] if isinstance(each, np.ndarray) else each for each in values)
    found = np.empty(len(where), memory.dtype)
    found[turned] = modify(name, memory, where[turned], operands, wanted)
    return found


def names() -> dict[str, Any]:
    """What the Python written for a shader may use besides Python's own, by name."""
    found: dict[str, Any] = {}
    for module in (vars(machine), vars(groups), globals()):
        found.update({name: value for name, value in module.items() if name[0] != "_"})
    for name in _NUMPY.split():
        found[name] = getattr(np, name)
    found["walk"] = range
    return found


_VARIED = ("load", "gather", "store", "store_at", "store_one", "one", "one_float", "modify")
_NUMPY = (
    "add subtract multiply divide fmod floor_divide remainder bitwise_and bitwise_or bitwise_xor "
    "equal not_equal less less_equal greater greater_equal logical_not invert negative left_shift "
    "right_shift minimum maximum where absolute sign rint sqrt arange full empty zeros "
    "count_nonzero flatnonzero errstate fmin fmax"
)
NAMES = names()
VARIED = {
    **NAMES,
    "walk": backwards,
    **{name: NAMES[f"{name}_varied"] for name in _VARIED},
}
"""The names for a run that decides in another way what WGSL leaves open."""
INWARD = {**NAMES, "modify": modify_inward}
"""The names for a run in which lanes reach atomics in a third order."""

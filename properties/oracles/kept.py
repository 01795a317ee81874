"""What keeps host memory: the collections within a runtime that grow from round to round.

A runtime that keeps more and more memory has a collection that entries enter and never leave.  The
collection is found from the runtime's attributes, and named by them.  Nothing here judges whether
its growth is right.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial
from types import FunctionType, MethodType
from typing import Any

Collections = dict[tuple[int, str], tuple[int, str]]
"""For each collection, by its identity and name: its length, and its newest entry in words."""
_COLLECTIONS = (dict, list, set, deque)
_OWNERS = ("gpusim.", "properties.mutants.")
"""Attributes are followed only in objects whose classes are from these packages."""
_MOST_TOLD, _MOST_SHOWN = 2, 40


def collections_of(root: object) -> Collections:
    """Every collection that the attributes of ``root`` lead to, named by the shortest way."""
    found: Collections = {}
    seen: set[int] = set()
    waiting: deque[tuple[Any, str]] = deque([(root, "runtime")])
    while waiting:
        thing, way = waiting.popleft()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, _COLLECTIONS):
            inner = [*thing, *thing.values()] if isinstance(thing, dict) else [*thing]
            newest = _shown(inner[-1]) if inner else ""
            found[id(thing), f"the {type(thing).__name__} {way}"] = len(thing), newest
            waiting += [(each, f"{way}[]") for each in inner]
        else:
            waiting += _behind(thing, way)
    return found


def _behind(thing: Any, way: str) -> Iterator[tuple[Any, str]]:
    """What an object that is no collection refers to, each with the way to it."""
    if isinstance(thing, tuple):
        yield from ((each, way) for each in thing)
    elif isinstance(thing, MethodType):
        yield thing.__self__, way
    elif isinstance(thing, partial):
        yield from ((each, way) for each in (thing.func, *thing.args, *thing.keywords.values()))
    elif isinstance(thing, FunctionType):
        cells = [cell for cell in thing.__closure__ or () if cell != type(cell)()]
        yield from ((cell.cell_contents, way) for cell in cells)
    elif type(thing).__module__.startswith(_OWNERS):
        for key in _attributes(thing):
            yield getattr(thing, key, None), f"{way}.{key}"


def _shown(entry: object) -> str:
    """An entry for a reader: numbers and words as they are, and of other objects the type."""
    parts = entry if type(entry) is tuple else (entry,)
    plain = all(isinstance(each, int | float | str | bytes) for each in parts)
    return repr(entry)[:_MOST_SHOWN] if plain else f"of type {type(entry).__name__}"


def _attributes(thing: Any) -> Iterable[str]:
    slots = [getattr(each, "__slots__", ()) for each in type(thing).__mro__]
    named = [each for group in slots for each in ([group] if isinstance(group, str) else group)]
    return dict.fromkeys([*getattr(thing, "__dict__", ()), *named])


def tell_growth(before: Collections, after: Collections, rounds: tuple[int, int]) -> list[str]:
    """Says in words which collections grew most from ``before`` to ``after``.

    ``rounds``: the number of rounds that had run by then, for each of the two.
    """
    grown = {
        key: size - before[key][0]
        for key, (size, _) in after.items()
        if key in before and size > before[key][0]
    }
    first, last = rounds
    return [
        f"{key[1]} grows: {before[key][0]} entries after {first} rounds and {after[key][0]} after "
        f"{last}, the newest {after[key][1]}"
        for key in sorted(grown, key=lambda key: (-grown[key], key[1]))[:_MOST_TOLD]
    ]

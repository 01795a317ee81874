"""Data as plain values of JSON and back, by the types that its classes declare.

Dataclasses, named tuples, tuples, mappings, counters, sets, enums and single values are known.
What is read was written by another process, perhaps of another version, so a value of a wrong type
is refused.  Nothing is ever unpickled from a shared folder.
"""

import types
import typing
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """``value`` as dicts, lists and single values; sets are sorted, mappings are lists of pairs."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: to_plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return [[to_plain(key), to_plain(each)] for key, each in value.items()]
    if isinstance(value, frozenset):
        return sorted(map(to_plain, value))
    if isinstance(value, tuple | list):
        return [to_plain(each) for each in value]
    return str(value) if isinstance(value, StrEnum) else value


def from_plain(kind: type[T], plain: Any) -> T:
    """The value of type ``kind`` that ``plain`` stands for.

    Raises:
        ValueError: ``plain`` stands for no such value.
    """
    made: T = _made(kind, plain)
    return made


def _made(kind: Any, plain: Any) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        (inner,) = [each for each in arguments if each is not type(None)]
        return None if plain is None else _made(inner, plain)
    if is_dataclass(kind):
        return _object(kind, plain)
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(origin, arguments, plain)
    if origin in (tuple, frozenset, Sequence) or _is_named(kind):
        return _row(kind, origin, arguments, plain)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return kind(plain)
    if type(plain) is kind or (kind is float and type(plain) is int):
        return plain
    raise ValueError(f"{plain!r} is no {getattr(kind, '__name__', kind)}")


def _object(kind: Any, plain: Any) -> Any:
    hints = _hints(kind)
    if not isinstance(plain, dict) or plain.keys() != hints.keys():
        raise ValueError(f"its fields are not those of {kind.__name__}")
    return kind(**{name: _made(hints[name], each) for name, each in plain.items()})


def _mapping(origin: Any, arguments: Any, plain: Any) -> Any:
    key, value = (*arguments, int)[:2]
    pairs = {_made(key, first): _made(value, second) for first, second in _listed(plain)}
    return Counter(pairs) if origin is Counter else pairs


def _row(kind: Any, origin: Any, arguments: Any, plain: Any) -> Any:
    row = _listed(plain)
    if _is_named(kind):
        return kind(*map(_made, _declared(kind).values(), row))
    if origin is tuple and arguments[-1] is not Ellipsis:
        return tuple(_made(each, value) for each, value in zip(arguments, row, strict=True))
    made = [_made(arguments[0], each) for each in row]
    return frozenset(made) if origin is frozenset else tuple(made)


def _listed(plain: Any) -> list[Any]:
    if not isinstance(plain, list):
        raise ValueError(f"{plain!r} is no list")
    return plain


def _is_named(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")


_declared = cache(typing.get_type_hints)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = _declared(kind)
    return {each.name: hints[each.name] for each in fields(kind)}

"""The compiler's public interface: a text is compiled once, and its entry points run over bytes.

``compile_module(text)`` checks a text; ``Module.entry(name, constants)`` compiles an entry point,
and ``Entry.bind(buffers)`` returns a function that runs it.  What was compiled is kept.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, TypeVar

import numpy as np

from gpusim.wgsl import syntax
from gpusim.wgsl.aliases import Aliases
from gpusim.wgsl.barriers import missed_barriers
from gpusim.wgsl.check import FEATURES, Checked, check
from gpusim.wgsl.exits import without_exits
from gpusim.wgsl.lower import Lowered
from gpusim.wgsl.parser import parse
from gpusim.wgsl.program import Program, Run
from gpusim.wgsl.syntax import TOO_DEEP, Place, ShaderError
from gpusim.wgsl.typed import Function, Symbol, override_key
from gpusim.wgsl.types import Type, size_of

Made = TypeVar("Made")


@dataclass(frozen=True, kw_only=True)
class Binding:
    """A buffer that an entry point uses: where it is bound, how, and the bytes it needs."""

    name: str
    group: int
    binding: int
    space: str
    access: str
    type: Type
    least_bytes: int


@dataclass(frozen=True, kw_only=True)
class EntryPoint:
    """A compute shader's interface."""

    name: str
    workgroup_size: tuple[int, int, int]
    bindings: tuple[Binding, ...]
    immediate_bytes: int
    workgroup_bytes: int


class Entry:
    """A compiled entry point."""

    def __init__(self, function: Function) -> None:
        self.function = function
        bound = [symbol for symbol in function.uses if symbol.kind == "var"]
        self.point = EntryPoint(
            name=function.name,
            workgroup_size=function.workgroup_size or (1, 1, 1),
            bindings=tuple(sorted(map(_binding, filter(_is_bound, bound)), key=_slot)),
            immediate_bytes=sum(
                size_of(symbol.type) for symbol in bound if symbol.space == "immediate"
            ),
            workgroup_bytes=sum(
                size_of(symbol.type) for symbol in bound if symbol.space == "workgroup"
            ),
        )

    @cached_property
    def _lowered(self) -> Lowered:
        return self._shallow(lambda: Lowered(self.function))

    @cached_property
    def _body(self) -> Any:
        return self._shallow(lambda: without_exits(self._lowered.body))

    def _shallow(self, make: Callable[[], Made]) -> Made:
        """Call ``make``; ShaderError if the nesting is too deep for ``make`` or for Python."""
        try:
            return make()
        except (RecursionError, MemoryError, SyntaxError) as error:
            if isinstance(error, SyntaxError) and not error.msg.startswith("too many"):
                raise
            raise ShaderError(TOO_DEEP, self.function.place) from None

    @cached_property
    def missed_barriers(self) -> tuple[Place, ...]:
        """The places of barriers that some invocations may miss, in called functions as well."""
        return missed_barriers([self.function])

    def compile(self) -> None:
        """Compile now, and not at the first use; ShaderError if the nesting is too deep."""
        _ = self.flat

    @cached_property
    def flat(self) -> Program:
        """The Python for grids of one dimension; ShaderError if the nesting is too deep."""
        return self._shallow(lambda: Program(self._lowered, self._body, flat=True))

    @cached_property
    def solid(self) -> Program:
        """The Python for other grids."""
        return self._shallow(lambda: Program(self._lowered, self._body, flat=False))

    def bind(self, buffers: Sequence[Any], immediates: Any = None, *, varied: bool = False) -> Run:
        """A function that runs the entry point over a grid of ``x, y, z`` workgroups.

        ``buffers``: for each of ``point.bindings`` its bytes, an array of uint8 that each run uses.
        ``immediates``: the bytes of the immediates, if the entry point has any.
        ``varied``: where WGSL leaves something open, decide it in another way: the order of
        invocations, which of several writes to a word stays, what is read past the end.  WGSL does
        not specify the bytes that then differ from those of a plain run.
        """
        arrays = self._arrays(buffers, immediates)
        if varied:
            return lambda x, y, z: self._run_varied(arrays, (x, y, z))
        flat = self.flat.make(*arrays)
        solid: list[Run] = []

        def run(x: int, y: int, z: int) -> None:
            if y == 1 and z == 1:
                flat(x, 1, 1)
                return
            if not solid:
                solid.append(self.solid.make(*arrays))
            solid[0](x, y, z)

        return run

    def _run_varied(self, arrays: list[Any], grid: tuple[int, int, int]) -> None:
        """Run with other decisions where WGSL leaves something open.

        If results of atomics are used, there are two such runs, which differ in the order of
        atomics.  A byte about which they disagree gets a third value, which a plain run is unlikely
        to give.
        """
        program = self.flat if grid[1:] == (1, 1) else self.solid
        inward = program.make_inward
        others = [each.copy() for each in arrays] if inward else []
        program.make_varied(*arrays)(*grid)
        if inward:
            inward(*others)(*grid)
        for array, other in zip(arrays, others, strict=False):
            apart = array != other
            array[apart] = _third(array[apart], other[apart])

    def _arrays(self, buffers: Sequence[Any], immediates: Any) -> list[Any]:
        return [immediates if at < 0 else buffers[at] for at in self._order]

    @cached_property
    def _order(self) -> list[int]:
        """For each bound memory the number of its binding; -1 for the immediates."""
        slots = [(each.group, each.binding) for each in self.point.bindings]
        return [
            -1 if symbol.space == "immediate" else slots.index((symbol.group, symbol.binding))
            for symbol in self._lowered.bound
        ]


class Module:
    """A checked text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.unit: syntax.Unit = parse(text)
        self.checked: Checked = check(self.unit)
        self._plain = {name: Entry(each) for name, each in self.checked.entry_points.items()}
        """The entry points with each override at its default, or at 1 if it has no default."""
        self._entries: dict[Any, Entry] = {}

    @property
    def entry_points(self) -> tuple[str, ...]:
        """The names of its compute shaders, in order."""
        return tuple(self.checked.entry_points)

    @cached_property
    def missed_barriers(self) -> tuple[Place, ...]:
        """The places of barriers that some invocations may miss: the first of each function."""
        return missed_barriers(self.checked.functions)

    @cached_property
    def aliased_calls(self) -> tuple[Place, ...]:
        """Calls that reach one variable in two ways and write it: the first of each function."""
        aliases = Aliases()
        found = [aliases.wrong_call(function) for function in self.checked.functions]
        return tuple(place for place in found if place is not None)

    @property
    def features(self) -> tuple[str, ...]:
        """The features of a device that the text needs, by their names in WebGPU."""
        enabled = [word for each in self.unit.directives for word in each.words]
        spaces = [
            entry.name
            for node in self.unit.declarations
            if isinstance(node, syntax.Declaration)
            for entry in node.space
            if isinstance(entry, syntax.Named)
        ]
        needed = [name for word, name in FEATURES.items() if word in enabled]
        return (*needed, *["immediates"] * ("immediate" in spaces))

    @property
    def overrides(self) -> tuple[Symbol, ...]:
        """The overrides, which a pipeline can set."""
        return self.checked.overrides

    def entry(self, name: str, constants: Mapping[str, float] | None = None) -> Entry:
        """A compiled entry point; ``constants`` has the values that a pipeline gives to overrides.

        Their keys are those of ``override_key``: an override's number, or its name if it has none.

        Raises:
            ShaderError: an override has no value, or a value that its type or its use forbids.
        """
        if not self.overrides:
            return self._plain[name]
        given = {str(key): value for key, value in (constants or {}).items()}
        key = (name, tuple(sorted(given.items())))
        made = self._entries.get(key)
        if made is None:
            made = self._entries[key] = self._compiled(name, given)
        return made

    def _compiled(self, name: str, given: dict[str, float]) -> Entry:
        function = check(self.unit, given).entry_points[name]
        for symbol in function.uses:
            needed = symbol.kind == "override" and not symbol.has_default
            if needed and override_key(symbol) not in given:
                raise ShaderError(f"the override {symbol.name} has no value", symbol.place)
        return Entry(function)


@lru_cache(maxsize=256)
def compile_module(text: str) -> Module:
    """The module of a text; ShaderError if WGSL forbids the text, or it is not supported."""
    return Module(text)


def _third(one: Any, other: Any) -> Any:
    """For each byte of ``one``, a value that differs from it and from that byte of ``other``."""
    taken = [(one == value) | (other == value) for value in (0xA5, 0x5A)]
    return np.where(~taken[0], 0xA5, np.where(~taken[1], 0x5A, 0x3C))


def _is_bound(symbol: Symbol) -> bool:
    return symbol.group >= 0


def _binding(symbol: Symbol) -> Binding:
    return Binding(
        name=symbol.name,
        group=symbol.group,
        binding=symbol.binding,
        space=symbol.space,
        access=symbol.access,
        type=symbol.type,
        least_bytes=size_of(symbol.type),
    )


def _slot(binding: Binding) -> tuple[int, int]:
    return binding.group, binding.binding

"""An entry point as a Python function: its blocks, its built-in values, and its memories.

A block is as many whole workgroups as fit into ``BLOCK`` lanes, or ``LONG_BLOCK`` in a short
shader, so that arrays stay in the processor's caches.  If a condition around the whole shader
bounds the lane's number, no lanes beyond the bound run.  Grids of one dimension have Python of
their own, since their built-in values are simpler.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from gpusim.wgsl import affine
from gpusim.wgsl.componentwise import leaves_in
from gpusim.wgsl.emit import Writer
from gpusim.wgsl.frames import Frame, Lines, written
from gpusim.wgsl.ir import Assign, If, Statement, Variable
from gpusim.wgsl.lanes import INWARD, NAMES, VARIED
from gpusim.wgsl.lower import Lowered
from gpusim.wgsl.ranges import LARGEST, most_of
from gpusim.wgsl.uniformity import assigned, find_varying

BLOCK = 24_576
"""Arrays of so many words are below 128 KiB.  glibc maps memory anew for each larger array."""
LONG_BLOCK = 65_536
_SHORT = 8
"""A shader is short if its Python has at most this many calls in a block.

In a short shader, the fixed cost of each block matters most.
"""
MOST_ROUNDS = 1 << 22
_VARIED_BLOCKS = 128
"""The most blocks of a varied run."""
Run = Callable[[int, int, int], None]


class Program:
    """The Python of one entry point: with ``flat`` for grids of one dimension, else for others."""

    def __init__(self, lowered: Lowered, body: list[Statement], *, flat: bool) -> None:
        self._lowered, self._body, self._flat = lowered, body, flat
        x, y, z = lowered.workgroup_size
        self._size = x * y * z
        unneeded: dict[Variable, None] = {}
        for _ in range(2):
            writer = self._writer()
            writer.unneeded = unneeded
            text = self._write(writer)
            unneeded = self._unneeded(writer)
        self.text = "\n".join(text) + "\n"
        self._asks = writer.asks
        self._constants = {**writer.constants, "most_rounds": MOST_ROUNDS}
        for memory in self._lowered.memories:
            if memory.space == "constant":
                self._constants[f"bytes_{memory}"] = memory.data[0]
        self._code = compile(self.text, "<wgsl>", "exec")

    def _writer(self) -> Writer:
        return Writer(self._lowered.workgroup_size)

    @cached_property
    def make(self) -> Callable[..., Run]:
        """Takes the bytes of each bound memory, and returns the function that runs a grid."""
        return self._made(NAMES, lambda stop: self._block)

    @cached_property
    def make_varied(self) -> Callable[..., Run]:
        """Like ``make``, but with another decision wherever WGSL leaves something open.

        Blocks are small and run in reverse order.  If several lanes write one element, the first
        lane's value stays.  A read past the end gives another value.
        """
        together = self._size if self._lowered.shares else 1
        return self._made(VARIED, lambda stop: self.smallest_block(stop, together))

    @staticmethod
    def smallest_block(stop: int, together: int) -> int:
        """How few lanes a block can have, if there may be at most ``_VARIED_BLOCKS`` blocks.

        The grid has ``stop`` lanes.  A block must have a multiple of ``together`` lanes.
        """
        return max(1, -(-stop // (together * _VARIED_BLOCKS))) * together

    @cached_property
    def make_inward(self) -> Callable[..., Run] | None:
        """Like ``make``, but lanes reach atomics in an order that ``make_varied`` does not have.

        None if the shader uses no result of an atomic.
        """
        return self._made(INWARD, lambda stop: self._block) if self._asks else None

    def _made(self, names: dict[str, Any], block: Callable[[int], int]) -> Callable[..., Run]:
        space = {**self._constants, **names, "block_of": block}
        exec(self._code, space)
        made: Callable[..., Run] = space["make"]
        return made

    def _unneeded(self, writer: Writer) -> dict[Variable, None]:
        """The fixed variables whose values decide nothing that the shader does.

        Nothing reads them but other such variables.  Results of atomics may be among them.
        """
        needed: dict[Variable, None] = {}
        todo = [variable for variable, by in writer.readers.items() if None in by]
        uses: dict[Variable, list[Variable]] = {}
        for variable, by in writer.readers.items():
            for reader in by:
                if reader is not None:
                    uses.setdefault(reader, []).append(variable)
        while todo:
            variable = todo.pop()
            if variable not in needed:
                needed[variable] = None
                todo += uses.get(variable, [])
        fixed = [variable for variable in assigned(self._body) if variable.fixed]
        return {variable: None for variable in fixed if variable not in needed}

    def _write(self, writer: Writer) -> list[str]:
        writer.frame = root = writer.root
        writer.shares = self._lowered.shares
        root.in_row = True
        root.uses_start = True
        outer: Lines = []
        varying = self._built_ins(writer, root, outer)
        find_varying(self._body, varying)
        writer.lines = []
        before, body = self._guarded(writer, root)
        writer.statements(body)
        inner: Lines = [*self._memories(writer, root), *root.first, *writer.lines]
        calls = sum(line.count("(") for line in written(inner))
        lanes = BLOCK if calls > _SHORT else LONG_BLOCK
        self._block = max(1, lanes // self._size) * self._size
        loop: Lines = [
            *outer,
            *(f"{name} = {code}" for name, code in writer.once.items()),
            f"stop = x * y * z * {self._size}",
            *before,
            "block = block_of(stop)",
            f"for {root.start} in walk(0, stop, block):",
            # A call of min costs as much as a small array's arithmetic.
            [
                f"{root.count} = stop - {root.start}",
                f"if {root.count} > block: {root.count} = block",
                *inner,
            ],
        ]
        if writer.floats:
            loop = ["with errstate(all='ignore'):", loop]
        given = ", ".join(f"bytes_{memory}" for memory in self._lowered.bound.values())
        return written(
            [
                f"def make({given}):",
                [*self._views(writer), "def run(x, y, z):", loop, "return run"],
            ]
        )

    def _guarded(self, writer: Writer, root: Frame) -> tuple[Lines, list[Statement]]:
        """Returns the lines that run once before the blocks, and the statements of each block.

        If a condition around all statements bounds the lane's number, the condition becomes such
        lines, and the statements under it are those of the block.  Otherwise there are no lines.
        """
        body = self._body
        if not body or self._lowered.shares or not isinstance(body[-1], If) or body[-1].other:
            return [], body
        guard = body[-1]
        if not all(isinstance(each, Assign) and each.variable.fixed for each in body[:-1]):
            return [], body
        shared = [each for each in body[:-1] if not each.variable.varying]  # type: ignore[union-attr]
        kept = [each for each in body[:-1] if each.variable.varying]  # type: ignore[union-attr]
        for each in body[:-1]:
            assert isinstance(each, Assign)
            writer.polynomials[each.variable] = writer.kept(each.value)
            writer.most[each.variable] = most_of(each.value, writer.most)
        bound = writer.bound(guard.condition)
        if bound is None or bound[0] != "below":
            return [], body
        writer.statements(shared)
        before, writer.lines = writer.lines, []
        before += [f"bound = {bound[1]}", "if bound < stop: stop = bound"]
        root.below = bound[2]
        return before, [*kept, *guard.then]

    def _views(self, writer: Writer) -> Lines:
        lines: Lines = []
        for memory in dict.fromkeys(memory for memory, _ in writer.views):
            if memory.space in ("workgroup", "private"):
                continue
            kinds = [kind for each, kind in writer.views if each is memory]
            lines += [
                f"{writer.views[memory, kind]} = bytes_{memory}.view({kind})" for kind in kinds
            ]
        for memory in self._lowered.bound.values():
            lines.append(f"size_{memory} = len(bytes_{memory})")
        return lines

    def _memories(self, writer: Writer, root: Frame) -> Lines:
        lines: Lines = []
        for (memory, kind), name in writer.views.items():
            units = memory.size // (2 if kind == "f16" else 4)
            if memory.space == "private":
                lines.append(f"{name} = zeros(({units}, {root.count}), {kind})")
            elif memory.space == "workgroup":
                groups = f"{root.count} // {self._size}"
                lines.append(f"{name} = zeros({groups} * {units}, {kind})")
        return lines

    def _built_ins(self, writer: Writer, root: Frame, outer: Lines) -> list[Variable]:
        """Give the built-in values their Python.  Returns those that vary."""
        size, counted, first = self._size, root.count, root.start
        workgroup = Variable("w", "u32", fixed=True, varying=True)
        local = Variable("l", "u32", fixed=True, varying=True)
        root.lazy[workgroup] = lambda: f"workgroup_numbers({first}, {counted}, {size})"
        root.lazy[local] = lambda: f"local_numbers({first} % {size}, {counted}, {size})"
        root.lazy[writer.lane] = lambda: f"lane_numbers({counted})"
        root.lazy[writer.group] = lambda: f"group_numbers({first} % {size}, {counted}, {size})"
        scope = _Scope(self._lowered.workgroup_size, self._flat, root, workgroup, local)
        varying: list[Variable] = []
        for name, cells in self._lowered.built_ins.items():
            for axis, variable in enumerate(leaves_in(cells.tree)):
                polynomial, shared, code = scope.part(name, axis)
                writer.polynomials[variable] = polynomial
                variable.varying = shared is None
                writer.most[variable] = scope.most(name, axis)
                if shared is not None:
                    outer.append(f"{variable} = {shared}")
                else:
                    root.lazy[variable] = code
                    writer.built_ins[variable] = None
                    varying.append(variable)
        if not self._flat:
            writer.linear = affine.linear_workgroup("x", "y")
        return varying


Part = tuple[affine.Polynomial | None, str | None, Callable[[], str]]


class _Scope:
    """The built-in values of one kind of grid."""

    def __init__(
        self,
        sizes: tuple[int, int, int],
        flat: bool,
        root: Frame,
        workgroup: Variable,
        local: Variable,
    ) -> None:
        self._sizes, self._flat, self._root = sizes, flat, root
        self._workgroup, self._local = workgroup, local

    def part(self, name: str, axis: int) -> Part:
        """What is known of the component ``axis`` of the built-in value ``name``.

        Returns its polynomial, if it has one; its Python, if all lanes share one value, or else
        None; and a function that makes the Python of the array of its values.
        """
        if name == "num_workgroups":
            count_name = "xyz"[axis]
            return affine.atom(count_name), count_name, str
        if name == "workgroup_id":
            return self._workgroup_id(axis)
        if name == "local_invocation_id":
            return self._local_id(axis)
        if name == "global_invocation_id":
            return self._global_id(axis)
        size = self._sizes[0] * self._sizes[1] * self._sizes[2]
        workgroup, local = affine.atom(affine.WORKGROUP), affine.atom(affine.LOCAL)
        if name == "local_invocation_index":
            return local, "0" if size == 1 else None, lambda: self._root.read(self._local)
        if name == "workgroup_index":
            return workgroup, None, lambda: self._root.read(self._workgroup)
        assert name == "global_invocation_index", name
        whole = affine.add(affine.multiply(workgroup, affine.constant(size)) or {}, local)
        return whole, None, self._lane

    def most(self, name: str, axis: int) -> int:
        """The largest value of a component."""
        if name == "local_invocation_id":
            return self._sizes[axis] - 1
        if name == "local_invocation_index":
            return self._sizes[0] * self._sizes[1] * self._sizes[2] - 1
        return LARGEST

    def _lane(self) -> str:
        start, lanes = self._root.start, self._root.count
        return f"arange({start}, {start} + {lanes}).astype(u32)"

    def _workgroup_id(self, axis: int) -> Part:
        if self._flat:
            if axis:
                return affine.constant(0), "0", str
            return affine.atom(affine.WORKGROUP), None, lambda: self._root.read(self._workgroup)
        name = (affine.X, affine.Y, affine.Z)[axis]
        form = ("{0} % x", "{0} // x % y", "{0} // (x * y)")[axis]
        return affine.atom(name), None, lambda: form.format(self._root.read(self._workgroup))

    def _local_id(self, axis: int) -> Part:
        x, y, z = self._sizes
        if self._sizes[axis] == 1:
            return affine.constant(0), "0", str
        if x * y * z == self._sizes[axis]:
            return affine.atom(affine.LOCAL), None, lambda: self._root.read(self._local)
        form = (f"{{0}} % {x}", f"{{0}} // {x} % {y}", f"{{0}} // {x * y}")[axis]
        polynomial = affine.atom(affine.AXES[axis])
        return polynomial, None, lambda: form.format(self._root.read(self._local))

    def _global_id(self, axis: int) -> Part:
        group, shared_group, group_code = self._workgroup_id(axis)
        local, shared_local, local_code = self._local_id(axis)
        size = self._sizes[axis]
        polynomial = None
        if group is not None and local is not None:
            scaled = affine.multiply(group, affine.constant(size)) or {}
            polynomial = affine.add(scaled, local)
        if shared_group and shared_local:
            return polynomial, "0", str
        if axis == 0 and self._flat and self._sizes[1:] == (1, 1):
            return polynomial, None, self._lane

        def code() -> str:
            start = shared_group or group_code()
            return f"({start}) * {size} + ({shared_local or local_code()})"

        return polynomial, None, code

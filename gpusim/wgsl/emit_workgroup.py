"""Writes how lanes reach workgroup memory: all by steps along axes, or each by its own index.

If an index is a step along each axis of the workgroup plus a value that all lanes share, a NumPy
view takes the place of indices.  For this, all lanes of the block must reach the memory together,
or all lanes of a box (``frames.py``).  Otherwise the part of an index that never changes is
computed once for each block.
"""

from gpusim.wgsl import affine
from gpusim.wgsl.emit_expressions import ExpressionWriter
from gpusim.wgsl.emit_indices import unit_of
from gpusim.wgsl.ir import Address, Get, Memory, Scalar, Store, Variable


class WorkgroupWriter(ExpressionWriter):
    """Writes loads from workgroup memory and stores to it."""

    def load_workgroup(self, array: str, memory: Memory, address: Address, kind: str) -> str:
        """The Python of a load."""
        if self.frame.parent is None and self._is_whole(memory, address, kind):
            return array
        seen = self._steps_of(memory, address, kind)
        if seen is not None:
            return f"spread({array}, {seen[1]})"
        base, row = self._place(memory, address, kind)
        return f"{array}{row and f'[{row}:]'}.take({base}, mode='clip')"

    def store_workgroup(self, statement: Store, array: str) -> None:
        """Write a store."""
        memory, address, value = statement.memory, statement.address, statement.value
        code = self.code(value)
        seen = self._steps_of(memory, address, value.type)
        if seen is not None and _apart(seen[0]):
            self.lines.append(f"store_spread({array}, {seen[1]}, {code})")
            return
        where = self.workgroup_index(memory, address, value.type)
        self.lines.append(f"store_at({array}, {where}, {code})")

    def _is_whole(self, memory: Memory, address: Address, kind: str) -> bool:
        """Whether lane k of each workgroup reaches element k, and there are no other elements."""
        is_own = self.polynomial_of(address, kind) == affine.atom(affine.LOCAL)
        return is_own and memory.size // unit_of(kind) == self.size

    def _steps_of(
        self, memory: Memory, address: Address, kind: str
    ) -> tuple[list[tuple[int, int]], str] | None:
        """How lanes step through a memory: an entry for each axis, z first, and Python.

        An entry is the most lanes that the axis can have, and the step in elements.  The Python is
        the arguments that ``spread`` takes after the memory.  None if lanes take no such steps, or
        may step outside the memory.
        """
        total, box = self.polynomial_of(address, kind), self.frame.box
        found = None if total is None else affine.steps(total, self.sizes)
        if found is None or (self.frame.parent is not None and box is None):
            return None
        steps, rest = found
        sizes, counts = [*self.sizes], [str(size) for size in self.sizes]
        if box is not None:
            sizes[box.axis], counts[box.axis] = box.most, box.count
            if box.first != "0":
                rest = affine.add(rest, {(box.first,): steps[box.axis]})
        axes = [*zip(sizes, steps, strict=True)][::-1]
        units = memory.size // unit_of(kind)
        first, is_known = affine.python_of(rest), not rest.keys() - {()}
        if rest.get((), 0) * is_known + sum((size - 1) * step for size, step in axes) >= units:
            return None
        if not is_known:
            first = f"({first}) & 0xffffffff"
        shown = ", ".join(
            f"({count}, {step})" for count, step in zip(counts[::-1], steps[::-1], strict=True)
        )
        return axes, f"{self.root.count} // {self.size}, {units}, {first}, ({shown})"

    def workgroup_index(self, memory: Memory, address: Address, kind: str) -> str:
        """Where each lane finds an element of workgroup memory."""
        base, row = self._place(memory, address, kind)
        return f"({base} + {row})" if row else base

    def _place(self, memory: Memory, address: Address, kind: str) -> tuple[str, str]:
        """Two summands of each lane's index: one of its own, and one that all lanes share.

        The second is ``""`` if there is none.
        """
        units = memory.size // unit_of(kind)
        if self._is_whole(memory, address, kind):
            return self.frame.read(self.lane), ""
        fixed = [term for term in address.terms if self._is_built_in(term[1])]
        rest = Address(address.constant, tuple(each for each in address.terms if each not in fixed))
        most = self.most_index(Address(0, tuple(fixed)), kind)
        base = self.frame.read(self._base(units, fixed, kind))
        whole = self.shared_index(rest, kind)
        if whole is not None and most < units:
            row = whole if whole.isdigit() else f"min({whole}, {units - 1 - most})"
            return base, "" if row == "0" else row
        index = self.index(address, kind)
        if self.most_index(address, kind) >= units:
            index = f"minimum({index}, {units - 1})"
        return f"({self.frame.read(self._base(units, [], kind))} + {index})", ""

    def _is_built_in(self, index: Scalar) -> bool:
        return isinstance(index, Get) and index.variable in self.built_ins

    def _base(self, units: int, terms: list[tuple[int, Scalar]], kind: str) -> Variable:
        """The variable that has the index where the memory of each lane's workgroup begins.

        The values of ``terms``, which never change, are added to it.
        """
        unit = unit_of(kind)
        factors = tuple(
            (index.variable, stride // unit) for stride, index in terms if isinstance(index, Get)
        )
        variable = self.bases.get((units, factors))
        if variable is None:
            variable = Variable("base", "intp", fixed=True, varying=True)
            self.bases[units, factors] = variable

            def code() -> str:
                parts = [f"{self.root.read(self.group)} * {units}"]
                parts += [f"{self.root.read(each)} * {factor}" for each, factor in factors]
                return " + ".join(parts)

            self.root.lazy[variable] = code
        return variable


def _apart(axes: list[tuple[int, int]]) -> bool:
    """Whether lanes of one workgroup with these counts and steps all reach different elements."""
    reach = 0
    for step, size in sorted((step, size) for size, step in axes if size > 1):
        if step <= reach:
            return False
        reach += step * (size - 1)
    return True

"""Ops without which a case passes: a mistake in which they play no part is unlikely."""

from collections.abc import Mapping
from typing import Any

from gpusim import Kernel
from gpusim.kernels import BUILTIN
from gpusim.program import Program
from properties.explain.argument import Argument
from properties.explain.explain import explain
from properties.model.case import NO_POLICY, Case, DeviceSpec
from properties.oracles.judge import judge
from properties.targets.factory import AdapterFactory
from tests.judge.foreign import Foreign

_SLOTS, _PAGE_BYTES = 4, 256
_ZEROS = (0, 0)


class KeepsSizes(Foreign):
    """Finds the plan of a copy by its places, without its size."""

    def __init__(self, device: Any, kernels: Mapping[str, Kernel]) -> None:
        super().__init__(device, kernels)
        self._plans: dict[tuple[str, int, str, int], int] = {}

    def copy(self, source: str, at: int, target: str, target_at: int, size_bytes: int) -> None:
        size = self._plans.setdefault((source, at, target, target_at), size_bytes)
        super().copy(source, at, target, target_at, size)


class FewSlots(Foreign):
    """Begins again with the first slot of a full batch, and uploads only what it wrote since."""

    _count = 0

    def flush(self) -> None:
        super().flush()
        self._count = 0

    def _slot_with(self, values: tuple[Any, ...]) -> int:
        slot = self._count % _SLOTS
        if slot == 0:
            self._slots[:] = [_ZEROS] * _SLOTS
        self._slots[slot] = values
        self._count += 1
        return slot


class OnePage(Foreign):
    """Writes the second page of a write over the first."""

    def write(self, buffer: str, data: bytes, offset: int) -> None:
        page = offset // _PAGE_BYTES * _PAGE_BYTES
        room = page + _PAGE_BYTES - offset
        super().write(buffer, data[:room], offset)
        if data[room:]:
            super().write(buffer, data[room:], page)


class Marks(Foreign):
    """Marks a buffer in its first byte when it is written elsewhere."""

    def write(self, buffer: str, data: bytes, offset: int) -> None:
        super().write(buffer, data, offset)
        if offset:
            super().write(buffer, b"\x5a", 0)


def _argument(target: type[Foreign], program: str) -> Argument:
    factory = AdapterFactory("simulated", BUILTIN, make_target=target)
    device = DeviceSpec(name="simulated")
    case = Case(program=Program.parse(program), device=device, policy=NO_POLICY, target="own")
    return explain(judge(case, factory), lambda each: judge(each, factory))


def test_a_copy_with_the_size_of_an_earlier_copy_is_named() -> None:
    argument = _argument(
        KeepsSizes,
        "alloc a 4\nalloc b 4\ncopy b 0 a 0 4\nwrite a 0 01010101\ncopy b 0 a 0 0\n"
        "read a 0 4 -> r0\n",
    )
    assert argument.sentence == "op 4 (copy b 0 a 0 0) moved 4 bytes, the size of op 2"
    assert argument.rule is not None
    assert argument.rule.name == "A5"


def test_slots_that_are_used_again_within_a_batch_are_counted() -> None:
    argument = _argument(
        FewSlots,
        "alloc a 4\n" + "dispatch affine a 1,1 1x1x1\n" * 2 + "read a 0 4 -> r0\n"
        "dispatch affine a 1,1 1x1x1\ndispatch affine a 1,1 1x1x1\ndispatch affine a 1,2 1x1x1\n",
    )
    assert argument.sentence == (
        "op 1 (dispatch affine a 1,1 1x1x1) ran with the scalars of op 6 (1,2), as if slots for "
        "scalars were used again after 4 dispatches of a batch, and the slots that were used once "
        "held zeros"
    )


def test_a_write_is_named_whose_second_page_lands_in_the_first() -> None:
    argument = _argument(OnePage, "alloc a 512\nwrite a 253 01010101\nread a 0 4 -> r0\n")
    assert argument.sentence == (
        "op 1 (write a 253 01010101) put its bytes from byte 256 on at byte 0"
    )


def test_an_alloc_is_not_accused_if_a_later_op_is_needed() -> None:
    argument = _argument(Marks, "alloc a 8\nwrite a 4 01010101\nread a 0 4 -> r0\n")
    assert argument.sentence == (
        "op 2 (read a 0 4 -> r0) returned other bytes than it should, and no single known mistake "
        "explains these bytes"
    )

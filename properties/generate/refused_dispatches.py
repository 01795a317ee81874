"""The invalid dispatches: one function for each refusal of the contract.

A valid dispatch is drawn.  Then one thing in it is made wrong.  At times two things are made wrong,
to see which of them is refused first.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf, nextafter

from gpusim.kernels.kernel import F32_MAX
from gpusim.limits import WORD_BYTES
from gpusim.ops import AnyDispatch, Bound, Dispatch, DispatchIndirect, Grid, Op, Part
from properties.generate.choices import Choices, Weights
from properties.generate.draft import Draft, LiveBuffer
from properties.generate.moves import bind
from properties.generate.operands import Signature, draw_scalars
from properties.generate.shape import Shape

_PAST = (1, 4, 3, 64, 2**31, 2**32)
_PAST_F32 = nextafter(F32_MAX, inf)
"""The next double above the largest f32.  It rounds to that f32."""
BAD_SCALARS: dict[str, tuple[int | float, ...]] = {
    "u32": (-1, 2**32, 1.5, 2.0, float("nan")),
    "i32": (2**31, -(2**31) - 1, 0.5, -1.0, float("inf")),
    "f32": (float("nan"), float("inf"), -float("inf"), _PAST_F32, 2**128),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Launch:
    """The parts of a dispatch, while mistakes are put into them."""

    signature: Signature
    buffers: tuple[Bound, ...]
    scalars: tuple[int | float, ...]
    grid: Grid = (1, 1, 1)
    place: tuple[str, int] | None = None
    """The buffer and the byte at which the grid begins; None if the host gives the grid."""

    def op(self) -> AnyDispatch:
        """Returns the dispatch as an op."""
        kernel, buffers, scalars = self.signature.name, self.buffers, self.scalars
        if self.place is None:
            return Dispatch(kernel=kernel, buffers=buffers, scalars=scalars, grid=self.grid)
        counts, offset = self.place
        return DispatchIndirect(
            kernel=kernel, buffers=buffers, scalars=scalars, counts=counts, offset=offset
        )


_Fault = Callable[[Choices, Draft, _Launch], _Launch | None]


def bad_dispatch(choices: Choices, draft: Draft, shape: Shape) -> Op | None:
    """A dispatch with one mistake, at times two."""
    signature = choices.weighted(shape.kernels)
    bound = _bound(choices, draft, signature)
    if bound is None:
        return None
    scalars = draw_scalars(choices, signature, draft.take_dispatch_number())
    right = _Launch(
        signature=signature, buffers=tuple([buffer.name for buffer in bound]), scalars=scalars
    )
    if draft.indirect and choices.chance(2, 3):
        right = _indirect(choices, draft, right)
    wrong = _first_that_applies(choices, draft, right)
    if choices.chance(1, 6):
        wrong = choices.weighted(_FAULTS)(choices, draft, wrong) or wrong
    return wrong.op()


def _indirect(choices: Choices, draft: Draft, launch: _Launch) -> _Launch:
    """``launch`` with a grid that is read from a buffer which the kernel does not write.

    Unchanged if no such buffer holds a grid.
    """
    written = [
        name for name, flag in zip(launch.buffers, launch.signature.written, strict=True) if flag
    ]
    pool = [one for one in draft.counting() if one.name not in written]
    return replace(launch, place=(choices.pick(pool).name, 0)) if pool else launch


def orphaned_dispatch(choices: Choices, draft: Draft, shape: Shape) -> Op | None:
    """A dispatch that was accepted before, over a buffer that has been freed since."""
    return draft.orphan


def _bound(choices: Choices, draft: Draft, signature: Signature) -> Sequence[LiveBuffer] | None:
    if all(draft.bindable(real) for real in signature.floats):
        return bind(choices, draft, signature)
    return None


def _first_that_applies(choices: Choices, draft: Draft, right: _Launch) -> _Launch:
    if draft.wide_grid and not right.signature.guarded and choices.chance(1, 3):
        # This grid was accepted for a guarded kernel.  A runtime that remembers checked dispatches
        # but not their kernels would accept it for this kernel too.
        return replace(right, grid=draft.wide_grid, place=None)
    return choices.weighted(_FAULTS)(choices, draft, right) or _wrong_count(choices, draft, right)


def _freed_buffer(choices: Choices, draft: Draft, launch: _Launch) -> _Launch | None:
    if not draft.freed or not launch.buffers:
        return None
    return _with_buffer(choices, launch, choices.pick(draft.freed))


def _wordless_buffer(choices: Choices, draft: Draft, launch: _Launch) -> _Launch | None:
    small = [buffer.name for buffer in draft.live if buffer.size_bytes < WORD_BYTES]
    if not small or not launch.buffers:
        return None
    return _with_buffer(choices, launch, choices.pick(small))


def _long_buffer(choices: Choices, draft: Draft, launch: _Launch) -> _Launch | None:
    most = draft.limits.max_binding_bytes
    long = [
        buffer.name for buffer in draft.live if buffer.size_bytes // WORD_BYTES * WORD_BYTES > most
    ]
    if not long or not launch.buffers:
        return None
    return _with_buffer(choices, launch, choices.pick(long))


def _aliased_buffer(choices: Choices, draft: Draft, launch: _Launch) -> _Launch | None:
    signature = launch.signature
    if len(launch.buffers) < 2 or len(launch.buffers) != len(signature.written):
        return None
    written = choices.pick([at for at, flag in enumerate(signature.written) if flag] or [0])
    if not signature.written[written]:
        return None
    other = choices.pick([at for at in range(len(launch.buffers)) if at != written])
    buffers = list(launch.buffers)
    buffers[other] = buffers[written]
    return replace(launch, buffers=tuple(buffers))


def _bad_part(choices: Choices, draft: Draft, launch: _Launch) -> _Launch | None:
    """A part that is out of its buffer, starts where none may start, or has no whole word."""
    names = [name for name in launch.buffers if isinstance(name, str)]
    if not draft.parts or not names:
        return None
    step = draft.limits.storage_offset_alignment_bytes
    name = choices.pick(names)
    size = next((one.size_bytes for one in draft.live if one.name == name), 0)
    parts = (
        Part(name, 0, size + choices.pick(_PAST)),
        Part(name, step * (size // step + 1), WORD_BYTES),
        Part(name, -step, step),
        Part(name, 0, -WORD_BYTES),
        Part(name, 0, choices.integer(0, WORD_BYTES - 1)),
        Part(name, min(choices.pick((WORD_BYTES, step // 2, 1)), size), WORD_BYTES),
        Part(name, WORD_BYTES, max(size - WORD_BYTES, 0)),
    )
    return _with_buffer(choices, launch, choices.pick(parts))


def _aliased_parts(choices: Choices, draft: Draft, launch: _Launch) -> _Launch | None:
    """Two parts of one buffer, both written and sharing a word, or only one of them written.

    If only one is written, the dispatch is refused although the parts share no word.
    """
    step, written = draft.limits.storage_offset_alignment_bytes, launch.signature.written
    long = [one for one in draft.bindable(False) if one.size_bytes >= step + WORD_BYTES]
    two = len(launch.buffers) == len(written) >= 2 and any(written)
    if not draft.parts or launch.signature.real or not long or not two:
        return None
    buffer = choices.pick(long)
    at = choices.pick([at for at, flag in enumerate(written) if flag])
    other = choices.pick([each for each in range(len(written)) if each != at])
    apart = step - (WORD_BYTES * choices.integer(0, 1) if not written[other] else 0)
    buffers = list(launch.buffers)
    buffers[at] = Part(buffer.name, 0, apart if not written[other] else step + WORD_BYTES)
    buffers[other] = Part(buffer.name, step, buffer.size_bytes - step)
    return replace(launch, buffers=tuple(buffers))


def _bad_place(choices: Choices, draft: Draft, launch: _Launch) -> _Launch | None:
    """A place from which no grid may be read.

    It is unaligned, not within its buffer, or in a buffer that is freed or written.
    """
    if not draft.indirect or not draft.live:
        return None
    counts = choices.pick(draft.live)
    places = [
        (counts.name, choices.pick((1, 2, 3, 6))),
        (counts.name, counts.size_bytes // WORD_BYTES * WORD_BYTES - choices.pick((0, 4, 8))),
        (counts.name, -WORD_BYTES),
    ]
    places += [(name, 0) for name in draft.freed[-1:]] * 4
    pairs = zip(launch.buffers, launch.signature.written, strict=False)
    places += [(one, 0) for one, flag in pairs if flag and isinstance(one, str)] * 2
    return replace(launch, place=choices.pick(places))


def _with_buffer(choices: Choices, launch: _Launch, name: Bound) -> _Launch:
    buffers = list(launch.buffers)
    buffers[choices.integer(0, len(buffers) - 1)] = name
    return replace(launch, buffers=tuple(buffers))


def _wrong_count(choices: Choices, draft: Draft, launch: _Launch) -> _Launch:
    """Too few buffers, or too many."""
    if choices.chance(1, 3):
        return replace(launch, buffers=(*launch.buffers, *launch.buffers[:1]))
    return replace(launch, buffers=launch.buffers[:-1])


def _wrong_scalar(choices: Choices, draft: Draft, launch: _Launch) -> _Launch | None:
    dtypes = launch.signature.scalars
    if not dtypes or len(launch.scalars) != len(dtypes):
        return None
    position = choices.integer(0, len(dtypes) - 1)
    scalars = list(launch.scalars)
    scalars[position] = choices.pick(BAD_SCALARS[dtypes[position]])
    return replace(launch, scalars=tuple(scalars))


def _wrong_scalar_count(choices: Choices, draft: Draft, launch: _Launch) -> _Launch:
    if launch.scalars and choices.chance(1, 2):
        return replace(launch, scalars=launch.scalars[:-1])
    return replace(launch, scalars=(*launch.scalars, 1))


def _wrong_grid(choices: Choices, draft: Draft, launch: _Launch) -> _Launch:
    """A grid with a negative number, or with one past the limit if the kernel is not guarded."""
    grid = list(launch.grid)
    position = choices.integer(0, 2)
    most = draft.limits.max_groups_per_dimension
    past = choices.chance(1, 2) and not launch.signature.guarded
    grid[position] = most + choices.pick((1, 2)) if past else -choices.pick((1, 2))
    if choices.chance(1, 4):
        # A zero makes the dispatch a no-op, but it must still be refused.
        grid[(position + 1) % 3] = 0
    return replace(launch, grid=(grid[0], grid[1], grid[2]), place=None)


def _too_many_groups(choices: Choices, draft: Draft, launch: _Launch) -> _Launch | None:
    """More groups in all than the kernel may have.

    If the kernel is not guarded, each dimension keeps its limit, so that only the total is wrong.
    """
    signature = launch.signature
    most = min(draft.limits.max_groups_per_dimension, 2**16 - 1)
    x = signature.max_groups + 1 if signature.guarded else most
    y = -(-(signature.max_groups + 1) // x)
    if y > most:
        return None
    return replace(launch, grid=choices.pick(((x, y, 1), (1, x, y), (y, 1, x))), place=None)


_FAULTS: Weights[_Fault] = Weights(
    (_wrong_count, 2),
    (_freed_buffer, 25),
    (_wordless_buffer, 9),
    (_long_buffer, 5),
    (_aliased_buffer, 4),
    (_bad_part, 7),
    (_aliased_parts, 4),
    (_bad_place, 6),
    (_wrong_scalar, 14),
    (_wrong_scalar_count, 2),
    (_wrong_grid, 8),
    (_too_many_groups, 2),
)

"""Hypothesis strategies over the generator; no other file here imports Hypothesis."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from hypothesis import strategies as st

from gpusim.kernels import BUILTIN, Kernels
from gpusim.limits import Limits
from gpusim.program import Program
from gpusim.runtime.policy import PRESETS, Policy
from properties.generate.cases import ALL_PROMISED, draw_case, draw_policy
from properties.generate.choices import Choices, DrawnChoices
from properties.generate.generator import generate
from properties.generate.operands import drawable
from properties.generate.shape import Shape, draw_shape
from properties.model.capabilities import Capabilities
from properties.model.case import Case, parse_device

_MOST_LIVE = 6


def programs(
    *,
    kernels: Kernels = BUILTIN,
    limits: Limits | None = None,
    min_ops: int = 0,
    max_ops: int = 60,
    promises: Capabilities = ALL_PROMISED,
) -> st.SearchStrategy[Program]:
    """Programs of the generator; they shrink to few, small and aligned ops.

    A program has no invalid ops, replays, grids on the GPU, parts or special floats that are not in
    ``promises``.  To keep to the other promises, the caller must apply ``fitted``.

    By default the programs are shorter than a session's.  So shrinking can reach ``min_ops``, and
    an example fits in Hypothesis's buffer.
    """

    @st.composite
    def drawn(draw: st.DrawFn) -> Program:
        choices = _choices(draw)
        shape = _short_shape(choices, kernels, min_ops, max_ops)
        return generate(
            choices,
            kernels=kernels,
            limits=limits,
            shape=shape,
            invalid=promises.refuses,
            replays=promises.replays,
            indirect=promises.indirect,
            parts=promises.parts,
            special_floats=promises.special_floats,
        )

    return drawn()


def policies(presets: Sequence[Policy] = tuple(PRESETS.values())) -> st.SearchStrategy[Policy]:
    """Policies that ``draw_policy`` makes of one of ``presets``; the first is the simplest."""

    @st.composite
    def drawn(draw: st.DrawFn) -> Policy:
        choices = _choices(draw)
        return draw_policy(choices, choices.pick(presets))

    return drawn()


def cases(
    device: str,
    *,
    presets: Sequence[Policy] = tuple(PRESETS.values()),
    kernels: Kernels = BUILTIN,
    limits: Limits | None = None,
    min_ops: int = 0,
    max_ops: int = 60,
    promises: Capabilities = ALL_PROMISED,
) -> st.SearchStrategy[Case]:
    """Cases on one device: a policy, then a program drawn for the policy's memory budget."""

    @st.composite
    def drawn(draw: st.DrawFn) -> Case:
        choices = _choices(draw)
        shape = _short_shape(choices, kernels, min_ops, max_ops)
        return draw_case(
            choices,
            preset=choices.pick(presets),
            device=parse_device(device),
            kernels=kernels,
            limits=limits,
            shape=shape,
            promises=promises,
        )

    return drawn()


def _short_shape(choices: Choices, kernels: Kernels, min_ops: int, max_ops: int) -> Shape:
    """A shape that shrinks to one buffer and no closing reads.

    ``draw_shape`` puts first what a session draws most, which is not the smallest.  So the number
    of buffers and the closing reads are drawn here.
    """
    return replace(
        draw_shape(choices, drawable(kernels)),
        min_ops=min_ops,
        max_ops=max_ops,
        live_buffers=choices.integer(1, _MOST_LIVE),
        dump=choices.chance(9, 10),
    )


def _choices(draw: st.DrawFn) -> DrawnChoices:
    def integer(low: int, high: int) -> int:
        # The number is counted from 0, because Hypothesis shrinks towards 0.
        return low + draw(_up_to(high - low))

    return DrawnChoices(integer)


@cache
def _up_to(most: int) -> st.SearchStrategy[int]:
    return st.integers(0, most)

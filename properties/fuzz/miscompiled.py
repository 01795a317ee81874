"""Plants a mistake of the WGSL compiler in a kernel that is made of WGSL alone.

A compiler that reads ``a - b`` where the text has ``a + b`` makes the same code as a right compiler
makes of a changed text.  So a changed text stands for the wrong compiler.  The kernel is compiled
from the changed text wherever our compiler reads it: for the reference always, and for the device
only if the device is simulated.  On a simulated device, device and reference are then wrong alike,
so the mistake cannot be seen; a session says so.  On a real device it is seen.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from gpusim.devices import SIMULATED
from gpusim.history import History
from gpusim.kernels import Kernel, Kernels
from gpusim.kernels.kernel import NUMPY_DTYPES
from gpusim.limits import Limits
from gpusim.ops import AnyDispatch
from gpusim.program import Program
from gpusim.wgsl import ShaderError
from gpusim.wgsl.tokens import tokens_of
from properties.fuzz.planted import PlantedMistake
from properties.model.case import PLAIN, Case
from properties.model.failure import FailureKind
from properties.oracles.judge import MEANING_ONLY, Oracles, judge
from properties.targets.factory import TargetFactory
from reference import run as run_reference

_MOST_PROGRAMS = 100
_ENOUGH = 20
"""On a simulated device the mistake counts as not seen after this many programs that dispatch the
kernel."""
_TAKEN_FOR = {"+": "-", "-": "+", "*": "+", "^": "|", "&": "|", "|": "&", "/": "*", "%": "/"}
"""For each operator, the operator that the wrong compiler reads in its place."""
_WORDS = 256


def miscompiled(kernel: Kernel) -> tuple[Kernel, str] | None:
    """``kernel``, compiled wrongly, and the mistake; None if no mistake changes its results."""
    for text, what in _changed(kernel.shader):
        try:
            wrong = Kernel.from_wgsl(text, name=kernel.name, tolerance=kernel.tolerance)
        except Exception:
            continue
        if _results(wrong) != _results(kernel):
            return wrong, what
    return None


def _changed(text: str) -> Iterator[tuple[str, str]]:
    try:
        tokens = tokens_of(text)
    except ShaderError:
        return
    for token in reversed(tokens):
        other = _TAKEN_FOR.get(token.text)
        if other is not None:
            what = f"the compiler takes '{token.text}' in line {token.place.line} for '{other}'"
            yield text[: token.start] + other + text[token.stop :], what


def _results(kernel: Kernel) -> list[bytes]:
    """What the kernel's meaning makes of buffers with some fixed words; empty if it raises."""
    random = np.random.default_rng(1)
    least = max(each.least_bytes for each in kernel.buffers) // 4
    words = [random.integers(1, 2**20, max(_WORDS, least), np.uint32) for _ in kernel.buffers]
    arrays = tuple(
        each.view(NUMPY_DTYPES[binding.dtype])
        for each, binding in zip(words, kernel.buffers, strict=True)
    )
    scalars = tuple(NUMPY_DTYPES[scalar.dtype].type(3) for scalar in kernel.scalars)
    try:
        kernel.meaning(arrays, scalars, (2, 1, 1))
    except Exception:
        return []
    return [each.tobytes() for each in words]


def hunt_miscompiled(
    factory: TargetFactory,
    device: str,
    remake: Callable[[Kernels], TargetFactory],
    case_of: Callable[[int], Case],
    tick: Callable[[], None],
) -> PlantedMistake | None:
    """Plant a mistake in a kernel that is made of WGSL alone, and run programs until it is seen.

    The kernel is the first whose results can be changed by a mistake; None if there is no such
    kernel.  ``remake`` makes the factory of targets with other kernels.
    """
    kernels = factory.kernels
    bare = [each for each in kernels.values() if each.varied is not None]
    planted = next(filter(None, map(miscompiled, bare)), None)
    if planted is None:
        return None
    wrong, what = planted
    theirs = Kernels(*(wrong if each.name == wrong.name else each for each in kernels.values()))
    is_blind = device == SIMULATED
    target = remake(theirs) if is_blind else factory
    try:
        programs, seen = _hunt(factory, target, theirs, wrong.name, case_of, tick)
    finally:
        if is_blind:
            target.close()
    where = f"the WGSL of kernel {wrong.name}"
    return PlantedMistake(what=what, where=where, programs=programs, seen=seen, blind=is_blind)


def _hunt(
    sound: TargetFactory,
    target: TargetFactory,
    kernels: Kernels,
    name: str,
    case_of: Callable[[int], Case],
    tick: Callable[[], None],
) -> tuple[int, bool]:
    """How many programs dispatched the kernel, and whether any of these showed the mistake."""

    def reference(program: Program, _: Mapping[str, Kernel], limits: Limits) -> History:
        return run_reference(program, kernels, limits)

    oracles: Oracles = replace(MEANING_ONLY, reference=reference)
    tried = 0
    for number in range(_MOST_PROGRAMS):
        tick()
        case = replace(case_of(number).plain, client=PLAIN)
        if not any(_dispatches(op, name) for op in case.program):
            continue
        if judge(case, sound, MEANING_ONLY).failure is not None:
            continue
        tried += 1
        failure = judge(case, target, oracles).failure
        if failure is not None and failure.kind == FailureKind.VALUE:
            return tried, True
        if tried == _ENOUGH and target is not sound:
            break
    return tried, False


def _dispatches(op: Any, name: str) -> bool:
    return isinstance(op, AnyDispatch) and getattr(op, "kernel", "") == name

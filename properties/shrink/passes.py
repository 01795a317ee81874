"""The shrink passes: each looks for smaller cases of one kind, and is one decorated function.

They run in the order of this file, over and over until a round changes nothing.  The device is
first: a fault comes at a numbered call, so a program with fewer ops may miss it.  With fewer
faults, more of the shorter programs still fail.  Ops are next, since fewer ops make every later
pass shorter.  A pass decides which candidates are tried, and in which order.
Pure functions in other files make the smaller programs, ops and devices.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, replace
from itertools import combinations

from gpusim.kernels import Kernels
from gpusim.program import Program
from gpusim.runtime.policy import PRESETS, Policy
from properties.model.case import Case
from properties.shrink.devices import (
    MOST_SEEDS,
    simpler_devices,
    simpler_disturbances,
    with_earlier_faults,
)
from properties.shrink.rewriting import (
    canonical,
    in_simpler_kernels,
    in_writes,
    less_together,
    merges,
    numbers_of,
    shifts,
    unrolled,
    with_number,
    with_op,
    without,
    without_commands,
)
from properties.shrink.search import Search
from properties.shrink.simpler import simpler_numbers, simpler_ops

Pass = Callable[[Search, Kernels], None]
PASSES: list[Pass] = []
"""Every pass, in the order in which they run; a pass has the name of its function."""
_MOST_OPS_FOR_PAIRS = 16


def shrink_pass(function: Pass) -> Pass:
    """Register a pass after the others."""
    PASSES.append(function)
    return function


@shrink_pass
def simplify_device(search: Search, kernels: Kernels) -> None:
    """Remove faults, small limits and the scheduler, as far as the case still fails."""
    while search.take_first(_on_devices(search.case)):
        pass


@shrink_pass
def simplify_disturbance(search: Search, kernels: Kernels) -> None:
    """Remove the layer, then its faults, then lower its seed, as far as the case still fails."""
    while search.take_first(_less_disturbed(search.case)):
        pass


@shrink_pass
def delete_ops(search: Search, kernels: Kernels) -> None:
    """Delete chunks of ops, the last chunk first, then chunks half as long, and so on.

    At last delete single ops and pairs of ops, until none can go.
    """
    chunk = len(search.program) // 2
    while chunk > 1:
        _delete_chunks(search, chunk)
        chunk //= 2
    while _delete_chunks(search, 1) or _delete_pair(search):
        pass


@shrink_pass
def delete_ops_in_another_order(search: Search, kernels: Kernels) -> None:
    """Delete single ops of a disturbed case, each under several seeds.

    The seed decides in which order the layer settles maps and work-dones.  Without an op, the same
    seed gives another order, and the failure may need the old order.
    """
    while search.take_first(_shorter_in_another_order(search.case)):
        pass


@shrink_pass
def simplify_program(search: Search, kernels: Kernels) -> None:
    """Take commands and buffers out, and make kernels and numbers simpler wherever they stand."""
    while search.take_first_program(_whole_rewrites(search.program, kernels)):
        pass


@shrink_pass
def simplify_operands(search: Search, kernels: Kernels) -> None:
    """Simplify each operand of each op."""
    for position in range(len(search.program)):
        while search.take_first_program(_op_rewrites(search.program, position, kernels)):
            pass


@shrink_pass
def rename(search: Search, kernels: Kernels) -> None:
    """Name buffers, results and graphs anew, in the order in which the program makes them."""
    search.take_program(canonical(search.program))


@shrink_pass
def simplify_policy(search: Search, kernels: Kernels) -> None:
    """Set each field of the policy back to that of its preset, if the case still fails.

    Then take the first simpler preset with which the case still fails.
    """
    if search.case.follows_no_policy:
        return
    for field in fields(Policy):
        policy = search.case.policy
        usual = getattr(PRESETS.get(policy.name, Policy()), field.name)
        if field.name != "name" and getattr(policy, field.name) != usual:
            search.take(replace(search.case, policy=replace(policy, **{field.name: usual})))
    case = search.case
    search.take_first(replace(case, policy=policy) for policy in _presets(case.policy))


def _on_devices(case: Case) -> Iterator[Case]:
    return (replace(case, device=device) for device in simpler_devices(case.device))


def _less_disturbed(case: Case) -> Iterator[Case]:
    if case.disturbance is None:
        return
    yield replace(case, disturbance=None)
    for disturbance in simpler_disturbances(case.disturbance):
        yield replace(case, disturbance=disturbance)


def _delete_chunks(search: Search, chunk: int) -> bool:
    deleted = False
    end = len(search.program)
    while end > 0:
        start = max(0, end - chunk)
        # If an alloc is deleted, the ops that use its buffer are deleted too.  They come later, so
        # ``start`` stays valid.
        deleted |= _delete(search, range(start, end))
        end = start
    return deleted


def _delete(search: Search, positions: Iterable[int]) -> bool:
    """Delete these ops if the case still fails, with its faults as they are or at earlier calls."""
    case, program = search.case, without(search.program, positions)
    ops = len(case.program) - len(program)
    earlier = with_earlier_faults(case.device, ops)
    return search.take_program(program) or search.take_first(
        replace(case, program=program, device=device) for device in earlier
    )


def _delete_pair(search: Search) -> bool:
    """Delete two ops that cannot be deleted alone, such as a free and a flush; True if it did."""
    if len(search.program) > _MOST_OPS_FOR_PAIRS:
        return False
    pairs = combinations(range(len(search.program)), 2)
    program = search.program
    return search.take_first_program(without(program, pair) for pair in pairs)


def _shorter_in_another_order(case: Case) -> Iterator[Case]:
    if case.disturbance is None or len(case.program) > _MOST_OPS_FOR_PAIRS:
        return
    for position in reversed(range(len(case.program))):
        program = without(case.program, (position,))
        for seed in range(MOST_SEEDS):
            disturbance = replace(case.disturbance, seed=seed)
            yield replace(case, program=program, disturbance=disturbance)


def _whole_rewrites(program: Program, kernels: Kernels) -> Iterator[Program]:
    yield from without_commands(program)
    yield from unrolled(program)
    yield from merges(program)
    yield from shifts(program)
    yield from in_simpler_kernels(program, kernels)
    yield from in_writes(program, kernels)
    for number in numbers_of(program):
        for simpler in simpler_numbers(number):
            yield with_number(program, number, simpler)
    yield from less_together(program)


def _op_rewrites(program: Program, position: int, kernels: Kernels) -> Iterator[Program]:
    for op in simpler_ops(program[position], kernels):
        changed = with_op(program, position, op)
        if changed is not None:
            yield changed


def _presets(policy: Policy) -> Iterator[Policy]:
    """Each simpler preset: as it is, then with the special fields of ``policy``.

    A field is special if it differs from the preset of the policy's name.
    """
    own = PRESETS.get(policy.name, Policy())
    special = {
        field.name: getattr(policy, field.name)
        for field in fields(Policy)
        if field.name != "name" and getattr(policy, field.name) != getattr(own, field.name)
    }
    for preset in PRESETS.values():
        if preset.name == policy.name:
            return
        yield preset
        if special:
            yield replace(preset, **special)

"""Every relation holds: on the oracle by thousands, on the runtime on the device under test."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import partial
from typing import Any

import pytest

from gpusim.devices import SIMULATED
from gpusim.kernels import BUILTIN
from gpusim.limits import Limits
from gpusim.ops import Copy, Read, Write
from gpusim.program import Program
from gpusim.runtime import PRESETS, Policy
from gpusim.trace import Trace
from properties.execute import execute
from properties.generate.cases import CaseSettings, case_for, draw_case
from properties.generate.choices import SeededChoices
from properties.model.capabilities import CONTRACT, capabilities_of
from properties.model.case import SCHEDULERS, Case, DeviceSpec, Transformation, parse_device
from properties.model.failure import Failure
from properties.oracles.metamorphic import (
    draw_transformations,
    judge_relations,
    parse_transformation,
    transform,
    write_transformation,
)
from properties.oracles.metamorphic.boundaries import DeleteBoundary, SetDevice, SetSchedule
from properties.oracles.metamorphic.folding import FoldPrefix, Unroll
from properties.oracles.metamorphic.insertions import GarbageFirst, InsertRefused, Recycle
from properties.oracles.metamorphic.pieces import Merge, Split, Swap
from properties.oracles.metamorphic.registry import KINDS
from properties.oracles.metamorphic.replacements import CopyForWrite, Embed
from properties.oracles.metamorphic.rewrites import independent, rounded_buffers
from properties.targets.factory import Opened, RuntimeFactory, TargetFactory
from reference import Reference
from reference import run as run_reference

DRAWN = [name for name in KINDS if name not in ("same", "set_device", "set_schedule")]
RARE = {"merge": 2, "unroll": 20}


class ReferenceTarget(Reference):
    capabilities = CONTRACT


NOWHERE = DeviceSpec(name="reference")


class ReferenceFactory(TargetFactory):
    capabilities = capabilities_of(replays=True)
    limits = Limits()
    kernels = BUILTIN
    is_ours = True

    def open(self, case: Case) -> Opened:
        limits = Limits(memory_budget_bytes=case.policy.memory_budget_bytes)
        return Opened(target=ReferenceTarget(limits=limits), trace=Trace())


def judge(
    case: Case, transformations: Sequence[Transformation], factory: TargetFactory
) -> Failure | None:
    original = execute(replace(case, transformations=tuple(transformations)), factory)
    return judge_relations(original, lambda rewrite: execute(rewrite, factory))


def cases(count: int, seed: str) -> Sequence[Case]:
    presets = list(PRESETS.values())
    return [
        draw_case(
            SeededChoices(f"{seed} {number}"),
            preset=presets[number % len(presets)],
            device=NOWHERE,
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("kind", DRAWN)
def test_a_relation_holds_on_the_oracle(kind: str) -> None:
    factory = ReferenceFactory()
    applied = 0
    for number, case in enumerate(cases(80, "oracle")):
        choices = SeededChoices(f"{kind} {number}")
        transformations = draw_transformations(choices, case, kinds=[kind])
        applied += bool(transformations)
        violation = judge(case, transformations, factory)
        assert violation is None, f"{violation}\n{transformations}\n{case.program}"
    assert applied >= RARE.get(kind, 40)


def test_relations_together_hold_on_the_oracle() -> None:
    factory = ReferenceFactory()
    kinds: Counter[str] = Counter()
    for number, case in enumerate(cases(400, "together")):
        transformations = draw_transformations(SeededChoices(f"all {number}"), case, most=4)
        kinds.update(transformation.name for transformation in transformations)
        violation = judge(case, transformations, factory)
        assert violation is None, f"{violation}\n{transformations}\n{case.program}"
    assert set(DRAWN) - set(kinds) <= set(RARE)


def test_relations_hold_on_the_runtime(device_name: str) -> None:
    factory = RuntimeFactory(device_name, BUILTIN)
    setting = CaseSettings(device=device_name, limits=factory.limits)
    for number in range(120):
        case = case_for(11, number, setting)
        transformations = draw_transformations(SeededChoices(f"runtime {number}"), case)
        violation = judge(case, transformations, factory)
        assert violation is None, f"{violation}\n{transformations}\n{case.policy}\n{case.program}"


class ManyDevices(TargetFactory):
    """Each case on the device it names."""

    capabilities = RuntimeFactory.capabilities
    kernels = BUILTIN
    is_ours = True

    def __init__(self, *names: str) -> None:
        self._factories = {name: RuntimeFactory(name, BUILTIN) for name in names}
        self.limits = self._factories[names[0]].limits

    def open(self, case: Case) -> Opened:
        return self._factories[case.device.name].open(case)


def test_another_device_shows_the_same(device_name: str) -> None:
    factory = ManyDevices(device_name, SIMULATED)
    setting = CaseSettings(
        device=device_name,
        limits=factory.limits,
        promises=capabilities_of(refuses=False, replays=True),
    )
    for number in range(40):
        case = case_for(12, number, setting)
        other: Transformation = SetDevice(device=SIMULATED)
        if device_name == SIMULATED:
            other = SetSchedule(scheduler="random", seed=number)
        violation = judge(case, [other], factory)
        assert violation is None, f"{violation}\n{case.policy}\n{case.program}"


def test_a_transformation_is_read_back_as_it_was_written() -> None:
    met = set()
    for number, case in enumerate(cases(120, "text")):
        for transformation in draw_transformations(
            SeededChoices(f"text {number}"), case, devices=["vulkan", "gl"], most=4
        ):
            assert parse_transformation(write_transformation(transformation)) == transformation
            assert transformation.description
            met.add(transformation.name)
    assert len(met) >= 18


def test_an_image_keeps_account_of_every_op() -> None:
    compared = 0
    for number, case in enumerate(cases(120, "rewrite")):
        transformations = draw_transformations(SeededChoices(f"rewrite {number}"), case, most=4)
        rewrite = transform(case, transformations)
        assert rewrite is not None
        assert len(rewrite.places) == len(case.program)
        for op, places in zip(case.program, rewrite.places, strict=True):
            shown = [rewrite.case.program[place] for place in places]
            if {"copy_for_write", "unroll"}.isdisjoint(entry.name for entry in transformations):
                assert {type(other) for other in shown} <= {type(op)}
                compared += len(shown)
    assert compared > 1_000


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        ("write a 0 01020304", "write a 4 05060708", True),
        ("write a 0 01020304", "write a 3 05", False),
        ("write a 0 01020304", "read a 2 4 -> r", False),
        ("write a 0 01020304", "dispatch scramble b - 1x1x1", True),
        ("copy a 0 b 0 4", "copy a 4 b 4 4", True),
        ("copy a 0 b 0 4", "copy b 0 a 8 4", False),
        ("read a 0 4 -> r", "read b 0 4 -> s", False),
        ("dispatch fold a,b 3 1x1x1", "dispatch fold a,c 3 1x1x1", True),
        ("dispatch fold a,b 3 1x1x1", "write a 0 00", False),
        ("free a", "read a 0 4 -> r", False),
        ("free a", "read a 0 0 -> r", False),
        ("free a", "read a -3 0 -> r", False),
        ("free a", "copy a 99 b 0 0", False),
        ("free a", "read b 0 0 -> r", True),
        ("free a", "flush", True),
        ("flush", "sync", False),
    ],
)
def test_what_may_change_places(first: str, second: str, together: bool) -> None:
    allocs = "alloc a 16\nalloc b 16\nalloc c 16\n"
    program = Program.parse(f"{allocs}{first}\n{second}\n")
    ops = program.ops[3:]
    assert independent(ops[0], ops[1], BUILTIN) is together
    assert independent(ops[1], ops[0], BUILTIN) is together
    case = Case(program=program, policy=PRESETS["cached"], device=NOWHERE)
    assert (Swap(at=3).apply(case, BUILTIN) is not None) is together


@pytest.mark.parametrize(
    "second", ["read a 0 0 -> r0", "read a -3 0 -> r0", "write a 5 -", "free a"]
)
def test_nothing_comes_before_the_alloc_of_what_it_names(second: str) -> None:
    program = Program.parse(f"alloc a 2\n{second}\n")
    case = Case(program=program, policy=PRESETS["cached"], device=NOWHERE)
    assert Swap(at=0).apply(case, BUILTIN) is None


def test_what_a_rounding_kernel_computed_is_followed() -> None:
    program = Program.parse(
        "alloc a 16\nalloc b 16\nalloc c 16\nalloc d 16\n"
        "copy c 0 d 0 4\ndispatch blend a,b 0.5 1x1x1\ncopy b 0 c 0 4\n"
    )
    assert rounded_buffers(program, BUILTIN) == {"b", "c", "d"}


def all_drawn(kind: str, devices: Sequence[str] = ()) -> list[tuple[Case, Transformation]]:
    """Many transformations of one kind, each with the case that it was drawn for."""
    found = []
    for number, case in enumerate(cases(120, "choices")):
        drawn = draw_transformations(
            SeededChoices(f"{kind} {number}"), case, devices=devices, most=1, kinds=[kind]
        )
        found += [(case, transformation) for transformation in drawn]
    return found


def test_every_kind_of_op_is_split_and_every_place_is_read() -> None:
    split = {type(case.program[entry.at]) for case, entry in all_drawn("split")}  # type: ignore[attr-defined]
    assert split == {Write, Copy, Read}
    read = {entry.part for _, entry in all_drawn("insert_read")}  # type: ignore[attr-defined]
    assert read == {"whole", "head", "tail"}


def test_every_decision_of_a_policy_is_set_otherwise() -> None:
    set_to: dict[str, set[str]] = {}
    for seed in range(8):
        for number, case in enumerate(cases(60, f"fields {seed}")):
            choices = SeededChoices(f"fields {seed} {number}")
            for entry in draw_transformations(choices, case, kinds=["set_field"]):
                set_to.setdefault(entry.field, set()).add(entry.value)  # type: ignore[attr-defined]
    # A budget and a dispatch limit change what a program means, and a name nothing.
    left_out = {"name", "memory_budget_bytes", "debug_dispatch_limit"}
    assert set(set_to) == {field.name for field in fields(Policy)} - left_out
    assert [field for field, values in set_to.items() if len(values) < 2] == []


def test_another_device_is_another() -> None:
    devices = ["reference", "gl", "vulkan"]
    drawn = {entry.device for _, entry in all_drawn("set_device", devices)}  # type: ignore[attr-defined]
    assert drawn == {"gl", "vulkan"}


@pytest.mark.parametrize("at", [-1, 0, 1, 2, 3, 4, 5, 99])
@pytest.mark.parametrize(
    ("make", "fits"),
    [
        (Recycle, (0,)),
        (GarbageFirst, (1,)),
        (CopyForWrite, (1,)),
        (DeleteBoundary, (4,)),
        (partial(Split, sixteenths=8), (1, 2)),
        (Merge, ()),
        (Unroll, ()),
    ],
)
def test_a_place_without_the_op_it_wants_changes_nothing(
    make: Callable[..., Transformation], fits: Sequence[int], at: int
) -> None:
    program = Program.parse(
        "alloc a 16\nwrite a 0 01020304\nread a 0 8 -> r0\ndispatch scramble a - 1x1x1\nflush\n"
    )
    case = Case(program=program, policy=PRESETS["cached"], device=NOWHERE)
    assert (make(at=at).apply(case, BUILTIN) is not None) is (at in fits)


def test_a_folded_prefix_leaves_out_what_its_refused_ops_would_have_done() -> None:
    program = Program.parse(
        "alloc a 4\nwrite a 0 01020304\nalloc b 4\nfree a\ncopy a 0 b 0 4\nread b 0 4 -> r0\n"
    )
    case = Case(program=program, policy=PRESETS["cached"], device=NOWHERE)
    rewrite = FoldPrefix(at=5).apply(case, BUILTIN)
    assert rewrite is not None
    assert Write(buffer="b", offset=0, data=bytes(4)) in rewrite.case.program.ops


@pytest.mark.parametrize(("offset", "folds"), [(256, True), (32, False)])
def test_a_prefix_is_folded_where_no_device_binds_its_parts_otherwise(
    offset: int, folds: bool
) -> None:
    program = Program.parse(f"alloc a 512\ndispatch affine a[{offset}:512] 1,1 1x1x1\nflush\n")
    case = Case(program=program, policy=PRESETS["cached"], device=NOWHERE)
    assert (FoldPrefix(at=2).apply(case, BUILTIN) is not None) is folds


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        ("past_the_end", "OutOfRange"),
        ("before_the_start", "OutOfRange"),
        ("twice_freed", "InvalidHandle"),
        ("freed_source", "InvalidHandle"),
        ("aliased", "InvalidBinding"),
        ("bad_scalar", "InvalidScalar"),
    ],
)
def test_what_must_be_refused_is_refused_for_what_is_wrong_with_it(
    refusal: Any, error: str
) -> None:
    program = Program.parse("alloc gone 16\nfree gone\nalloc a 16\nwrite a 0 01020304\nsync\n")
    case = Case(program=program, policy=PRESETS["cached"], device=NOWHERE)
    rewrite = InsertRefused(at=4, which=0, refusal=refusal).apply(case, BUILTIN)
    assert rewrite is not None
    added = [*rewrite.case.program]
    assert len(added) == len(program) + 1
    assert run_reference(rewrite.case.program).outcomes[4].error == error


def test_a_schedule_is_set_with_its_seed() -> None:
    late = parse_device("simulated scheduler=late")
    case = Case(program=Program(()), policy=PRESETS["cached"], device=late)
    for scheduler in SCHEDULERS:
        rewrite = SetSchedule(scheduler=scheduler, seed=3).apply(case, BUILTIN)
        assert rewrite is not None
        device = rewrite.case.device
        assert (device.scheduler, device.seed) == (scheduler, 3)


@pytest.mark.parametrize("pad_bytes", [1, 4, 64])
@pytest.mark.parametrize("which", range(3))
def test_an_embedded_buffer_takes_every_op_on_it_along(which: int, pad_bytes: int) -> None:
    program = Program.parse(
        "alloc a 16\nalloc b 16\nalloc c 16\nwrite a 0 000102030405060708090a0b0c0d0e0f\n"
        "copy a 0 b 4 8\ncopy b 4 c 0 8\ncopy b 2 b 6 8\ndispatch fold b,c 3 1x1x1\n"
        "read a 1 9 -> r0\nread b 0 16 -> r1\nread c 3 9 -> r2\nfree a\nsync\n"
    )
    case = Case(program=program, policy=PRESETS["cached"], device=NOWHERE)
    transformations = (Embed(which=which, pad_bytes=pad_bytes),)
    rewrite = transform(case, transformations)
    assert rewrite is not None
    assert judge(case, transformations, ReferenceFactory()) is None

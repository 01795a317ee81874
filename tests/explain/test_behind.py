"""What is behind a failure: the changed program of a relation, or a kernel that is two kernels."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gpusim import Binding, Kernel
from gpusim.kernels import BUILTIN
from gpusim.program import Program
from gpusim.runtime.policy import PRESETS
from properties.explain.explain import explain
from properties.model.case import NO_POLICY, Case, DeviceSpec
from properties.model.failure import FailureKind
from properties.mutants.mistakes import find
from properties.mutants.oracles import factory_of
from properties.oracles.judge import judge
from properties.oracles.metamorphic import parse_transformation
from properties.targets.factory import AdapterFactory
from tests.judge.foreign import Foreign

SIMULATED = DeviceSpec(name="simulated")


def seven(arrays: Any, scalars: Any, groups: int) -> None:
    arrays[0][3] = 7


def five(arrays: Any, scalars: Any, groups: int) -> None:
    arrays[0][3] = 5


OWN = Kernel(
    name="own",
    buffers=(Binding(name="x", access="read_write"),),
    body="if (i == 3u) { x[i] = 7u; }",
    meaning=seven,
)


class OtherMeaning(Foreign):
    """The sound runtime, for which the kernel of a user's means another thing."""

    capabilities = replace(Foreign.capabilities, kernels=())

    def __init__(self, device: Any, kernels: Mapping[str, Kernel]) -> None:
        super().__init__(device, {**kernels, "own": replace(OWN, meaning=five)})


def test_a_kernel_is_held_alone_against_its_meaning() -> None:
    program = "alloc a 16\nwrite a 0 01\ndispatch own a - 1x1x1\nread a 12 4 -> r0\n"
    factory = AdapterFactory("simulated", BUILTIN.adding(OWN), make_target=OtherMeaning)
    case = Case(program=Program.parse(program), device=SIMULATED, policy=NO_POLICY, target="own")
    argument = explain(judge(case, factory), lambda each: judge(each, factory))
    assert argument.sentence == (
        "kernel own alone: its WGSL and its NumPy differ in lane 3 of a: 5 came back, and NumPy "
        "gives 7"
    )
    assert argument.culprit == 2


def test_a_relation_is_explained_by_the_program_that_is_wrong() -> None:
    factory = factory_of(find("write_overtakes_batch"), "simulated", BUILTIN)
    program = "alloc a 4\ndispatch affine a 1,1 1x1x1\nwrite a 0 01010101\nread a 0 4 -> r0\n"
    case = Case(
        program=Program.parse(program),
        device=SIMULATED,
        policy=PRESETS["eager"],
        transformations=(parse_transformation("set_preset preset=lazy"),),
    )
    verdict = judge(case, factory)
    assert verdict.failure is not None
    assert verdict.failure.kind is FailureKind.RELATION
    argument = explain(verdict, lambda each: judge(each, factory))
    assert argument.sentence.startswith("with policy lazy: op 2 (write a 0 01010101) overtook op 1")
    assert argument.case.policy == PRESETS["lazy"]

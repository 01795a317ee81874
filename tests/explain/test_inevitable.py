"""From which step on a failure could not be avoided: exact for small programs, else estimated."""

from dataclasses import replace
from typing import Any

from gpusim.kernels import BUILTIN
from gpusim.program import Program
from gpusim.runtime import WgpuDriver
from gpusim.runtime.policy import PRESETS
from gpusim.simulated import parse_faults
from properties.explain.explain import explain
from properties.explain.schedules import Leaf, deciding, every_schedule
from properties.model.case import REPLAYED, Case, DeviceSpec
from properties.mutants.mistakes import find
from properties.mutants.mutant import Overlay
from properties.mutants.oracles import factory_of
from properties.oracles.judge import MEANING_ONLY, Verdict, judge
from properties.targets.factory import RuntimeFactory

LATE = DeviceSpec(name="simulated")
PROGRAM = "alloc a 4\nwrite a 0 01010101\nread a 0 4 -> r0\nsync\nread a 0 4 -> r1\nsync\n"


class Impatient(Overlay):
    """A driver that takes zeros where a map has not settled when it is first waited for."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._early: dict[int, bool] = {}

    def wait(self, mapping: Any, seconds: float | None = None) -> bool:
        """Look once whether it has settled, and then wait."""
        uid = mapping.buffer.uid
        if uid not in self._early:
            self._early[uid] = not self._inner.wait(mapping, 0.0)
        return bool(self._inner.wait(mapping, seconds))

    def take(self, mapping: Any, receive: Any) -> Any:
        """Zeros, where it was waited for too early."""
        self.wait(mapping)
        zeros = memoryview(bytes(mapping.size_bytes))
        is_early = self._early[mapping.buffer.uid]
        return self._inner.take(mapping, (lambda _: receive(zeros)) if is_early else receive)


def run(case: Case) -> Verdict:
    factory = RuntimeFactory(
        "simulated", BUILTIN, make_driver=lambda device: Impatient(WgpuDriver(device))
    )
    return judge(case, factory, MEANING_ONLY)


def case_of(device: DeviceSpec = LATE) -> Case:
    return Case(program=Program.parse(PROGRAM), device=device)


def test_a_small_program_is_run_under_every_schedule() -> None:
    argument = explain(run(case_of()), run)
    assert argument.inevitable == (
        "at op 3 (sync): until then a schedule could still pass, from then on none could; "
        "9 of all 15 schedules fail (exact)"
    )


def test_every_schedule_is_run_once() -> None:
    verdict = run(case_of())
    assert verdict.failure is not None
    leaves = every_schedule(case_of(), verdict.failure, run)
    assert len({leaf.choices for leaf in leaves}) == len(leaves) == 15
    for leaf in leaves:
        device = DeviceSpec(name="simulated", scheduler=REPLAYED, schedule=leaf.choices)
        assert (run(case_of(device)).failure is not None) == leaf.fails


def test_a_long_program_is_estimated() -> None:
    program = Program.parse(PROGRAM.replace("sync\nread", "sync\n" * 12 + "read"))
    argument = explain(run(replace(case_of(), program=program)), run)
    assert argument.inevitable == "it depends on the schedule: 4 of 8 fail (an estimate)"


def test_what_every_schedule_shows_is_inevitable_from_the_start() -> None:
    factory = factory_of(find("write_overtakes_batch"), "simulated", BUILTIN)
    program = "alloc a 4\ndispatch affine a 1,1 1x1x1\nwrite a 0 01010101\nread a 0 4 -> r0\n"
    case = replace(case_of(), program=Program.parse(program), policy=PRESETS["lazy"])
    argument = explain(judge(case, factory), lambda each: judge(each, factory))
    assert argument.inevitable == "from the start: all 3 schedules fail (exact)"


def test_a_planned_fault_is_left_out_to_see_whether_it_matters() -> None:
    factory = factory_of(find("failed_read_gives_zeros"), "simulated", BUILTIN)
    device = replace(LATE, faults=parse_faults("failed_maps=0"))
    verdict = judge(case_of(device), factory)
    assert verdict.failure is not None
    argument = explain(verdict, lambda each: judge(each, factory))
    assert "without the planned fault it passes (exact): failed_maps=0" in argument.inevitable


def test_the_step_that_decides_is_where_the_last_way_to_pass_was_lost() -> None:
    def leaf(*choices: int, fails: bool) -> Leaf:
        return Leaf(choices=choices, positions=(2, 4, 6)[: len(choices)], fails=fails)

    tree = leaf(0, 0, 0, fails=True), leaf(0, 0, 1, fails=True), leaf(0, 1, fails=False)
    assert deciding((*tree, leaf(1, fails=False))) == 4
    assert deciding((*tree[:2], leaf(0, 1, fails=True), leaf(1, fails=False))) == 2
    assert deciding(tree[:2]) is None
    assert deciding(tree[2:]) is None

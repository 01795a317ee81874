"""Arguments: the lines alone tell the op that went wrong, what took part, and the rule."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import pytest

from gpusim.kernels import BUILTIN
from gpusim.ops import Op
from gpusim.program import Program
from gpusim.runtime.policy import parse_policy
from properties.explain import rules
from properties.explain.argument import MOST_LINES, Argument
from properties.explain.explain import PASSES_NOW, explain
from properties.fuzz.loading import load
from properties.model.capabilities import Capabilities, Refusal
from properties.model.case import NO_POLICY, Case, DeviceSpec, parse_device
from properties.model.target import Delivery
from properties.mutants.mistakes import find
from properties.mutants.oracles import factory_of
from properties.oracles.judge import MEANING_ONLY, SOUND, judge
from properties.targets.factory import AdapterFactory
from tests.explain.mistakes import MISTAKES, Mistake
from tests.judge import foreign
from tests.judge.promising import Small

FOREIGN = {
    "loses_batch": (
        "alloc a 4\nwrite a 0 01010101\ncopy a 4 a 0 4\nread a 0 4 -> r0\n",
        "op 2 (copy a 4 a 0 4), which should only be refused, destroyed its batch",
        "law G1",
    ),
    "drops_commands": (
        "alloc a 4\nwrite a 0 01010101\nread a 0 4 -> r0\ncopy a 4 a 0 4\n",
        "op 3 (copy a 4 a 0 4), which should only be refused, destroyed its batch",
        "law G1",
    ),
    "pads": (
        "alloc a 4\nwrite a 0 01010101\nwrite a 0 01\nread a 0 4 -> r0\n",
        "op 2 (write a 0 01) was padded with zeros",
        "law A8",
    ),
    "stale_handles": (
        "alloc a 0\nfree a\nalloc b 0\nfree a\nwrite b 0 -\n",
        "op 3 (free a) was accepted: its freed handle a reached b",
        "contract, free",
    ),
    "clears_late": (
        "alloc a 4\ndispatch affine a 1,1 1x1x1\nflush\nread a 0 4 -> r0\n",
        "op 1 (dispatch affine a 1,1 1x1x1) overtook the clearing of a by op 0",
        "law A12",
    ),
    "overtakes": (
        "alloc a 4\nread a 0 4 -> r0\nwrite a 0 01010101\n",
        "op 2 (write a 0 01010101) overtook op 1 (read a 0 4 -> r0)",
        "law A2",
    ),
    "reuses_early": (
        "alloc a 4\ndispatch affine a 1,1 1x1x1\nfree a\nalloc b 4\nread b 0 4 -> r0\n",
        "op 3 (alloc b 4) was given the memory of a, which op 2 freed, and its clearing overtook "
        "op 1 (dispatch affine a 1,1 1x1x1)",
        "law A12",
    ),
    "forgets_reads": (
        "alloc a 4\nwrite a 0 01010101\nread a 0 0 -> r0\nread a 0 0 -> r1\nread a 0 4 -> r2\n",
        "op 4 (read a 0 4 -> r2) was given zeros",
        "law D1",
    ),
    "keeps_bindings": (
        "alloc a 0\ndispatch affine a 1,1 1x1x1\nfree a\nalloc b 4\n"
        "dispatch affine b 1,1 1x1x1\nread b 0 4 -> r0\n",
        "bound a, as op 1 did, and not its own buffers; a was freed",
        "law E3",
    ),
    "shares_slots": (
        "alloc a 4\ndispatch affine a 1,1 1x1x1\ndispatch affine a 1,1 1x1x1\n"
        "dispatch affine a 1,1 1x1x1\ndispatch affine a 1,2 1x1x1\nread a 0 4 -> r0\n",
        "op 1 (dispatch affine a 1,1 1x1x1) ran with the scalars of op 4",
        "law B1",
    ),
}
"""For each defect of the foreign runtime: a program that shows it, and what is to be said."""
SIMULATED = DeviceSpec(name="simulated")


def argument_for(mistake: Mistake) -> Argument:
    """The argument of a mutant on its program."""
    case = Case(
        program=Program.parse(mistake.program),
        device=parse_device(mistake.device),
        policy=parse_policy(mistake.policy),
    )
    factory = factory_of(find(mistake.mutant), "simulated", BUILTIN)
    oracles = SOUND if mistake.oracles == "laws" else MEANING_ONLY
    return explain(judge(case, factory, oracles), lambda each: judge(each, factory, oracles))


def foreign_argument(defect: str) -> Argument:
    """The argument of a defect of the foreign runtime."""
    program, _, _ = FOREIGN[defect]
    factory = AdapterFactory("simulated", BUILTIN, make_target=getattr(foreign, defect))
    case = Case(
        program=Program.parse(program), device=SIMULATED, policy=NO_POLICY, target="foreign"
    )
    return explain(judge(case, factory), lambda each: judge(each, factory))


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.mutant)
def test_the_lines_tell_what_a_mutant_does_wrong(mistake: Mistake) -> None:
    lines = argument_for(mistake).lines
    assert mistake.says in lines[0]
    assert any(line.startswith(f"rule: {mistake.rule}") for line in lines), lines


@pytest.mark.parametrize("defect", FOREIGN)
def test_the_lines_tell_what_a_foreign_runtime_does_wrong(defect: str) -> None:
    lines = foreign_argument(defect).lines
    _, says, rule = FOREIGN[defect]
    assert says in lines[0]
    assert any(line.startswith(f"rule: {rule}") for line in lines), lines


def test_which_of_several_reads_is_forgotten_is_tried() -> None:
    lines = foreign_argument("forgets_reads").lines
    assert (
        "fact: tried with equal reads before one sync: of 2 none is wrong; of 3 or 4 or 5 the "
        "third alone is wrong; with a flush after each read, the same are wrong" in lines
    )


class _ForgetsErrors(Small):
    """Promises that a sync tells of a refused op, and forgets to tell."""

    def __init__(self, device: object, kernels: object) -> None:
        super().__init__(Capabilities(out_of_range=Refusal.NEXT_SYNC), raises=False)

    def perform(self, op: Op) -> Delivery | None:
        self._owes = False
        return super().perform(op)


@pytest.mark.parametrize(
    ("end", "place"), [("", "op 2 (sync (after the last op))"), ("sync\n", "op 2 (sync)")]
)
def test_a_sync_that_forgets_an_error_is_not_said_to_fail(end: str, place: str) -> None:
    factory = AdapterFactory("simulated", BUILTIN, make_target=_ForgetsErrors)
    program = Program.parse(f"alloc a 4\nwrite a 4 00000000\n{end}")
    promises = factory.capabilities
    case = Case(program=program, device=SIMULATED, policy=NO_POLICY, promises=promises)
    argument = explain(judge(case, factory), lambda each: judge(each, factory))
    assert argument.lines[0] == (
        f"{place} raised nothing: the contract refuses op 1 (write a 4 00000000), and the next "
        "sync must report that"
    )
    assert argument.rule is not None
    assert argument.rule.name == "promise, Refusal.NEXT_SYNC"


class _ReusesStaging(foreign.Foreign):
    """After a submit it uses staging memory again that a read still waits for."""

    _submitted: tuple[foreign.Pending, ...] = ()

    def read(self, buffer: str, offset: int, size_bytes: int) -> foreign.Pending:
        pending = super().read(buffer, offset, size_bytes)
        for earlier in self._submitted[:1]:
            pending.staging = earlier.staging
            self._batch[-1] = lambda: self._fetch(buffer, offset, pending.staging)
        return pending

    def _fetch(self, buffer: str, offset: int, staging: bytearray) -> None:
        staging[:] = self._find(buffer)[offset : offset + len(staging)]

    def flush(self) -> None:
        super().flush()
        self._submitted = tuple(self._reads)

    def sync(self) -> None:
        super().sync()
        self._submitted = ()


@pytest.mark.parametrize("end", ["", "flush\nalloc b 4\n"])
def test_a_write_between_two_reads_of_one_staging_buffer_overtakes_nothing(end: str) -> None:
    factory = AdapterFactory("simulated", BUILTIN, make_target=_ReusesStaging)
    text = f"alloc a 4\nread a 0 4 -> r0\nwrite a 0 01010101\nread a 0 4 -> r1\n{end}"
    program = Program.parse(text)
    case = Case(program=program, device=SIMULATED, policy=NO_POLICY, target="own")
    argument = explain(judge(case, factory), lambda each: judge(each, factory))
    assert argument.lines[0] == (
        "op 1 (read a 0 4 -> r0) was given the bytes of op 3 (read a 0 4 -> r1), as if both used "
        "one staging buffer"
    )
    assert not [fact for fact in argument.facts if "overtakes" in fact or "took effect" in fact]


class _KeepsWeakly(foreign.Foreign):
    """Keeps its allocs in a dictionary that refuses their names."""

    def alloc(self, buffer: str, size_bytes: int) -> None:
        WeakKeyDictionary[Any, int]().setdefault(buffer, size_bytes)


class _TakesNoSize(foreign.Foreign):
    """Its alloc lacks an argument, so that the call fails in the judge."""

    def alloc(self, buffer: str) -> None:  # type: ignore[override]
        """Never runs."""


@pytest.mark.parametrize(
    ("target", "facts"),
    [
        (
            _KeepsWeakly,
            (
                "raised in a call from test_arguments.py, line {}, in alloc: "
                "WeakKeyDictionary[Any, int]().setdefault(buffer, size_bytes)",
            ),
        ),
        (_TakesNoSize, ()),
    ],
)
def test_a_crash_names_a_line_of_the_target(
    target: type[foreign.Foreign], facts: tuple[str, ...]
) -> None:
    factory = AdapterFactory("simulated", BUILTIN, make_target=target)
    case = Case(
        program=Program.parse("alloc a 4\n"), device=SIMULATED, policy=NO_POLICY, target="own"
    )
    argument = explain(judge(case, factory), lambda each: judge(each, factory))
    line = target.alloc.__code__.co_firstlineno + 1
    assert argument.facts == tuple(fact.format(line) for fact in facts)


@pytest.mark.parametrize("wrong_reads", [1, 5])
def test_a_case_that_passes_once_more_is_said_to(wrong_reads: int) -> None:
    left = wrong_reads

    class Steadied(foreign.Foreign):
        """Its first reads give zeros, and all later ones are right."""

        def sync(self) -> None:
            nonlocal left
            super().sync()
            left -= 1

        def read(self, buffer: str, offset: int, size_bytes: int) -> Any:
            return bytes(size_bytes) if left > 0 else super().read(buffer, offset, size_bytes)

    factory = AdapterFactory("simulated", BUILTIN, make_target=Steadied)
    program = Program.parse("alloc a 4\nwrite a 0 01010101\nread a 0 4 -> r0\n")
    case = Case(program=program, device=SIMULATED, policy=NO_POLICY, target="own")
    argument = explain(judge(case, factory), lambda each: judge(each, factory))
    assert argument.facts[0] == PASSES_NOW
    assert (argument.passes, argument.fails, argument.free) == ((), (), "")
    was_tried = wrong_reads > 1
    assert argument.sentence.startswith("op 2 (read a 0 4 -> r0): ") is not was_tried


def test_every_defect_of_the_foreign_runtime_is_asked_for() -> None:
    assert FOREIGN.keys() == foreign.DEFECTS.keys()


def test_the_table_has_two_of_each_family_and_forty_in_all() -> None:
    families = Counter(find(mistake.mutant).place.partition(":")[0] for mistake in MISTAKES)
    assert len(MISTAKES) >= 40
    assert min(families.values()) >= 2


def test_an_argument_has_ten_lines_at_most() -> None:
    lines = argument_for(MISTAKES[0]).lines
    assert len(lines) <= MOST_LINES
    assert all(len(line) < 300 for line in lines)


def test_clocks_are_told_where_there_is_a_trace() -> None:
    lines = argument_for(MISTAKES[0]).lines
    assert "fact: op 1 was called first, before call 2, and reached the queue at call 10" in lines
    assert "fact: op 2 was called later, before call 5, and reached the queue at call 5" in lines


def test_what_cures_it_and_what_may_be_anything_are_told() -> None:
    lines = foreign_argument("overtakes").lines
    assert "passes: with a flush before op 2" in lines
    assert "free: data and scalars may be anything" in lines


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_argument_of_the_page_on_findings_is_that_of_the_example() -> None:
    page = (Path(__file__).parents[2] / "docs" / "FINDINGS.md").read_text(encoding="utf-8")
    program = "alloc a 4\ndispatch affine a 1,1 1x1x1\nwrite a 0 01010101\nread a 0 4 -> r0\n"
    target = load("examples/overtaking_write.py:Overtaking")
    factory = AdapterFactory("simulated", BUILTIN, make_target=target)
    case = Case(program=Program.parse(program), device=SIMULATED, policy=NO_POLICY, target="own")
    argument = explain(judge(case, factory), lambda each: judge(each, factory))
    assert f"```\n{argument}\n```" in page


def test_rules_of_the_contract_stand_in_the_contract() -> None:
    page = Path(__file__).parents[2] / "docs" / "CONTRACT.md"
    text = " ".join(page.read_text(encoding="utf-8").split())
    assert [rule.sentence for rule in rules.FROM_CONTRACT if rule.sentence not in text] == []


def test_long_data_hides_no_words() -> None:
    data = "01" * 4080
    argument = foreign_argument("overtakes")
    long = replace(argument, sentence=f"op 1 (write b 0 {data}) was accepted")
    assert long.lines[0] == "op 1 (write b 0 0101010101010101...(4080 bytes)) was accepted"

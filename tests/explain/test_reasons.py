"""Reasons: one thing is varied, or followed from hop to hop, and the lines say which one it was."""

from pathlib import Path

import pytest

from gpusim.kernels import BUILTIN
from properties.explain.argument import MOST_LINES, Argument, said_shortly
from properties.explain.explain import explain
from properties.finding_file import read
from properties.fuzz.loading import load_target
from properties.mutants.mistakes import find
from properties.mutants.oracles import factory_of
from properties.oracles.cost import count_cost
from properties.oracles.judge import judge
from tests.explain.asked import ASKED
from tests.explain.by_trial import BY_TRIAL
from tests.explain.carried import CARRIED
from tests.explain.reasons import REASONS, Told
from tests.explain.told_apart import APART
from tests.explain.trials import TRIALS

_CONTRACT = "promises: contract replays=yes indirect=yes parts=yes\n"


def argument_of(told: Told, folder: Path) -> Argument:
    """The argument of a mistake on its program, which is read as a finding is."""
    headers = told.headers
    headers = headers if "device:" in headers else f"device: simulated\n{headers}"
    headers = headers if "promises:" in headers else f"{_CONTRACT}{headers}"
    target = "own" if told.is_foreign else "runtime"
    text = f"gpusim finding 2\ntarget: {target}\n{headers}seed: 1/1\nsummary: s\n\n{told.program}"
    file = folder / "finding.txt"
    file.write_text(text, encoding="utf-8")
    case = read(file).case
    if told.is_foreign:
        module = "judge.foreign" if told.name.islower() else "layer.hidden"
        factory = load_target(f"tests.{module}:{told.name}")("simulated", BUILTIN)
    else:
        factory = factory_of(find(told.name), "simulated", BUILTIN)
    return explain(judge(case, factory), lambda each: judge(each, factory))


@pytest.mark.parametrize(
    "told", [*REASONS, *TRIALS, *APART, *CARRIED, *ASKED, *BY_TRIAL], ids=lambda told: told.name
)
def test_the_lines_give_the_reason(told: Told, tmp_path: Path) -> None:
    lines = argument_of(told, tmp_path).lines
    assert len(lines) <= MOST_LINES
    text = "\n".join(lines)
    assert [said for said in told.says if said not in text] == [], text


def test_what_costs_too_much_is_named_with_what_n_counts(tmp_path: Path) -> None:
    told = Told(
        name="every_buffer_searched", program="alloc a 0\nalloc b 0\nwrite b 0 -\n", says=()
    )
    factory = factory_of(find(told.name), "simulated", BUILTIN)
    file = tmp_path / "finding.txt"
    file.write_text(
        f"gpusim finding 2\ntarget: runtime\n{_CONTRACT}device: simulated\npolicy: eager\n"
        f"seed: 1/1\nsummary: s\n\n{told.program}",
        encoding="utf-8",
    )
    failure = count_cost(read(file).case, factory)
    assert failure is not None
    where, first, second = failure.notes
    assert where.startswith("most of it in the function device_buffer: ")
    assert first.startswith("more live buffers alone make an op cost more: with 4, 8, 16, ")
    assert second.startswith("more ops on one buffer alone do not make an op cost more: ")


def test_a_long_message_keeps_its_last_reason_and_loses_its_guess() -> None:
    message = (
        "OutOfMemory: cannot bind buffers for gpusim_copy_bytes because the device refused: cannot "
        "create this bind group because binding 1 starts at 4 (probably by mistake)"
    )
    assert said_shortly(message) == "OutOfMemory: binding 1 starts at 4"

"""Every mistake is reported at its lines, and nothing of the kernels that are mended."""

from typing import Any

import numpy as np
import pytest

from gpusim import Kernel
from gpusim.wgsl import ShaderError, compile_module
from gpusim.wgsl.checks import CheckedEntry, Ledger, ShaderReport, check_dispatch
from tests.wgsl.mistaken.case import Case
from tests.wgsl.mistaken.idioms import IDIOMS
from tests.wgsl.mistaken.ordered import ORDERED
from tests.wgsl.mistaken.others import OTHERS
from tests.wgsl.mistaken.races import ACROSS, RACES, SOMETIMES

pytestmark = pytest.mark.unit
CASES = (*RACES, *OTHERS, *IDIOMS, *ORDERED)
SHOWN_SOMETIMES = [case for case in CASES if case.harmless is not None]


def reports(case: Case, text: str, shown: tuple[Any, ...] | None = None) -> Any:
    buffers, scalars, grid = shown or (case.buffers, case.scalars, case.grid)
    kernel = Kernel.from_wgsl(text, name=case.name)
    return kernel.check(buffers, scalars, grid=grid, arithmetic=case.arithmetic)


def lines(found: tuple[ShaderReport, ...]) -> set[int]:
    return {place.line for report in found for place in report.places}


def test_there_are_twenty_races_and_twenty_other_mistakes() -> None:
    assert len(RACES) == 20
    assert len(OTHERS) == 20
    assert len(ACROSS) == len(SOMETIMES) == 5
    assert len({case.name for case in CASES}) == 40 + len(IDIOMS) + len(ORDERED)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_mistake_is_reported_at_its_lines(case: Case) -> None:
    found = reports(case, case.text)
    assert {report.kind for report in found} == {case.kind}, "\n".join(map(str, found))
    assert lines(found) == case.lines, "\n".join(map(str, found))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_mended_twin_is_not(case: Case) -> None:
    assert [*map(str, reports(case, case.mended))] == []


@pytest.mark.parametrize("case", SHOWN_SOMETIMES, ids=lambda case: case.name)
def test_inputs_that_do_not_show_it_report_nothing(case: Case) -> None:
    assert [*map(str, reports(case, case.text, case.harmless))] == []


@pytest.mark.parametrize("case", ACROSS, ids=lambda case: case.name)
def test_a_race_across_workgroups_names_two(case: Case) -> None:
    pairs = [{act.workgroup for act in report.acts} for report in reports(case, case.text)]
    assert all(len(pair) == 2 for pair in pairs)


ROWS = """
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(4)
fn main(@builtin(global_invocation_id) id: vec3u) { x[id.x] = id.y; }
"""


def test_a_grid_that_cannot_race_hides_no_race_of_another() -> None:
    ledger = Ledger()
    entry = CheckedEntry(compile_module(ROWS).entry("main"), ledger, ROWS)
    run = entry.bind([np.zeros(32, np.uint8)])
    kinds = []
    for rows in (1, 2):
        run(2, rows, 1)
        kinds.append({report.kind for report in ledger.reports})
    assert kinds == [set(), {"race"}]


FEW = """
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(2)
fn main(@builtin(global_invocation_id) id: vec3u) { x[id.x / 2u + x[2]] = id.x; }
"""


@pytest.mark.parametrize("words", [8, 1 << 20])
def test_a_few_invocations_are_looked_at_over_much_memory(words: int) -> None:
    x = np.zeros(words, np.uint32)
    (report,) = Kernel.from_wgsl(FEW).check([x])
    assert [act.did for act in report.acts] == ["wrote 0", "wrote 1"]


def test_one_invocation_races_with_nobody_and_its_indices_are_looked_at() -> None:
    kernel = Kernel.from_wgsl(FEW.replace("workgroup_size(2)", "workgroup_size(1)"))
    assert kernel.check([np.zeros(8, np.uint32)]) == ()
    assert {each.kind for each in kernel.check([np.full(8, 9, np.uint32)], grid=1)} == {"bounds"}


def test_a_shader_that_is_too_deep_to_check_is_refused() -> None:
    condition = "z[id.x] == 0u"
    for _ in range(97):
        condition = f"z[id.x] == 0u && ({condition})"
    text = f"""
@group(0) @binding(0) var<storage, read_write> z: array<u32>;
@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) id: vec3u) {{ if ({condition}) {{ z[id.x] = 1u; }} }}
"""
    compile_module(text).entry("main").compile()
    with pytest.raises(ShaderError, match="nested"):
        check_dispatch(text, "main", [np.zeros(4, np.uint8)], (1, 1, 1))

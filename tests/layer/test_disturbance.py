"""A disturbance as data: its text, what the promises allow of it, and how it shows and shrinks."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpusim.errors import ProgramError
from gpusim.history import CRASH, History, Outcome
from gpusim.program import Program
from gpusim.simulated import FaultPlan
from properties.execute import CHANGED
from properties.finding_file import FindingFile, format_finding, parse_finding
from properties.generate.cases import draw_disturbance
from properties.model.capabilities import Capabilities
from properties.model.case import NO_POLICY, Case, DeviceSpec
from properties.model.disturbance import SURVIVED, Disturbance, as_json, parse_disturbance
from properties.oracles.injected import in_contract_terms, shown_faults
from properties.shrink.devices import simpler_disturbances
from properties.targets.layer import adversary_source
from properties.targets.wire import write_open

FAILING = Disturbance(seed=7, faults=FaultPlan(failed_maps=(0, 2), lost_at_submit=3))
SURVIVING = Capabilities(survives_failed_maps=True, survives_out_of_memory=True, survives_loss=True)
LAYER = Path(__file__).resolve().parents[2] / "gpusim" / "layer"


def test_its_text_can_be_read_back() -> None:
    assert str(FAILING) == "seed=7 failed_maps=0,2 lost_at_submit=3"
    assert parse_disturbance(str(FAILING)) == FAILING
    assert parse_disturbance("seed=0") == Disturbance()


@pytest.mark.parametrize("text", ["", "7", "seed=", "seed=-1", "seed=1 failed_submits=0"])
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(ProgramError):
        parse_disturbance(text)


def test_a_finding_keeps_it() -> None:
    case = Case(
        program=Program.parse("alloc a 4"),
        device=DeviceSpec(name="vulkan"),
        policy=NO_POLICY,
        target="exec:node x.mjs",
        disturbance=FAILING,
    )
    text = format_finding(FindingFile(case=case))
    assert "disturbance: seed=7 failed_maps=0,2 lost_at_submit=3\n" in text
    assert parse_finding(text).case.disturbance == FAILING


def test_the_layer_is_told_all_of_it() -> None:
    assert json.loads(as_json(FAILING)) == {
        "seed": 7,
        "failed_maps": [0, 2],
        "out_of_memory": [],
        "lost_at_submit": 3,
    }
    assert write_open(FAILING) == f"open {as_json(FAILING)}"
    assert write_open(None) == "open"


@given(number=st.integers(0, 500))
def test_only_what_is_survived_fails(number: int) -> None:
    drawn = draw_disturbance(f"1/{number}", SURVIVING)
    assert draw_disturbance(f"1/{number}", Capabilities()).injected == frozenset()
    for kind, promise in SURVIVED.items():
        one = Capabilities(**{promise: True})  # type: ignore[arg-type]
        assert draw_disturbance(f"1/{number}", one).injected == drawn.injected & {kind}


def test_every_kind_is_drawn() -> None:
    drawn = [draw_disturbance(f"1/{number}", SURVIVING).injected for number in range(100)]
    assert frozenset().union(*drawn) == frozenset(SURVIVED)
    assert frozenset() in drawn


def test_it_becomes_smaller_and_ends() -> None:
    disturbance = FAILING
    while simpler := next(simpler_disturbances(disturbance), None):
        disturbance = simpler
    assert disturbance == Disturbance(seed=0)


PROGRAM = Program.parse("alloc a 4\nwrite a 0 00\nread a 0 4 -> r0\nsync")
RAISED = Outcome(error=f"{CRASH}OperationError")
LATE = Outcome(late_error=f"{CRASH}OperationError")
SHOWN = History(outcomes=(RAISED, RAISED, LATE, RAISED), deliveries=(), closing=None)


@pytest.mark.parametrize(
    ("kind", "errors"),
    [
        ("failed_maps", [RAISED.error, RAISED.error, None, "MapFailed"]),
        ("out_of_memory", ["OutOfMemory", "OutOfMemory", None, "OutOfMemory"]),
        ("lost_at_submit", ["SubmitFailed", "SubmitFailed", None, "SubmitFailed"]),
    ],
)
def test_an_error_is_allowed_where_the_promise_says_so(kind: str, errors: list[str | None]) -> None:
    shown = in_contract_terms(PROGRAM, SHOWN, frozenset({kind}))
    assert [outcome.error for outcome in shown.outcomes] == errors
    assert {shown.outcomes[2].late_error} == shown_faults(frozenset({kind}))


def test_a_changed_value_is_never_allowed() -> None:
    changed = replace(SHOWN, outcomes=(Outcome(),) * 2 + (Outcome(late_error=CHANGED), Outcome()))
    assert in_contract_terms(PROGRAM, changed, frozenset(SURVIVED)) == changed


def test_the_layer_is_one_module_without_imports() -> None:
    source = adversary_source()
    assert "\nimport " not in source
    assert source.count("export function install(") == 1
    for name in ("watched.js", "failures.js", "calls.js", "adversary.js"):
        assert (LAYER / name).read_text(encoding="utf-8").splitlines()[0] in source

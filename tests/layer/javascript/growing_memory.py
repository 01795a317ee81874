"""What grows in a JavaScript runtime from program to program is a finding; what is bounded is none.

It runs where ``hidden_mistakes.py`` does.
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from gpusim.kernels import BUILTIN
from gpusim.program import Program
from properties.fuzz.loading import load_target
from properties.model.case import NO_POLICY, Case, parse_device
from properties.model.failure import Failure
from properties.oracles.growth import judge_growth
from properties.targets.factory import TargetFactory

PROGRAMS = {
    "pool": Program.parse("alloc a 64\nwrite a 0 01020304\nread a 0 4 -> r0\nfree a\n"),
    "arena": Program.parse("alloc a 64\nwrite a 0 01020304\nwrite a 0 05060708\nfree a\n"),
}
SEEDS = [f"1/{number}" for number in range(100)]


@pytest.fixture
def opened(request: pytest.FixtureRequest, place: str) -> Iterator[tuple[str, TargetFactory]]:
    """The name of a runtime of the folder ``memory``, and the targets that it serves."""
    name, side = request.param.split()
    factory = load_target(place.format(f"../memory/{name}", side))("simulated", BUILTIN)
    yield name, factory
    factory.close()


def failure_of(name: str, factory: TargetFactory) -> Failure | None:
    """What is found where the runtime's program is repeated."""
    case = Case(
        program=PROGRAMS[name],
        device=parse_device("simulated"),
        policy=NO_POLICY,
        target="target",
    )
    # Some seeds are not drawn to be repeated.
    judged = (judge_growth(replace(case, seed=seed), factory) for seed in SEEDS)
    return next(filter(None, judged), None)


@pytest.mark.parametrize("opened", ["pool Wrong", "arena Wrong"], indirect=True)
def test_what_grows_is_a_finding(opened: tuple[str, TargetFactory]) -> None:
    name, factory = opened
    failure = failure_of(name, factory)
    assert failure is not None
    says = {"pool": "20 buffers of 1280 bytes", "arena": "were made without a submit"}
    assert says[name] in failure.reason


@pytest.mark.parametrize("opened", ["pool Right", "pool Dropping", "arena Right"], indirect=True)
def test_what_is_bounded_is_none(opened: tuple[str, TargetFactory]) -> None:
    assert failure_of(*opened) is None

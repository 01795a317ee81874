"""Special floats are in programs only where they are promised, and keep their bits."""

import struct
from dataclasses import replace

import pytest

from gpusim.kernels import BUILTIN
from gpusim.limits import Limits
from gpusim.ops import Dispatch, Replay, Write
from gpusim.program import Program
from properties.generate.cases import ALL_PROMISED, CaseSettings, case_for
from properties.generate.choices import SeededChoices
from properties.generate.fitting import first_beyond, fitted
from properties.generate.floats import (
    is_special,
    ordinary_data,
    real_buffers,
    with_special_floats,
)
from properties.model.capabilities import CONTRACT, Capabilities
from properties.targets.factory import RuntimeFactory
from reference import run as run_reference

pytestmark = pytest.mark.unit

PROMISED = replace(CONTRACT, special_floats=True)
LIMITS = Limits()
MANY = "dispatch many a 1,2,3,4,5,6,7,8,{},0.5,0.5,0.5 1x1x1"


def _program(number: int, promises: Capabilities) -> Program:
    setting = CaseSettings(device="simulated", limits=LIMITS, promises=promises, target="small")
    return case_for(3, number, setting).program


def _has_special(program: Program) -> bool:
    reals = real_buffers(program, BUILTIN)
    return any(
        (isinstance(op, Dispatch) and op.kernel == "many" and any(map(is_special, op.scalars)))
        or (isinstance(op, Write) and op.buffer in reals and ordinary_data(0, op.data) != op.data)
        for op in program
    )


def test_programs_have_them_only_where_they_are_promised() -> None:
    assert sum(_has_special(_program(number, PROMISED)) for number in range(60)) >= 5
    assert not any(_has_special(_program(number, CONTRACT)) for number in range(60))


def _special_replays(promises: Capabilities) -> int:
    """How many replays of programs under ``promises`` pass a special scalar."""
    setting = CaseSettings(device="simulated", limits=LIMITS, promises=promises)
    return sum(
        any(is_special(one) for entry in op.scalars or () for one in entry or ())
        for number in range(900)
        for op in case_for(3, number, setting).program
        if isinstance(op, Replay)
    )


def test_replays_have_them_too_on_the_device_that_keeps_every_bit() -> None:
    assert _special_replays(RuntimeFactory("simulated").capabilities) >= 2
    assert not _special_replays(ALL_PROMISED)


def test_a_scalar_that_is_wrong_on_purpose_stays_wrong() -> None:
    wrong = "1,2,3,4,5,6,7,8,1e39,0.5,0.5,0.5"
    program = Program.parse(
        f"alloc a 64\ndispatch many a {wrong} 1x1x1\n"
        f"capture g dispatch many a {wrong[:-16]}8.0,0.5,0.5,0.5 1x1x1\nreplay g {wrong} -\n"
    )
    changed = {
        with_special_floats(SeededChoices(str(seed)), program, BUILTIN) for seed in range(99)
    }
    assert len(changed) > 2
    assert all("1e+39" in str(one[1]) and "1e+39" in str(one[3]) for one in changed)


@pytest.mark.parametrize("scalar", ["-0.0", "1e-45", "-1e-40"])
def test_a_special_scalar_asks_for_more_than_the_contract(scalar: str) -> None:
    program = Program.parse(f"alloc a 64\n{MANY.format(scalar)}\n")
    assert Program.parse(str(program)) == program
    assert first_beyond(program, CONTRACT, BUILTIN, LIMITS) == 1
    assert first_beyond(program, PROMISED, BUILTIN, LIMITS) is None
    assert fitted(program, CONTRACT, BUILTIN, LIMITS) == Program.parse(
        f"alloc a 64\n{MANY.format('1.0')}\n"
    )


@pytest.mark.parametrize("scalar", ["0.0", "0", "1.1754943508222875e-38", "-5"])
def test_any_other_scalar_does_not(scalar: str) -> None:
    program = Program.parse(f"alloc a 64\n{MANY.format(scalar)}\n")
    assert first_beyond(program, CONTRACT, BUILTIN, LIMITS) is None


@pytest.mark.parametrize("word", ["0000c07f", "0000807f", "00000080", "01000000"])
def test_a_special_float_in_data_does_where_the_data_is_floats(word: str) -> None:
    text = f"alloc a 8\nalloc b 8\nwrite a 0 {word}0000803f\n"
    integers = Program.parse(f"{text}dispatch fold a,b 3 1x1x1\n")
    floats = Program.parse(f"{text}dispatch blend a,b 0.5 1x1x1\n")
    assert first_beyond(integers, CONTRACT, BUILTIN, LIMITS) is None
    assert first_beyond(floats, CONTRACT, BUILTIN, LIMITS) == 2
    assert first_beyond(floats, PROMISED, BUILTIN, LIMITS) is None


def test_a_replay_binds_floats_and_has_scalars_too() -> None:
    program = Program.parse(
        "alloc a 8\nalloc b 8\nalloc c 8\ncapture g dispatch blend a,b 0.5 1x1x1\n"
        f"write c 0 {struct.pack('<2f', float('nan'), 1.0).hex()}\nreplay g -0.0 a=c\n"
    )
    promised = replace(CONTRACT, replays=True)
    assert real_buffers(program, BUILTIN) == {"a", "b", "c"}
    assert first_beyond(program, promised, BUILTIN, LIMITS) == 4
    asked = fitted(program, promised, BUILTIN, LIMITS)
    assert str(asked).splitlines()[-1] == "replay g 1.0 a=c"


def test_the_reference_keeps_every_bit() -> None:
    text = "alloc a 4\ndispatch many a 0,0,0,0,0,0,0,0,{},0.5,0.5,0.5 1x1x1\nread a 0 4 -> r0\n"
    programs = [Program.parse(text.format(scalar)) for scalar in ("0.0", "-0.0", "1e-45")]
    shown = [run_reference(each, BUILTIN, LIMITS).outcomes[-1].data for each in programs]
    assert len({*shown}) == len(programs)

"""What the compiler computes lies in what WGSL allows, and the random shaders compile."""

from pathlib import Path

import numpy as np
import pytest

from gpusim.wgsl import compile_module
from tools.wgsl import values
from tools.wgsl.__main__ import main
from tools.wgsl.adapters import Job, run_compiled
from tools.wgsl.expressions import random_forms
from tools.wgsl.forms import Form, forms
from tools.wgsl.intervals import Floats
from tools.wgsl.mutants import compiler_refusal, mutants
from tools.wgsl.programs import Writer

pytestmark = pytest.mark.unit
NARROW = [form for form in forms(True) if form.result[1] == 1 and form.rule is not None]


class Itself:
    """The compiler, in the place of an adapter."""

    name = "compiled"
    run = staticmethod(run_compiled)


def differences(chosen: list[Form]) -> list[str]:
    found = values.compare(Itself(), chosen, 3)
    return [f"{each.form.name}: {each.example}" for each in found]


@pytest.mark.parametrize("start", range(0, len(NARROW), 40))
def test_each_form_of_one_component_is_allowed(start: int) -> None:
    assert differences(NARROW[start : start + 40]) == []


def test_random_expressions_are_allowed() -> None:
    assert differences(list(random_forms(40, 5, f16=True))) == []


def test_an_interval_rounds_outwards_and_flushes() -> None:
    m = Floats("f32")
    third = m.rounded(np.array([1 / 3]), np.array([1 / 3]), np.array([False]))
    assert third.low < 1 / 3 < third.high
    tiny = m.given(np.array([1e-40], np.float32))
    assert tiny.low == 0.0
    assert tiny.high > 0.0
    assert m.given(np.array([np.inf], np.float32)).free
    assert not m.add(m.constant(1.0), m.constant(1.0)).holds(2.0000002)


def test_a_sum_in_another_order_rounds_what_is_largest() -> None:
    m = Floats("f16")
    small, large = m.constant(1 / 64), m.constant(64.0)
    first = m.add(small, m.sub(large, large))
    assert not first.holds(1 / 32)
    assert m.reassociated(first).holds(np.float16(0))  # (1 / 64 + 64) - 64
    assert not m.reassociated(first).holds(0.1)


def test_a_wrong_word_is_told() -> None:
    class Wrong(Itself):
        name = "wrong"

        @staticmethod
        def run(job: Job, *, varied: bool = False) -> dict[tuple[int, int], bytes]:
            return {
                slot: bytes(len(data)) for slot, data in run_compiled(job, varied=varied).items()
            }

    form = Form(text="a + b", operands=(("u32", 1), ("u32", 1)), result=("u32", 1))
    assert [each.who for each in values.compare(Wrong(), [form], 3)] == ["wrong"]


def test_random_shaders_compile() -> None:
    for seed in range(6):
        assert compiler_refusal(Writer(seed).text()) is None


def test_changed_tokens_crash_nothing() -> None:
    text = Writer(1).text()
    refusals = [compiler_refusal(each) for each in mutants([text], 60, 2)]
    assert not any(each and each.startswith("CRASH") for each in refusals)
    assert compile_module(text).entry_points == ("main",)


@pytest.mark.parametrize("what", ["shipped", "mutants"])
def test_a_folder_without_shaders_is_refused(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([what, str(tmp_path)])
    assert "probably FOLDER is missing" in capsys.readouterr().err

"""Every form of an argument means the same, and overwriting it changes nothing that was taken."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gpusim import Refused, Runtime
from gpusim.kernels import AFFINE, BLEND, WIDEN
from gpusim.program import Program
from gpusim.runtime import Parts, Ticket
from gpusim.runtime.reads import Reads
from properties.clients import forms
from properties.clients.forbidden import METHODS
from properties.clients.misfits import MISFITS
from properties.clients.misuses import OF_A_RUNTIME
from properties.model.case import Case, DeviceSpec
from properties.oracles.judge import MEANING_ONLY, judge
from properties.targets.factory import RuntimeFactory

SIMULATED = DeviceSpec(name="simulated")
WORDS = bytes(range(1, 65))


@pytest.mark.parametrize("size_bytes", [0, 1, 2, 4, 6, 8, 12, 16, 64])
def test_every_form_of_data_holds_the_same_bytes(size_bytes: int) -> None:
    data = WORDS[:size_bytes]
    with Runtime("simulated") as runtime:
        buffer = runtime.alloc(64)
        for make in forms.data_forms(data):
            passed, overwrite = make(data)
            runtime.write(buffer, bytes(64))
            runtime.write(buffer, passed)
            overwrite()
            assert runtime.read(buffer).result() == data.ljust(64, b"\0")
        runtime.free(buffer)


def test_there_are_forms_that_lie_otherwise_in_memory() -> None:
    made = [make(WORDS)[0] for make in forms.data_forms(WORDS)]
    arrays = [one for one in made if isinstance(one, np.ndarray)]
    assert any(one.flags.f_contiguous and not one.flags.c_contiguous for one in arrays)
    assert any(one.strides[0] < 0 for one in arrays)
    assert any(not one.flags.writeable for one in arrays)
    assert any(one.ndim == 3 for one in arrays)
    assert any(isinstance(one, memoryview) and one.itemsize > 1 for one in made)


@pytest.mark.parametrize("grid", [(2, 1, 1), (1, 2, 1), (1, 1, 2), (0, 1, 1)])
@pytest.mark.parametrize("is_captured", [False, True])
def test_every_form_of_a_grid_and_of_scalars_means_the_same(
    grid: tuple[int, int, int], is_captured: bool
) -> None:
    count = 0 if 0 in grid else 100
    for grid_at, given in enumerate(forms.grid_forms(grid)):
        for scalars in forms.scalar_forms(AFFINE, (1, 1)):
            given = forms.grid_forms(grid)[grid_at]
            with Runtime("simulated") as runtime:
                x = runtime.alloc(400)
                if is_captured:
                    with runtime.capture() as graph:
                        runtime.dispatch(AFFINE, [x], scalars, given)
                    forms.overwrite(scalars)
                    graph.replay()
                else:
                    runtime.dispatch(AFFINE, [x], scalars, given)
                assert int(runtime.read(x, dtype="u32").result().sum()) == count
                runtime.free(x)


def test_numbers_of_numpy_are_among_the_scalars_of_each_type() -> None:
    shift, part = forms.scalar_forms(WIDEN, (-3,)), forms.scalar_forms(BLEND, (0.25,))
    assert [np.int64(-3)] in shift
    assert {type(form[0]) for form in part if isinstance(form, list)} == {float, np.float64}
    with Runtime("simulated") as runtime:
        x, y = runtime.alloc(4), runtime.alloc(4)
        for form in forms.scalar_forms(BLEND, (0.25,)):
            for buffer in (x, y):
                runtime.write(buffer, np.float32(2))
            runtime.dispatch(BLEND, [x, y], form)
            assert runtime.read(y, dtype="f32").result()[0] == 1.5
        runtime.free(x)
        runtime.free(y)


def test_a_form_that_can_change_is_overwritten() -> None:
    for form in forms.scalar_forms(AFFINE, (3, 5)):
        if isinstance(form, list | dict | np.ndarray):
            before = str(form)
            forms.overwrite(form)
            assert str(form) != before


@pytest.mark.parametrize(("name", "misuse", "error", "says"), MISFITS)
def test_what_does_not_fit_is_refused(
    name: str, misuse: Callable[[Any], object], error: type[Refused], says: str
) -> None:
    with Runtime("simulated") as runtime:
        x, y = runtime.alloc(64), runtime.alloc(64)
        with runtime.capture() as graph:
            runtime.dispatch(AFFINE, [x], (3, 1))
            runtime.dispatch(AFFINE, [x], (5, 2))
        with pytest.raises(error, match=f"(?s){says}"):
            misuse(SimpleNamespace(runtime=runtime, x=x, y=y, graph=graph))
        runtime.free(x)
        runtime.free(y)


class Cutting(Runtime):
    """A read leaves out what is no whole element."""

    def read(self, buffer: Any, offset: Any = 0, size_bytes: Any = None, **form: Any) -> Ticket:
        if "shape" not in form and size_bytes in (5, 6, 12):
            size_bytes -= size_bytes % {"u32": 4, "u2": 2, "c8": 8}.get(form.get("dtype", ""), 1)
        return super().read(buffer, offset, size_bytes, **form)


class Long(Reads):
    """A read of more than 16 bytes gives an array of them."""

    def issue(self, origin: Any, offset: int, size_bytes: int, *given: Any, **named: Any) -> Ticket:
        ticket = super().issue(origin, offset, size_bytes, *given, **named)
        if size_bytes > 16:
            ticket.__class__ = Unlike
        return ticket


class Unlike(Ticket):
    def result(self, timeout: float | None = None) -> Any:
        return bytearray(super().result(timeout))


def test_a_read_in_another_form_than_asked_for_is_seen() -> None:
    text = "alloc a 64\nread a 0 16 -> r0\nread a 0 20 -> r1\n"
    case = Case(program=Program.parse(text), device=SIMULATED)
    assert judge(case, RuntimeFactory("simulated"), MEANING_ONLY).failure is None
    found = judge(case, RuntimeFactory("simulated", parts=Parts(reads=Long)), MEANING_ONLY).failure
    assert "a read without a dtype gives bytearray" in str(found)
    # The ops draw the misuses.
    text = "alloc a 64\n" + "".join(f"read a 0 {n % 64} -> r{n}\n" for n in range(600))
    case = Case(program=Program.parse(text), device=SIMULATED, client="misusing")
    assert judge(case, RuntimeFactory("simulated"), MEANING_ONLY).failure is None
    found = judge(case, RuntimeFactory("simulated", make_runtime=Cutting), MEANING_ONLY).failure
    assert "bytes with dtype=" in str(found)
    assert " is not refused" in str(found)


def test_every_method_is_called_when_closed_from_a_thread_and_in_a_capture() -> None:
    names = {name for name, *_ in OF_A_RUNTIME}
    for method in METHODS:
        assert {f"{method} on a closed runtime", f"{method} from a thread"} <= names
    public = {name for name in vars(Runtime) if not name.startswith("_")}
    properties = {"is_open", "live_buffers", "stats", "close"}
    assert public - properties == {*METHODS}

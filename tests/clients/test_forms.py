"""Every form of an argument means the same, and overwriting it changes nothing that was taken."""

import numpy as np
import pytest

from gpusim import Runtime
from gpusim.kernels import AFFINE
from properties.clients import forms
from properties.clients.forbidden import METHODS
from properties.clients.misuses import OF_A_RUNTIME

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


def test_a_form_that_can_change_is_overwritten() -> None:
    for form in forms.scalar_forms(AFFINE, (3, 5)):
        if isinstance(form, list | dict | np.ndarray):
            before = str(form)
            forms.overwrite(form)
            assert str(form) != before


def test_every_method_is_called_when_closed_from_a_thread_and_in_a_capture() -> None:
    names = {name for name, *_ in OF_A_RUNTIME}
    for method in METHODS:
        assert {f"{method} on a closed runtime", f"{method} from a thread"} <= names
    public = {name for name in vars(Runtime) if not name.startswith("_")}
    properties = {"is_open", "live_buffers", "stats", "close"}
    assert public - properties == {*METHODS}

"""Kernels that the generator has never seen, drawn from their signatures alone."""

from gpusim.kernels import BUILTIN, Binding, Kernel, Kernels, Scalar
from gpusim.kernels.kernel import Array
from gpusim.ops import Dispatch
from properties.generate.choices import SeededChoices
from properties.generate.generator import generate
from properties.generate.operands import drawable
from reference import run


def _nothing(arrays: tuple[Array, ...], scalars: tuple[object, ...], groups: int) -> None:
    """A meaning for kernels that are only looked at."""


def _kernel(name: str, *buffers: Binding, scalars: tuple[Scalar, ...] = ()) -> Kernel:
    return Kernel(name=name, buffers=buffers, scalars=scalars, body="", meaning=_nothing)


def test_a_kernel_of_ones_own_is_drawn_from_its_signature() -> None:
    own = _kernel(
        "gather",
        Binding(name="table", dtype="f32"),
        Binding(name="places"),
        Binding(name="out", dtype="f32", access="read_write"),
        scalars=(Scalar(name="first", dtype="i32"), Scalar(name="scale", dtype="f32")),
    )
    seen = 0
    for at in range(50):
        program = generate(SeededChoices(f"own {at}"), kernels=Kernels(own), invalid=False)
        history = run(program, Kernels(own))
        assert all(outcome.error is None for outcome in history.outcomes)
        seen += sum(isinstance(op, Dispatch) for op in program)
    assert seen >= 100


def test_a_kernel_that_makes_integers_of_floats_is_left_out() -> None:
    rounding = _kernel(
        "rounding",
        Binding(name="x", dtype="f32"),
        Binding(name="y", dtype="i32", access="read_write"),
    )
    names = [signature.name for signature in drawable(BUILTIN.adding(rounding))]
    assert names == list(BUILTIN)

"""The decoder computes what float64 says, under every policy, kernel by kernel and whole."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from gpusim.errors import InternalError
from gpusim.kernels import Kernel
from gpusim.kernels.kernel import NUMPY_DTYPES
from gpusim.runtime import Driver, Runtime
from properties.bench.decode import (
    MOST_ERROR,
    Decoding,
    Text,
    Variant,
    ablation,
    check_tokens,
    left_out,
    start,
    torch_arms,
)
from properties.bench.decoder.kernels import (
    ADD,
    ATTEND,
    EMBED,
    GATE,
    LARGEST,
    NORM,
    PROJECT,
    ROTATE,
)
from properties.bench.decoder.shape import Shape, logits_after, parameters, random_weights
from properties.bench.decoder.torch_decoder import TorchDecoding

TINY = Shape(
    layers=2,
    width=48,
    heads=4,
    key_heads=2,
    head_width=16,
    hidden=80,
    vocabulary=90,
    context=18,
)
WEIGHTS = random_weights(TINY, seed=1)
SMALL_KERNELS: list[tuple[Kernel, tuple[int, ...], tuple[int, ...], int]] = [
    (EMBED, (90 * 48, 48), (17, 48), 1),
    (NORM, (100, 100, 100), (100,), 1),
    (PROJECT, (7 * 70, 70, 7), (70,), 7),
    (ADD, (7 * 70, 70, 7), (70,), 7),
    (ROTATE, (8 * 16, 6 * 16, 64, 6 * 32, 6 * 32), (5, 4, 2, 16), 2),
    (ATTEND, (64, 70 * 32, 70 * 32, 64), (70, 4, 2, 16), 4),
    (GATE, (2 * 9 * 70, 70, 9), (70, 9), 9),
    (LARGEST, (300, 1), (300,), 1),
]
"""Kernel, sizes of its buffers in words, scalars and grid: more than a workgroup each."""


@pytest.fixture(params=["ring", "ring with replay"])
def decoding(bench_driver: Driver, request: pytest.FixtureRequest) -> Iterator[Decoding]:
    """The tiny decoder under the ring policy, its steps called or replayed."""
    decoding = Decoding(bench_driver, ablation()[request.param], TINY, WEIGHTS)
    yield decoding
    decoding.close()


@pytest.mark.parametrize(
    ("kernel", "sizes", "scalars", "grid"),
    SMALL_KERNELS,
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_kernel_does_what_it_means(
    bench_driver: Driver,
    kernel: Kernel,
    sizes: tuple[int, ...],
    scalars: tuple[int, ...],
    grid: int,
) -> None:
    random = np.random.default_rng(7)
    arrays = [
        random.standard_normal(size).astype(NUMPY_DTYPES[binding.dtype])
        for size, binding in zip(sizes, kernel.buffers, strict=True)
    ]
    shown = run_on_device(bench_driver, kernel, arrays, scalars, grid)
    before = [array.copy() for array in arrays]
    kernel.meaning(tuple(arrays), tuple(np.uint32(scalar) for scalar in scalars), grid)
    assert any((array != was).any() for array, was in zip(arrays, before, strict=True))
    for array, value in zip(arrays, shown, strict=True):
        np.testing.assert_allclose(value, array, rtol=2e-4, atol=2e-5)


def run_on_device(
    driver: Driver, kernel: Kernel, arrays: list[Any], scalars: tuple[int, ...], grid: int
) -> list[Any]:
    runtime = Runtime(driver=driver)
    buffers = [runtime.alloc(array.nbytes) for array in arrays]
    for buffer, array in zip(buffers, arrays, strict=True):
        runtime.write(buffer, array)
    runtime.dispatch(kernel, buffers, scalars, grid)
    tickets = [
        runtime.read(buffer, dtype=array.dtype)
        for buffer, array in zip(buffers, arrays, strict=True)
    ]
    values = [ticket.result() for ticket in tickets]
    for buffer in buffers:
        runtime.free(buffer)
    runtime.close()
    return values


@pytest.mark.parametrize("variant", ablation().values(), ids=str)
def test_logits_are_those_of_float64_in_every_arm(bench_driver: Driver, variant: Variant) -> None:
    decoding = Decoding(bench_driver, variant, TINY, WEIGHTS)
    expected = logits_after(TINY, WEIGHTS, TINY.prompt)
    assert np.max(np.abs(decoding.start() - expected)) <= MOST_ERROR
    decoding.close()


def play(decoding: Decoding, count: int) -> None:
    decoding.start()
    for _ in range(count):
        decoding.play()


def test_the_tokens_are_those_of_float64(decoding: Decoding) -> None:
    play(decoding, 8)
    text = list(TINY.prompt)
    for token in decoding.tokens:
        logits = logits_after(TINY, WEIGHTS, text)
        assert logits[token] >= logits.max() - MOST_ERROR
        text.append(token)
    assert len(decoding.tokens) == 9


def test_a_token_costs_at_most_two_submissions(decoding: Decoding) -> None:
    decoding.start()
    sample = decoding.play()
    assert 0 < decoding.submits_per_token <= 2
    assert 0 < sample.record_seconds <= sample.total_seconds


def test_the_dispatches_of_a_token_are_as_many_as_the_shape_says(decoding: Decoding) -> None:
    before = decoding.dispatches
    play(decoding, 1)
    tokens = len(TINY.prompt) + 1
    without_logits = len(TINY.prompt) - 1
    assert decoding.dispatches - before == tokens * TINY.dispatches - 3 * without_logits


def test_wrong_logits_and_other_tokens_are_refused(bench_driver: Driver) -> None:
    ring, lazy = (
        Decoding(bench_driver, ablation()[name], TINY, weights)
        for name, weights in (("ring", WEIGHTS), ("lazy", random_weights(TINY, seed=2)))
    )
    arms = {"ring": ring, "lazy": lazy}
    expected = logits_after(TINY, WEIGHTS, TINY.prompt)
    with pytest.raises(InternalError, match="a logit of 'lazy' is"):
        start(arms, expected, lambda what: None)
    for arm in arms.values():
        play(arm, 3)
    with pytest.raises(InternalError, match="'lazy' and 'ring' made different tokens"):
        check_tokens(arms)
    for arm in arms.values():
        arm.close()


@pytest.mark.unit
def test_an_arm_in_pytorch_plays_or_says_why_not() -> None:
    arms, notes = torch_arms(TINY, WEIGHTS, logits_after(TINY, WEIGHTS, TINY.prompt))
    said = [note.split(": not run: ")[0] for note in notes]
    assert [*arms, *said] == ["torch, eager", "torch, CUDA graph"]


class Written(TorchDecoding):
    """An arm that has made its text already."""

    def __init__(self, *tokens: int) -> None:
        self.tokens = list(tokens)
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


@pytest.mark.unit
def test_a_foreign_arm_with_another_text_is_left_out() -> None:
    ring, same, other = Written(3, 5), Written(3, 5), Written(3, 6)
    arms: dict[str, Text] = {"ring": ring, "same": same, "other": other}
    assert left_out(arms, {"same": same, "other": other}) == [
        "other: left out: it made other tokens"
    ]
    assert list(arms) == ["ring", "same"]
    assert left_out(arms, {"same": same, "other": other}) == []
    assert [arm.is_closed for arm in (ring, same, other)] == [False, False, True]


def test_weights_are_counted() -> None:
    per_layer = 48 * (64 + 64) + 64 * 48 + 3 * 48 * 80 + 2 * 48
    assert parameters(WEIGHTS) == 90 * 48 + 48 + 2 * per_layer

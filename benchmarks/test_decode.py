"""Tokens of a small decoder, by policy; ``gpusim bench decode`` has the table."""

from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from gpusim.runtime import driver_for
from properties.bench.decode import Decoding, Variant, ablation
from properties.bench.decoder.shape import SMALL, random_weights

_TOKENS = 4


@pytest.mark.parametrize("variant", ablation().values(), ids=str)
def test_tokens(benchmark: BenchmarkFixture, device: Any, variant: Variant) -> None:
    """The prompt, then four tokens, each read back before the next."""
    decoding = Decoding(driver_for(device), variant, SMALL, random_weights(SMALL))
    benchmark.extra_info["tokens"] = _TOKENS

    def text() -> None:
        decoding.start()
        for _ in range(_TOKENS):
            decoding.play()

    benchmark(text)
    assert len(decoding.tokens) == _TOKENS + 1
    decoding.close()

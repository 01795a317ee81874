"""``bench decode``: tokens a second of a small decoder, policy by policy and part by part.

A prompt goes through the decoder token by token; what is timed is the tokens
after it, each of which is read back before the next one starts.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from gpusim.errors import InternalError
from gpusim.runtime import PRESETS, Driver, Policy, Runtime, driver_for
from gpusim.runtime.policy import Uniforms
from properties.bench.decoder.model import Decoder
from properties.bench.decoder.reference import logits_after
from properties.bench.decoder.shape import FULL, SMALL, Floats, Shape, random_weights
from properties.bench.rows import Row, rows_of
from properties.bench.timing import Sample, Watch, interleave

MOST_ERROR = 1e-3
"""How far a logit may be from that of float64."""
_WARM_TOKENS = 4


def ablation() -> dict[str, Policy]:
    """Every policy of the table: the presets, the steps between them, and ring less a part."""
    lazy, ring = PRESETS["lazy"], PRESETS["ring"]
    pool = replace(lazy, name="lazy, uniform pool", uniforms=Uniforms.POOLED)
    groups = replace(lazy, name="lazy, bind-group cache", cache_bind_groups=True)
    policies = (
        PRESETS["eager"],
        lazy,
        pool,
        groups,
        replace(pool, name="lazy, both", cache_bind_groups=True),
        PRESETS["pooled"],
        PRESETS["cached"],
        ring,
        replace(ring, name="ring, no shared pass", merge_passes=False),
        replace(ring, name="ring, no bind-group cache", cache_bind_groups=False),
        replace(ring, name="ring, no plan cache", plan_cache=0),
        replace(ring, name="ring, no early submit", first_batch=None),
    )
    return {policy.name: policy for policy in policies}


class Decoding:
    """One arm: a decoder on a runtime of its own."""

    def __init__(
        self, driver: Driver, policy: Policy, shape: Shape, weights: Mapping[str, Floats]
    ) -> None:
        self.tokens: list[int] = []
        self.submits_per_token = 0.0
        self._runtime = Runtime(driver=driver, policy=policy)
        self._decoder = Decoder(self._runtime, shape, weights)
        self._shape = shape
        self._runtime.sync()

    def read_prompt(self) -> Floats:
        """Put the prompt through the decoder; the logits that follow it."""
        *first, last = self._shape.prompt
        for position, token in enumerate(first):
            self._decoder.advance(token, position, logits=False)
        self._decoder.advance(last, len(first))
        logits: Floats = self._runtime.read(self._decoder.logits, dtype=np.float32).result()
        return logits

    def play(self, count: int | None = None) -> Sample:
        """The prompt, then ``count`` timed tokens, or as many as the cache holds."""
        self.read_prompt()
        start = len(self._shape.prompt)
        stop = self._shape.context if count is None else start + count
        tokens = [self._decoder.read_token()]
        before, watch = self._runtime.stats().submits, Watch()
        for position in range(start, stop):
            watch.resume()
            self._decoder.advance(tokens[-1], position)
            ticket = self._runtime.read(self._decoder.token, dtype=np.uint32)
            self._runtime.flush()
            watch.pause()
            tokens.append(int(ticket.result()[0]))
        sample = watch.stop()
        self.tokens = tokens
        self.submits_per_token = (self._runtime.stats().submits - before) / (stop - start)
        return sample

    @property
    def dispatches(self) -> int:
        """Dispatches so far."""
        return self._runtime.stats().dispatches

    def close(self) -> None:
        """Free everything."""
        self._decoder.free()
        self._runtime.close()


def bench_decode(
    device: Any, rounds: int, *, small: bool, tell: Callable[[str], None]
) -> list[Row]:
    """A row an arm; times and submissions are those of a token."""
    shape = SMALL if small else FULL
    tell(f"random weights for {shape}")
    weights = random_weights(shape)
    driver = driver_for(device)
    arms = {}
    for name, policy in ablation().items():
        tell(f"{name}: weights to the device, and the prompt's logits")
        arms[name] = Decoding(driver, policy, shape, weights)
    check_logits(shape, weights, arms)
    for arm in arms.values():
        arm.play(_WARM_TOKENS)
    tell(f"{rounds} rounds of {shape.context - len(shape.prompt)} tokens")
    samples = interleave({name: arm.play for name, arm in arms.items()}, rounds, warm_rounds=0)
    check_tokens(arms)
    count = shape.context - len(shape.prompt)
    rows = rows_of("decode", samples, count)
    rows = [_with_rates(row, arms[row.arm]) for row in rows]
    for arm in arms.values():
        arm.close()
    return rows


def check_logits(shape: Shape, weights: Mapping[str, Floats], arms: Mapping[str, Decoding]) -> None:
    """InternalError unless every arm's logits after the prompt are those of float64 NumPy."""
    expected = logits_after(shape, weights, shape.prompt)
    for name, arm in arms.items():
        error = float(np.max(np.abs(arm.read_prompt() - expected)))
        if not error <= MOST_ERROR:
            raise InternalError(
                f"cannot compare the arms of decode because a logit of {name!r} is {error:.2g} "
                "off (probably a dispatch was lost or came too early)"
            )


def check_tokens(arms: Mapping[str, Decoding]) -> None:
    """InternalError unless every arm has made the same tokens."""
    first, *others = arms
    for other in others:
        if arms[other].tokens != arms[first].tokens:
            raise InternalError(
                f"cannot compare the arms of decode because {other!r} and {first!r} made "
                "different tokens (probably one of them read too early)"
            )


def _with_rates(row: Row, arm: Decoding) -> Row:
    rates: dict[str, float] = {
        "tokens_per_second": 1e6 / row.median_us,
        "submits_per_token": arm.submits_per_token,
    }
    return replace(row, more=rates)

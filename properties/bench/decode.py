"""``bench decode``: how many tokens a second a small decoder makes, under each of many policies.

If PyTorch has a CUDA device, the same decoder also runs in PyTorch.

A prompt goes through the decoder token by token.  The tokens after it are timed; each is read
back before the next one starts.  Each arm has long turns, because a GPU that waits for a slow arm
lowers its clocks, and that slows the next arm.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from gpusim.errors import InternalError
from gpusim.runtime import PRESETS, Driver, Policy, Runtime, driver_for
from gpusim.runtime.policy import Uniforms
from properties.bench.cuda import obstacle
from properties.bench.decoder.model import Decoder, ReplayingDecoder
from properties.bench.decoder.shape import (
    FULL,
    SMALL,
    Doubles,
    Floats,
    Shape,
    logits_after,
    random_weights,
)
from properties.bench.decoder.torch_decoder import TorchDecoding
from properties.bench.timing import Asked, Results, Row, Sample, Watch, interleave, rows_of

_TURNS = 2
MOST_ERROR = 1e-3
"""The largest allowed error of a logit, compared with float64."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """One arm: a policy, and whether the decoder's steps are captured once and replayed."""

    policy: Policy
    replays: bool = False

    def __str__(self) -> str:
        return f"{self.policy.name} with replay" if self.replays else self.policy.name


def ablation() -> dict[str, Variant]:
    """Returns the arms by name.

    They are the presets, policies that lie between two presets, ``ring`` without one of its parts
    (an arm for each part), and ``ring`` with replay.
    """
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
    variants = [
        *(Variant(policy=policy) for policy in policies),
        Variant(policy=ring, replays=True),
    ]
    return {str(variant): variant for variant in variants}


class Text(Protocol):
    """One arm: a decoder, and the text that it has made."""

    tokens: list[int]

    @property
    def submits_per_token(self) -> float | None: ...
    def start(self) -> Floats: ...
    def play(self) -> Sample: ...
    def close(self) -> None: ...


class Decoding:
    """A decoder on a runtime of its own, and the text that it has made."""

    def __init__(
        self,
        driver: Driver,
        variant: Variant,
        shape: Shape,
        weights: Mapping[str, Floats],
    ) -> None:
        self.tokens: list[int] = []
        self._runtime = Runtime(driver=driver, policy=variant.policy)
        make = ReplayingDecoder if variant.replays else Decoder
        self._decoder = make(self._runtime, shape, weights)
        self._shape = shape
        self._submits = 0
        self._runtime.sync()

    def start(self) -> Floats:
        """Put the prompt through the decoder.  Returns the logits that follow it."""
        *first, last = self._shape.prompt
        for position, token in enumerate(first):
            self._decoder.advance(token, position, logits=False)
        self._decoder.advance(last, len(first))
        logits: Floats = self._runtime.read(self._decoder.logits, dtype=np.float32).result()
        self.tokens = [self._decoder.read_token()]
        self._submits = self._runtime.stats().submits
        return logits

    def play(self) -> Sample:
        """Make the next token and read it back.  Returns the time that this took."""
        watch = Watch()
        self._decoder.advance(self.tokens[-1], len(self._shape.prompt) + len(self.tokens) - 1)
        ticket = self._runtime.read(self._decoder.token, dtype=np.uint32)
        self._runtime.flush()
        watch.pause()
        self.tokens.append(int(ticket.result()[0]))
        return watch.stop()

    @property
    def submits_per_token(self) -> float:
        """The mean number of submits for a token since the start."""
        return (self._runtime.stats().submits - self._submits) / (len(self.tokens) - 1)

    @property
    def dispatches(self) -> int:
        """Dispatches so far."""
        return self._runtime.stats().dispatches

    def close(self) -> None:
        """Free everything."""
        self._decoder.free()
        self._runtime.close()


def bench(asked: Asked) -> Results:
    """Returns a row for each arm; each of its samples is the time of one token.

    In a round each arm makes one text, in two turns of half a text.
    """
    shape, tell = SMALL if asked.small else FULL, asked.tell
    tell(f"random weights for {shape}")
    weights = random_weights(shape)
    driver = driver_for(asked.device)
    arms: dict[str, Text] = {}
    for name, variant in ablation().items():
        tell(f"{name}: weights to the device")
        arms[name] = Decoding(driver, variant, shape, weights)
    tell("the prompt's logits in float64")
    expected = logits_after(shape, weights, shape.prompt)
    foreign, notes = torch_arms(shape, weights, expected)
    arms |= foreign
    samples: dict[str, list[Sample]] = {name: [] for name in arms}
    for number in range(asked.rounds):
        start(arms, expected, tell)
        tell(f"round {number + 1} of {asked.rounds}: {shape.new_tokens} tokens an arm")
        plays = {name: arm.play for name, arm in arms.items()}
        turn = shape.new_tokens // _TURNS
        for name, taken in interleave(plays, _TURNS, warm_rounds=0, turn=turn).items():
            samples[name] += taken
        check_tokens({name: arms[name] for name in arms if name not in foreign})
    notes += left_out(arms, foreign)
    kept = {name: taken for name, taken in samples.items() if name in arms}
    rows = [_with_rates(row, arms[row.arm]) for row in rows_of("decode", kept, 1)]
    for arm in arms.values():
        arm.close()
    return Results(rows=rows, notes=notes)


def torch_arms(
    shape: Shape, weights: Mapping[str, Floats], expected: Doubles
) -> tuple[dict[str, Text], list[str]]:
    """The arms in PyTorch whose logits are right, and for each other arm why it is left out."""
    arms: dict[str, Text] = {}
    notes = []
    for name, graph in (("torch, eager", False), ("torch, CUDA graph", True)):

        def works(name: str = name, graph: bool = graph) -> bool:
            arms[name] = TorchDecoding(shape, weights, graph=graph)
            return error_of(arms[name], expected) <= MOST_ERROR

        reason = obstacle(("torch",), works, f"a logit is more than {MOST_ERROR} off")
        if reason:
            arms.pop(name, None)
            notes.append(f"{name}: not run: {reason}")
    return arms, notes


def left_out(arms: dict[str, Text], foreign: Mapping[str, Text]) -> list[str]:
    """Remove the foreign arms that made other tokens than ours.  Returns a note for each.

    Rounding may change a token, so this is no error.
    """
    ours = next(arm.tokens for name, arm in arms.items() if name not in foreign)
    others = [name for name in foreign if name in arms and arms[name].tokens != ours]
    for name in others:
        arms.pop(name).close()
    return [f"{name}: left out: it made other tokens" for name in others]


def error_of(arm: Text, expected: Doubles) -> float:
    """Give an arm the prompt.  Returns the largest error of a logit."""
    return float(np.max(np.abs(arm.start() - expected)))


def start(arms: Mapping[str, Text], expected: Doubles, tell: Callable[[str], None]) -> None:
    """Give every arm the prompt; InternalError if a logit is over MOST_ERROR from ``expected``."""
    for name, arm in arms.items():
        tell(f"{name}: the prompt")
        error = error_of(arm, expected)
        if not error <= MOST_ERROR:
            raise InternalError(
                f"cannot compare the arms of decode because a logit of {name!r} is {error:.2g} "
                "off (probably a dispatch was lost or came too early)"
            )


def check_tokens(arms: Mapping[str, Text]) -> None:
    """InternalError unless every arm has made the same tokens."""
    first, *others = arms
    for other in others:
        if arms[other].tokens != arms[first].tokens:
            raise InternalError(
                f"cannot compare the arms of decode because {other!r} and {first!r} made "
                "different tokens (probably one of them read too early)"
            )


def _with_rates(row: Row, arm: Text) -> Row:
    rates = {"tokens_per_second": 1e6 / row.median_us}
    if arm.submits_per_token is not None:
        rates["submits_per_token"] = arm.submits_per_token
    return replace(row, more=rates)

"""What two thousand generated programs are like, judged by the reference."""

import hashlib
import math
import os
import re
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from gpusim.history import History
from gpusim.kernels import BUILTIN
from gpusim.limits import Limits
from gpusim.ops import (
    VERBS,
    Alloc,
    AnyDispatch,
    Capture,
    Copy,
    Dispatch,
    DispatchIndirect,
    Free,
    Op,
    Read,
    Replay,
    Write,
    name_of,
)
from gpusim.program import Program, buffers_of
from properties.generate.choices import DrawnChoices, SeededChoices
from properties.generate.generator import generate
from properties.generate.measure import writers_of_reads
from properties.generate.operands import filling
from reference import run

PROGRAMS = 2000
SMALL = Limits(
    max_buffer_bytes=500,
    max_binding_bytes=256,
    max_groups_per_dimension=3,
    memory_budget_bytes=900,
)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Programs and what the reference made of them."""

    programs: tuple[Program, ...]
    histories: tuple[History, ...]

    def outcomes(self) -> Iterator[tuple[Op, str | None]]:
        for program, history in zip(self.programs, self.histories, strict=True):
            for op, outcome in zip(program, history.outcomes, strict=True):
                yield op, outcome.error


@cache
def sample(limits: Limits | None = None, invalid: bool = True, count: int = PROGRAMS) -> Sample:
    programs = tuple(
        generate(SeededChoices(f"sample {at}"), limits=limits, invalid=invalid)
        for at in range(count)
    )
    histories = tuple(run(program, limits=limits) for program in programs)
    return Sample(programs=programs, histories=histories)


@cache
def writers() -> tuple[tuple[int, ...], ...]:
    found = sample()
    return tuple(
        writers_of_reads(program, [outcome.error is None for outcome in history.outcomes])
        for program, history in zip(found.programs, found.histories, strict=True)
    )


def test_median_program_has_thirty_accepted_ops() -> None:
    accepted = [
        sum(outcome.error is None for outcome in history.outcomes) for history in sample().histories
    ]
    assert statistics.median(accepted) >= 30


def test_lengths_are_mixed() -> None:
    lengths = [len(program) for program in sample().programs]
    assert min(lengths) >= 12
    assert max(lengths) <= 180
    assert 34 <= statistics.median(lengths) <= 48
    assert sum(length > 70 for length in lengths) >= 100


def test_one_op_in_twenty_is_invalid() -> None:
    refused = [error is not None for _, error in sample().outcomes()]
    assert 0.04 <= statistics.mean(refused) <= 0.06


@pytest.mark.parametrize("kind", VERBS, ids=lambda kind: kind.__name__)
def test_every_op_kind_is_frequent(kind: type[Op]) -> None:
    ops = [op for program in sample().programs for op in program]
    assert sum(isinstance(op, kind) for op in ops) >= len(ops) / 100


@pytest.mark.parametrize("kernel", list(BUILTIN))
def test_every_kernel_is_dispatched_often(kernel: str) -> None:
    accepted = [
        op.kernel for op, error in sample().outcomes() if isinstance(op, Dispatch) and not error
    ]
    assert accepted.count(kernel) >= len(accepted) / 50


REFUSALS = (
    (Alloc, "OutOfRange"),
    (Alloc, "LimitExceeded"),
    (Write, "InvalidHandle"),
    (Write, "OutOfRange"),
    (Copy, "InvalidHandle"),
    (Copy, "OutOfRange"),
    (Read, "InvalidHandle"),
    (Read, "OutOfRange"),
    (Free, "InvalidHandle"),
    (Dispatch, "InvalidBinding"),
    (Dispatch, "InvalidHandle"),
    (Dispatch, "InvalidScalar"),
    (Dispatch, "LimitExceeded"),
    (Dispatch, "OutOfRange"),
    (DispatchIndirect, "InvalidBinding"),
    (DispatchIndirect, "InvalidHandle"),
    (DispatchIndirect, "InvalidScalar"),
    (DispatchIndirect, "OutOfRange"),
    (Capture, "InvalidHandle"),
    (Capture, "InvalidBinding"),
    (Capture, "InvalidScalar"),
    (Capture, "LimitExceeded"),
    (Capture, "OutOfRange"),
    (Replay, "InvalidHandle"),
    (Replay, "InvalidBinding"),
    (Replay, "InvalidScalar"),
    (Replay, "OutOfRange"),
)


@pytest.mark.parametrize(("kind", "error"), REFUSALS)
def test_every_refusal_is_produced(kind: type[Op], error: str) -> None:
    counts = Counter((type(op), refused) for op, refused in sample().outcomes())
    # A replay runs out of bytes only where a graph holds a copy and something shorter lives.
    assert counts[kind, error] >= (20 if (kind, error) == (Replay, "OutOfRange") else 40)


def test_nothing_else_is_refused() -> None:
    refused = {(type(op), error) for op, error in sample().outcomes() if error}
    assert refused == set(REFUSALS)


@cache
def faults() -> Counter[str]:
    """How often each check of a dispatch finds something, each by its message."""
    counts: Counter[str] = Counter()
    for program, limits in [
        *((program, Limits()) for program in sample().programs),
        *((program, SMALL) for program in sample(SMALL, True, 500).programs),
    ]:
        history = run(program, limits=limits)
        sizes = {op.buffer: op.size_bytes for op in program if isinstance(op, Alloc)}
        for op, outcome in zip(program, history.outcomes, strict=True):
            if isinstance(op, Dispatch) and outcome.error:
                counts.update(_faults_of(op, sizes, limits))
    return counts


def _faults_of(op: Dispatch, sizes: dict[str, int], limits: Limits) -> Iterator[str]:
    kernel = BUILTIN[op.kernel]
    missing = len(op.buffers) - len(kernel.buffers)
    yield from ["too few buffers"] * (missing < 0) + ["too many buffers"] * (missing > 0)
    whole = [name for name in op.buffers if isinstance(name, str)]
    yield from ["no whole word"] * any(sizes[name] < 4 for name in whole)
    yield from ["long binding"] * any(sizes[n] >= limits.max_binding_bytes + 4 for n in whole)
    yield from ["bound twice"] * (len(set(op.buffers)) < len(op.buffers))
    missing = len(op.scalars) - len(kernel.scalars)
    yield from ["too few scalars"] * (missing < 0) + ["too many scalars"] * (missing > 0)
    for parameter, value in zip(kernel.scalars, op.scalars, strict=False):
        finite = math.isfinite(value)
        if parameter.dtype == "f32":
            yield from ["f32 not finite"] * (not finite) + ["f32 too large"] * (
                finite and abs(value) > 3.4028235e38
            )
        else:
            yield from [f"float for {parameter.dtype}"] * isinstance(value, float)
            low, high = (0, 2**32) if parameter.dtype == "u32" else (-(2**31), 2**31)
            yield from [f"{parameter.dtype} out of range"] * (finite and not low <= value < high)
    yield from ["negative grid"] * (min(op.grid) < 0)
    past = max(op.grid) > limits.max_groups_per_dimension
    yield from ["grid past the limit"] * (past and not kernel.guarded)
    yield from ["too many groups"] * (math.prod(op.grid) > kernel.max_groups)


@pytest.mark.parametrize(
    "fault",
    [
        "too few buffers",
        "too many buffers",
        "no whole word",
        "long binding",
        "bound twice",
        "too few scalars",
        "too many scalars",
        "f32 not finite",
        "f32 too large",
        "float for u32",
        "float for i32",
        "u32 out of range",
        "i32 out of range",
        "negative grid",
        "grid past the limit",
        "too many groups",
    ],
)
def test_every_mistake_in_a_dispatch_is_made(fault: str) -> None:
    assert faults()[fault] >= 5


def test_a_replay_is_refused_for_a_float_after_it_was_accepted_over_the_same_buffers() -> None:
    refused = 0
    for program, history in zip(sample().programs, sample().histories, strict=True):
        accepted = set()
        for op, outcome in zip(program, history.outcomes, strict=True):
            if isinstance(op, Replay) and outcome.error is None:
                accepted.add((op.graph, op.bindings))
            elif isinstance(op, Replay) and outcome.error == "InvalidScalar":
                values = [one for entry in op.scalars or () for one in entry or ()]
                is_known = (op.graph, op.bindings) in accepted
                refused += is_known and not all(map(math.isfinite, values))
    assert refused >= 10


def test_memory_budget_is_exceeded_only_on_purpose() -> None:
    errors = [error for _, error in sample(SMALL, True, 500).outcomes()]
    assert errors.count("OutOfMemory") >= 20
    assert "OutOfMemory" not in [error for _, error in sample(SMALL, False, 500).outcomes()]


@pytest.mark.parametrize(
    "limits",
    [
        None,
        SMALL,
        Limits(memory_budget_bytes=0),
        Limits(memory_budget_bytes=256),
        Limits(max_binding_bytes=4, max_groups_per_dimension=1),
    ],
)
def test_valid_programs_are_refused_nothing(limits: Limits | None) -> None:
    found = sample(limits, False, 500)
    assert [(op, error) for op, error in found.outcomes() if error] == []


def test_half_of_the_reads_see_two_writers_or_more() -> None:
    counts = [count for program in writers() for count in program]
    assert sum(count >= 2 for count in counts) >= len(counts) / 2


def test_no_two_writes_of_a_program_carry_the_same_data_unless_one_repeats_the_other() -> None:
    repeats = 0
    for program in sample().programs:
        writes = [op for op in program if isinstance(op, Write) and op.data]
        data = [op.data for op in dict.fromkeys(writes)]
        repeats += len(writes) - len(data)
        # Few numbers suit a grid on the GPU, so that its writes may well be alike.
        data = [found for found in data if not _are_counts(found) and not _is_filling(found)]
        assert len(set(data)) == len(data)
        heads = [found[:1] for found in data if len(found) % 4]
        assert len(set(heads)) == len(heads)
    assert repeats > 100


def _is_filling(data: bytes) -> bool:
    """Whether a write repeats a word or two, as one in twelve does on purpose."""
    return any(data == filling(number, len(data)) for number in range(5))


def test_some_writes_fill_with_zeros_and_some_with_what_is_no_true_float() -> None:
    writes = [op.data for program in sample().programs for op in program if isinstance(op, Write)]
    filled = [data for data in writes if len(data) >= 4 and _is_filling(data)]
    assert sum(not any(data) for data in filled) > len(writes) // 60
    floats = [np.frombuffer(data, np.float32) for data in filled if len(data) % 4 == 0]
    signs = [np.signbit(each) for each in floats if not each.any()]
    assert sum(each.any() and not each.all() for each in signs) > len(writes) // 200


def _are_counts(data: bytes) -> bool:
    if len(data) % 4:
        return False
    words = np.frombuffer(data, "<u4")
    return bool(np.all((words <= 5) | (words == 2**32 - 1)))


def test_scalars_are_distinct_but_for_a_few() -> None:
    pairs = repeated = 0
    for program in sample().programs:
        calls = [(op.kernel, op.scalars) for op in program if isinstance(op, Dispatch)]
        calls = [call for call in calls if call[1]]
        pairs += len(calls)
        repeated += len(calls) - len(set(calls))
    assert 0.05 <= repeated / pairs <= 0.3


def test_wide_grids_are_rare_and_there() -> None:
    dispatches = [op for op, error in sample().outcomes() if isinstance(op, Dispatch) and not error]
    wide = sum(max(op.grid) > 65_535 for op in dispatches)
    assert 10 <= wide <= len(dispatches) / 200


def test_programs_round_trip_through_their_text() -> None:
    for program in sample().programs:
        text = str(program)
        parsed = Program.parse(text)
        assert str(parsed) == text
        assert parsed == program or re.search(r"\bnan\b", text)


def test_floats_stay_finite_and_normal_and_apart() -> None:
    found = sample(None, False, 500)
    values = []
    for program, history in zip(found.programs, found.histories, strict=True):
        real = _buffers_with_floats(program)
        for op, outcome in zip(program, history.outcomes, strict=True):
            if isinstance(op, AnyDispatch) and op.kernel != "blend":
                assert real.isdisjoint(map(name_of, op.buffers))
            if isinstance(op, Write) and op.buffer in real:
                assert op.offset % 4 == len(op.data) % 4 == 0
                values.append(np.frombuffer(op.data, "<f4"))
            if isinstance(op, Read) and op.buffer in real and op.offset % 4 == 0:
                assert outcome.data is not None
                values.append(np.frombuffer(outcome.data[: len(outcome.data) // 4 * 4], "<f4"))
    sizes = np.abs(np.concatenate(values))
    assert len(sizes) > 10_000
    assert np.all((sizes == 0) | ((sizes >= 1e-30) & (sizes <= 1e30)))


def _buffers_with_floats(program: Program) -> set[str]:
    """Whatever a float kernel binds, and whatever a copy joins to that."""
    real: set[str] = set()
    while True:
        found = set(real)
        for op in program:
            joined = isinstance(op, Copy) and not real.isdisjoint(buffers_of(op))
            if isinstance(op, AnyDispatch) and op.kernel == "blend":
                found.update(map(name_of, op.buffers))
            if joined:
                found.update(buffers_of(op))
        if found == real:
            return real
        real = found


def test_seed_gives_one_program_in_every_process() -> None:
    script = (
        "import hashlib\n"
        "from properties.generate.choices import SeededChoices\n"
        "from properties.generate.generator import generate\n"
        "texts = [str(generate(SeededChoices(f'sample {at}'))) for at in range(50)]\n"
        "print(hashlib.sha256(''.join(texts).encode()).hexdigest())\n"
    )
    texts = [str(program) for program in sample().programs[:50]]
    digests = {hashlib.sha256("".join(texts).encode()).hexdigest()}
    root = Path(__file__).parents[2]
    for hash_seed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(root)}
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, check=True
        )
        digests.add(done.stdout.decode().strip())
    assert len(digests) == 1


def test_both_sources_make_the_same_program_of_the_same_numbers() -> None:
    for at in range(50):
        drawn = DrawnChoices(SeededChoices(f"sample {at}").integer)
        assert str(generate(drawn)) == str(sample().programs[at])


def test_simplest_choices_make_a_short_valid_program() -> None:
    program = generate(DrawnChoices(lambda low, high: low))
    assert len(program) <= 30
    assert all(outcome.error is None for outcome in run(program).outcomes)


def test_an_op_is_made_of_few_choices() -> None:
    """One that draws until something fits would ask for many, and be slow."""
    draw = Mock(wraps=SeededChoices("few choices").integer)
    ops = sum(len(generate(DrawnChoices(draw))) for _ in range(200))
    assert draw.call_count <= 8 * ops

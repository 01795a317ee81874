"""Random kernels: what is found is what comparing every access with every other finds.

The other opinion takes the same detailed Python, with nothing proved and no shadow words: it keeps
all accesses of a dispatch and compares the pairs of each word by the rule of the specification.
"""

from collections import defaultdict
from itertools import combinations
from random import Random
from typing import Any, cast

import numpy as np
import pytest

from gpusim.wgsl import compile_module
from gpusim.wgsl.checks import CheckedEntry, Ledger
from gpusim.wgsl.checks.nodes import Site, Touch
from gpusim.wgsl.checks.orders import Drawn, Order
from gpusim.wgsl.checks.recorder import Recorder
from gpusim.wgsl.checks.regions import EXACT
from gpusim.wgsl.checks.writer import DETAILED, CheckedProgram
from gpusim.wgsl.program import Program
from gpusim.wgsl.uniformity import statements_in

pytestmark = pytest.mark.unit
SIZE, WORDS = 8, 64
HEAD = f"""
struct Args {{ n: u32 }}
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<vec2u>;
@group(0) @binding(2) var<uniform> args: Args;
@group(0) @binding(3) var<storage, read> data: array<u32>;
var<workgroup> s: array<u32, {SIZE}>;
var<workgroup> t: array<array<u32, 4>, 4>;
@compute @workgroup_size(4, 2)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) l: u32,
        @builtin(local_invocation_id) p: vec3u, @builtin(workgroup_id) w: vec3u,
        @builtin(num_workgroups) n: vec3u) {{
    let i = (w.y * n.x + w.x) * {SIZE}u + l;
    let half = args.n / 2u;
    var sum = 1u;
"""
INDICES = (
    "i", "i", "l", "id.x", "id.x + args.n", "2u * i", "2u * i + 1u", "i / 2u", "63u - i", "w.x",
    "data[i]", "data[i] % 4u", "0u", "l * 3u", "p.y * 4u + p.x", "p.x * 4u + p.y",
    "id.y * 8u + id.x", "i + half", "half * i", "l + half",
)  # fmt: skip
TURNS = (
    "@group(0) @binding(4) var<storage, read_write> count: atomic<u32>;\n",
    """
    let turn = atomicAdd(&count, data[i] & 1u);
    sum += turn;
""",
)
"""What makes a kernel depend on who comes first: a declaration, and statements."""
CONDITIONS = ("l < 4u", "l == 0u", "data[i] > 3u", "w.x == 0u", "i < args.n", "p.y == 1u")


def drawn(random: Random) -> str:
    """The text of a random kernel."""
    return (
        HEAD + "".join(_statement(random, 0, "    ") for _ in range(random.randint(2, 6))) + "}\n"
    )


def in_turns(text: str, random: Random) -> str:
    """A kernel that takes an index or a condition from what an atomic returned, sometimes."""
    declaration, statements = TURNS
    text = text.replace("@compute", declaration + "@compute")
    text = text.replace("    var sum = 1u;\n", "    var sum = 1u;" + statements)
    for old in ("data[i] %", "data[i] >", "[l * 3u]", "[2u * i]", "id.x + args.n"):
        if random.random() < 0.7:
            text = text.replace(old, old.replace("data[i]", "turn").replace("l * 3u", "turn"))
    return text.replace("[id.x]", "[turn]")


def _place(random: Random) -> str:
    index = random.choice(INDICES)
    return random.choice(
        (f"x[{index}]", f"x[{index}]", f"y[{index}].x", f"y[{index}].y", f"s[({index}) % {SIZE}u]",
         f"s[({index}) % {SIZE}u]", "s[l]", "t[p.y][p.x]", f"t[p.x][{random.randint(0, 3)}]")
    )  # fmt: skip


def _statement(random: Random, depth: int, indent: str) -> str:
    kind = random.choice(("write", "write", "read", "read", "add", "barrier", "if", "for", "both"))
    if kind in ("if", "for") and depth < 2:
        inner = "".join(
            _statement(random, depth + (1 if kind == "for" else 3), indent + "    ")
            for _ in range(random.randint(1, 3))
        )
        if kind == "if":
            return f"{indent}if ({random.choice(CONDITIONS)}) {{\n{inner}{indent}}}\n"
        count = random.choice(("2u", "args.n % 3u"))
        return f"{indent}for (var k = 0u; k < {count}; k++) {{\n{inner}{indent}}}\n"
    if kind == "barrier" and depth < 3:
        return f"{indent}{random.choice(('workgroup', 'workgroup', 'storage'))}Barrier();\n"
    if kind == "read":
        return f"{indent}sum += {_place(random)};\n"
    if kind == "both":
        return f"{indent}if (l < 6u && {_place(random)} > 2u) {{ sum += 3u; }}\n"
    return f"{indent}{_place(random)} {'+=' if kind == 'add' else '='} sum;\n"


class Everything(Recorder):
    """Keeps every access of a dispatch, with what orders it."""

    def __init__(self, program: CheckedProgram, sites: list[Site], size: int) -> None:
        super().__init__(program, sites, size)
        self.accesses: dict[Any, list[tuple[int, int, str, int, int]]] = defaultdict(list)
        self.phases = {"storage": 0, "workgroup": 0}

    @property
    def names(self) -> dict[str, Any]:
        every = {**self._storage, **self._workgroup}
        kept = {f"watch_{memory}": _Kept(self, memory) for memory in every}
        return {**super().names, **kept}

    def wait(self, site: int, lanes: Any) -> None:
        # Barriers of these kernels are uniform in a whole dispatch.
        self.phases[self._sites[site].name] += 1


class _Kept:
    partial = False

    def __init__(self, all_: Everything, memory: Any) -> None:
        self._all, self._memory = all_, memory

    def note(self, site: int, where: Any, lanes: Any, values: Any = ()) -> None:
        all_, memory = self._all, self._memory
        tokens = all_._tokens(slice(None) if lanes is None else lanes)
        about = all_._sites[site]
        for at, token in zip(np.broadcast_to(where, tokens.shape), tokens, strict=True):
            group = int(token) >> 32
            for offset in about.offsets:
                word = int(at) + offset // 4
                if memory.space == "storage" and word >= WORDS:
                    continue
                key = (
                    (memory.name, word) if memory.space == "storage" else (memory.name, group, word)
                )
                phase = all_.phases[memory.space]
                all_.accesses[key].append((group, int(token), about.how, phase, about.place.line))


def by_hand(
    entry: CheckedEntry,
    arrays: list[Any],
    grid: tuple[int, int, int],
    order: Order | None = None,
) -> set[Any]:
    """The races: for each memory the pairs of lines."""
    program = entry.program(flat=False, form=DETAILED)
    for memory in program.plan.modes:
        program.plan.modes[memory] = EXACT
    for each in statements_in(entry._body):
        if isinstance(each, Touch):
            each.races = True
    Program.__init__(program, entry._lowered, entry._body, flat=False)
    recorder = Everything(program, entry.sites, SIZE)
    run = program.telling(recorder.names, order)(*arrays)
    sizes = {memory: WORDS * 4 for memory in entry._lowered.bound.values()}
    recorder.begin_dispatch(sizes, cast(Any, None))
    run(*grid)
    found = set()
    for key, accesses in recorder.accesses.items():
        for one, other in combinations(accesses, 2):
            writes = "write" in (one[2], other[2])
            ordered = one[0] == other[0] and one[3] != other[3]
            if writes and one[1] != other[1] and not ordered:
                found.add((key[0], *sorted((one[4], other[4]))))
    return found


@pytest.mark.parametrize("seed", range(120))
def test_what_is_found_is_what_comparing_all_finds(seed: int) -> None:
    random = Random(seed)
    text = drawn(random)
    module = compile_module(text)
    grid = random.choice(((1, 1, 1), (2, 1, 1), (3, 1, 1), (2, 2, 1)))
    values = np.array([random.randint(0, 9) for _ in range(WORDS)], np.uint32)
    words = [values.copy(), values.copy(), np.array([random.randint(0, 9)], np.uint32), values]
    ledger = Ledger()
    entry = CheckedEntry(module.entry("main"), ledger, text)
    first = [each.copy().view(np.uint8) for each in words]
    entry.bind(first)(*grid)
    races = [report for report in ledger.reports if report.kind == "race"]
    told = {
        (report.what.split(",")[0], *sorted(place.line for place in report.places))
        for report in races
    }
    second = CheckedEntry(module.entry("main"), Ledger(), text)
    arrays = second._arrays([each.copy().view(np.uint8) for each in words], None)
    expected = by_hand(second, arrays, grid)
    assert told <= expected, text
    assert {name for name, *_ in told} == {name for name, *_ in expected}, text
    plain = [each.copy().view(np.uint8) for each in words]
    module.entry("main").bind(plain)(*grid)
    assert all(np.array_equal(one, other) for one, other in zip(first, plain, strict=True)), text


@pytest.mark.parametrize("seed", range(60))
def test_so_it_is_in_another_order(seed: int) -> None:
    random = Random(seed)
    text = in_turns(drawn(random), random)
    module = compile_module(text)
    grid = random.choice(((2, 1, 1), (3, 1, 1), (2, 2, 1)))
    values = np.array([random.randint(0, 9) for _ in range(WORDS)], np.uint32)
    words = [values, values, values[:1], values, np.zeros(1, np.uint32)]
    ledger = Ledger()
    entry = CheckedEntry(module.entry("main"), ledger, text)
    slots = [each.binding for each in entry.point.bindings]

    def arrays() -> list[Any]:
        return [words[slot].copy().view(np.uint8) for slot in slots]

    entry.bind(arrays())(*grid, orders=lambda: [Drawn(seed)])
    told = {
        (report.what.split(",")[0], *sorted(place.line for place in report.places))
        for report in ledger.reports
        if report.kind == "race"
    }
    expected = set()
    for order in (None, *([Drawn(seed)] if entry.depends else [])):
        second = CheckedEntry(module.entry("main"), Ledger(), text)
        expected |= by_hand(second, second._arrays(arrays(), None), grid, order)
    assert told <= expected, text
    assert {name for name, *_ in told} == {name for name, *_ in expected}, text

"""Random shaders of branches, loops, pointers and calls around barriers, and who refuses them.

Dawn's Tint does the specification's uniformity analysis, so Tint and our compiler must agree on
each text.  Only its barriers can make a text invalid, so that only the analysis decides.
"""

import random
from collections.abc import Iterator
from typing import Any

from gpusim.devices import open_device
from gpusim.wgsl import Module
from tools.wgsl.mutants import Disagreement

_HEAD = """@group(0) @binding(0) var<storage, read> a: array<u32, 8>;
@group(0) @binding(1) var<storage, read_write> o: array<u32, 8>;
var<workgroup> s: array<u32, 8>; var<workgroup> t: atomic<u32>; var<private> p: u32;
struct Pair { one: u32, two: vec2u }
"""
_MAIN = """@compute @workgroup_size(16) fn main(@builtin(local_invocation_index) l: u32,
@builtin(workgroup_id) w: vec3u) """
_SHARED = ("w.x", "a[0]", "a[w.y]", "3u", "workgroupUniformLoad(&s[w.x])")
_OTHERS = ("l", "a[l]", "o[1]", "s[2]", "p", "atomicLoad(&t)")
_VARIABLES = {
    "var {0}: u32;": ("{0}", "&{0}"),
    "var {0} = {1};": ("{0}", "&{0}"),
    "let {0} = {1};": ("{0}", ""),
    "var {0}: array<u32, 2>; {0}[{1} & 1u] = {1};": ("{0}[1]", "&{0}[1]"),
    "var {0}: Pair; {0}.two.y = {1};": ("{0}.one", "&{0}.one"),
    "var {0} = Pair(1u, vec2u({1}));": ("{0}.two.x", "&{0}.one"),
    "var {0}x: array<u32, 2>; let {0} = &{0}x[{1} & 1u];": ("*{0}", "{0}"),
}
"""How a variable is declared; how it is read and written, and a pointer to it if it has one."""


class _Drawn:
    """Draws the statements of one function."""

    def __init__(self, chosen: random.Random, callees: int, pointers: list[str]) -> None:
        self._chosen, self._callees = chosen, callees
        self._scope = [(f"*{each}", each) for each in pointers]
        self._returns = bool(pointers)
        self._count = 0

    def block(self, depth: int, *, loops: bool = False) -> str:
        """Statements between braces; with ``loops``, some of them leave the loop."""
        outer = [*self._scope]
        count = self._chosen.randint(1, 4)
        made = " ".join(self._statement(depth, loops) for _ in range(count))
        self._scope = outer
        return f"{{ {made} }}"

    def value(self) -> str:
        """An expression of u32."""
        pick = self._chosen.random()
        known = [read for read, _ in self._scope]
        if pick < 0.45 and known:
            return self._chosen.choice(known)
        if 0.45 <= pick < 0.55:
            return f"({self.value()} + {self.value()})"
        if 0.55 <= pick < 0.65:
            return self._call() or "w.x"
        return self._chosen.choice(_SHARED if pick < 0.88 else _OTHERS)

    def _call(self) -> str:
        pointers = sorted({pointer for _, pointer in self._scope if pointer})
        if not self._callees or len(pointers) < 2:
            return ""
        one, other = self._chosen.sample(pointers, 2)
        return f"f{self._chosen.randrange(self._callees)}({one}, {other}, {self.value()}, w.xy)"

    def _test(self) -> str:
        test = f"{self.value()} < 3u"
        sign = self._chosen.choice(("&&", "||"))
        return f"{test} {sign} {self.value()} > 1u" if self._chosen.random() < 0.2 else test

    def _statement(self, depth: int, loops: bool) -> str:
        pick = self._chosen.random()
        if pick < 0.2:
            return self._chosen.choice(("workgroupBarrier();", "storageBarrier();"))
        if pick < 0.4:
            self._count += 1
            name, form = f"v{self._count}", self._chosen.choice(list(_VARIABLES))
            declared = form.format(name, self.value())
            self._scope.append(tuple(each.format(name) for each in _VARIABLES[form]))  # type: ignore[arg-type]
            return declared
        if pick < 0.6 or depth == 0:
            places = [read for read, pointer in self._scope if pointer] or ["p", "s[1]", "o[l]"]
            sign = self._chosen.choice(("=", "=", "+="))
            return f"{self._chosen.choice(places)} {sign} {self.value()};"
        if pick < 0.7:
            end = f"return {self.value()};" if self._returns else "return;"
            jump = self._chosen.choice(("break;", "continue;", end)) if loops else end
            return f"if {self._test()} {{ {jump} }}"
        return self._nested(depth - 1, loops)

    def _nested(self, depth: int, loops: bool) -> str:
        kind = self._chosen.randrange(5)
        if kind < 2:
            rest = f" else {self.block(depth, loops=loops)}" if kind else ""
            return f"if {self._test()} {self.block(depth, loops=loops)}{rest}"
        if kind == 2:
            cases = [self.block(depth, loops=loops) for _ in range(2)]
            return f"switch {self.value()} {{ case 1, 2 {cases[0]} default {cases[1]} }}"
        if kind == 3:
            self._count += 1
            name, body = f"n{self._count}", self.block(depth, loops=True)
            return f"for (var {name} = 0u; {name} < {self.value()}; {name}++) {body}"
        body, test = self.block(depth, loops=True), self._test()
        last = self.block(0).strip("{}")
        return f"loop {body[:-1]} continuing {{ {last} break if {test}; }} }}"


def texts(count: int, seed: int) -> Iterator[str]:
    """``count`` random shaders of up to three functions."""
    chosen = random.Random(seed)
    for _ in range(count):
        functions = chosen.randrange(3)
        made = [_HEAD]
        for number in range(functions):
            drawn = _Drawn(chosen, number, ["x", "y"])
            body = drawn.block(2)[1:-1]
            kinds = "x: ptr<function, u32>, y: ptr<function, u32>, l: u32, w: vec2u"
            made.append(f"fn f{number}({kinds}) -> u32 {{ {body} return {drawn.value()}; }}\n")
        made.append(_MAIN + _Drawn(chosen, functions, []).block(3))
        yield "".join(made)


def compare(count: int, seed: int) -> Iterator[Disagreement]:
    """The texts that our compiler refuses and Dawn accepts, or the other way round."""
    device: Any = open_device("dawn")
    for text in texts(count, seed):
        places = Module(text).missed_barriers
        ours = f"line {places[0].line}, column {places[0].column}" if places else None
        theirs: str | None = None
        try:
            device.create_shader_module(code=text)
        except Exception as error:  # wgpudawn's own class, where it is installed
            theirs = str(error)
        if (ours is None) != (theirs is None):
            yield Disagreement(text=text, compiler=ours, adapter=theirs)

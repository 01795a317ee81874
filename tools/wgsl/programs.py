"""Random compute shaders with functions, loops, switches, atomics and barriers.

Every shader is defined in all that it does: each invocation writes its own words, workgroup memory
is read behind barriers, shared atomics only add up, those that return values are an invocation's
own, loops end, and floats hold small whole numbers, so that no rounding and no order matters.
"""

import random
from collections.abc import Mapping

SIZE, GROUPS, WORDS = 32, 3, 4
_SIGNS = ("+", "-", "*", "&", "|", "^", "/", "%")
_RETURNING = ("Add", "Sub", "Max", "Min", "And", "Or", "Xor", "Exchange")
_COMPARED = ("==", "!=", "<", "<=", ">", ">=")
Others = Mapping[tuple[str, str], str]
_HIDDEN = "no_u = zeros.x; no_i = i32(zeros.y); pair.a = zeros.z; pair.b.y = no_i; kept = zeros;"


class Writer:
    """Writes one shader.

    ``hides``: no compiler can know that what begins as zero is zero.
    ``others``: expressions of ``a`` and ``b`` in the place of binary operators, by type and sign.
    """

    def __init__(self, seed: int, *, hides: bool = False, others: Others | None = None) -> None:
        self.chosen = random.Random(seed)
        self.hides = hides
        self.others = others or {}
        self.lines: list[str] = []
        self.depth = 1
        self.scopes: list[dict[str, list[str]]] = [{}]
        self.fixed: set[str] = set()
        self.number = 0
        self.functions: list[tuple[str, str, tuple[str, ...]]] = []
        self.width = self.chosen.choice((SIZE, SIZE, 16, 8, 4))

    def text(self) -> str:
        """The whole shader."""
        head = [
            "struct Pair { a: u32, b: vec3<i32>, c: array<u32, 5> }",
            "@group(0) @binding(0) var<storage, read> x: array<u32>;",
            "@group(0) @binding(1) var<storage, read_write> y: array<u32>;",
            "@group(0) @binding(2) var<storage, read_write> sums: array<atomic<u32>, 8>;",
            "@group(0) @binding(3) var<storage, read_write> own: array<atomic<u32>, 96>;",
            f"var<workgroup> mine: array<atomic<i32>, {SIZE}>;",
            f"var<workgroup> shared_words: array<u32, {SIZE}>;",
            "var<workgroup> counts: array<atomic<i32>, 4>;",
            "var<private> kept: vec4<u32>;",
            "var<private> table: mat2x3<f32>;",
            "var<private> no_u: u32;",
            "var<private> no_i: i32;",
        ]
        functions = [self._function(number) for number in range(self.chosen.randint(1, 3))]
        body = self._main()
        others = [
            f"fn {_called(kind, sign)}(a: {kind}, b: {kind}) -> {kind} {{ return {given}; }}"
            for (kind, sign), given in self.others.items()
        ]
        if self.hides:
            others.append("@group(0) @binding(4) var<storage, read> zeros: vec4<u32>;")
        return "\n".join([*head, *others, *functions, body])

    def _binary(self, kind: str, left: str, right: str) -> str:
        sign = self.chosen.choice(_SIGNS)
        if (kind, sign) in self.others:
            return f"{_called(kind, sign)}({left}, {right})"
        return f"({left} {sign} {right})"

    def _function(self, number: int) -> str:
        kinds = ("u32", "i32", "vec2<u32>", "bool", "f32")
        parameters = tuple(self.chosen.choice(kinds) for _ in range(self.chosen.randint(1, 3)))
        result = self.chosen.choice(kinds)
        self.lines, self.scopes = [], [{}]
        for at, kind in enumerate(parameters):
            self._known(f"p{at}", kind)
            self.fixed.add(f"p{at}")
        for _ in range(self.chosen.randint(1, 3)):
            self._statement(2, in_main=False)
        if self.chosen.random() < 0.5:
            condition = self.value("bool", 2)
            self._line(f"if {condition} {{ return {self.value(result, 2)}; }}")
        self._line(f"return {self.value(result, 2)};")
        name = f"f{number}"
        shown = ", ".join(f"p{at}: {kind}" for at, kind in enumerate(parameters))
        body = "\n".join(self.lines)
        self.fixed -= {f"p{at}" for at in range(len(parameters))}
        self.functions.append((name, result, parameters))
        return f"fn {name}({shown}) -> {result} {{\n{body}\n}}"

    def _main(self) -> str:
        self.lines, self.scopes = [], [{}]
        self._line(f"let i = group.x * {SIZE}u + lane; var pair: Pair; var at = x[i];")
        if self.hides:
            self._line(_HIDDEN)
        self._line("atomicStore(&mine[lane], i32(at)); workgroupBarrier();")
        self._known("at", "u32")
        for name in ("i", "lane", "place.x", "place.y", "id.y", "group.x"):
            self._known(name, "u32")
            self.fixed.add(name)
        for part, kind in (("pair.a", "u32"), ("pair.b.y", "i32"), ("kept.z", "u32")):
            self._known(part, kind)
        self._known("table[at & 1u][lane % 3u]", "f32")
        for _ in range(self.chosen.randint(3, 7)):
            self._statement(3, in_main=True)
        for word in range(WORDS):
            self._line(f"y[i * {WORDS}u + {word}u] = {self.value('u32', 2)};")
        body = "\n".join(self.lines)
        vectors = {"global_invocation": "id", "local_invocation": "place", "workgroup": "group"}
        given = ["@builtin(local_invocation_index) lane: u32"]
        given += [f"@builtin({name}_id) {each}: vec3<u32>" for name, each in vectors.items()]
        sizes = f"{self.width}, {SIZE // self.width}"
        head = f"@compute @workgroup_size({sizes}) fn main({', '.join(given)})"
        return f"{head} {{\n{body}\n}}"

    def _line(self, text: str) -> None:
        self.lines.append("  " * self.depth + text)

    def _known(self, name: str, kind: str) -> None:
        self.scopes[-1].setdefault(kind, []).append(name)

    def _names(self, kind: str) -> list[str]:
        return [name for scope in self.scopes for name in scope.get(kind, [])]

    def _name(self, prefix: str) -> str:
        self.number += 1
        return f"{prefix}{self.number}"

    def _block(self, depth: int) -> None:
        self.depth += 1
        self.scopes.append({})
        for _ in range(self.chosen.randint(1, 3)):
            self._statement(depth - 1, in_main=False)
        self.scopes.pop()
        self.depth -= 1

    def _statement(self, depth: int, *, in_main: bool) -> None:
        forms = [self._declare, self._declare, self._assign, self._assign]
        if depth > 0:
            forms += [self._if, self._for, self._switch, self._loop, self._while]
        if in_main:
            forms += [self._share, self._add, self._count, self._take]
        self.chosen.choice(forms)(depth)

    def _declare(self, depth: int) -> None:
        kind = self.chosen.choice(("u32", "i32", "bool", "f32", "vec2<u32>", "u32", "i32"))
        name, value = self._name("v"), self.value(kind, 3)
        word = self.chosen.choice(("let", "var"))
        self._line(f"{word} {name}: {kind} = {value};")
        self._known(name, kind)
        if word == "let":
            self.fixed.add(name)

    def _assign(self, depth: int) -> None:
        kind = self.chosen.choice(("u32", "i32", "bool", "f32", "vec2<u32>"))
        names = [name for name in self._names(kind) if name not in self.fixed]
        if not names:
            return
        name, value = self.chosen.choice(names), self.value(kind, 3)
        if kind in ("u32", "i32") and self.chosen.random() < 0.4:
            sign = self.chosen.choice(_SIGNS)
            if (kind, sign) in self.others:
                self._line(f"{name} = {_called(kind, sign)}({name}, {value});")
            else:
                self._line(f"{name} {sign}= {value};")
        elif kind == "vec2<u32>" and self.chosen.random() < 0.4:
            self._line(f"{name}[{self.value('u32', 1)} & 1u] = {self.value('u32', 2)};")
        elif kind == "u32" and self.chosen.random() < 0.2 and not name.startswith("kept"):
            # A component of a vector, as ``kept`` is, has no address.
            pointer = self._name("q")
            self._line(f"let {pointer} = &{name}; *{pointer} = {value};")
        else:
            self._line(f"{name} = {value};")

    def _if(self, depth: int) -> None:
        self._line(f"if {self.value('bool', 2)} {{")
        self._block(depth)
        if self.chosen.random() < 0.5:
            self._line("} else {")
            self._block(depth)
        self._line("}")

    def _jump(self) -> None:
        word = self.chosen.choice(("break", "continue"))
        self._line(f"  if {self.value('bool', 2)} {{ {word}; }}")

    def _for(self, depth: int) -> None:
        name, end = self._name("n"), self.value("u32", 1)
        self._line(f"for (var {name} = 0u; {name} < (({end}) & 7u); {name}++) {{")
        self._turn(name, depth)

    def _turn(self, name: str, depth: int) -> None:
        self.scopes.append({"u32": [name]})
        self.fixed.add(name)
        self._block(depth)
        if self.chosen.random() < 0.5:
            self._jump()
        self.scopes.pop()
        self._line("}")

    def _while(self, depth: int) -> None:
        name = self._name("n")
        self._line(f"var {name} = 0u; while {name} < 5u && {self.value('bool', 1)} {{")
        self._line(f"  {name} += 1u;")
        self._turn(name, depth)

    def _loop(self, depth: int) -> None:
        name = self._name("n")
        self._line(
            f"var {name} = 0u; loop {{ if {name} > {self.chosen.randint(1, 6)}u {{ break; }}"
        )
        self.scopes.append({"u32": [name]})
        self.fixed.add(name)
        self._block(depth)
        self.scopes.pop()
        ends = self.chosen.choice(("", f" break if {self.value('bool', 1)};"))
        self._line(f"  continuing {{ {name}++;{ends} }} }}")

    def _switch(self, depth: int) -> None:
        kind = self.chosen.choice(("u32", "i32"))
        suffix = kind[0]
        self._line(f"switch ({self.value(kind, 2)} & 3{suffix}) {{")
        self._line(f"case 0{suffix}, 2{suffix}: {{")
        self._block(depth)
        self._line(f"}} case 1{suffix}: {{")
        self._block(depth)
        if self.chosen.random() < 0.3:
            self._line(f"  if {self.value('bool', 1)} {{ break; }}")
            self._block(0)
        self._line("} default: {")
        self._block(depth)
        self._line("} }")

    def _share(self, depth: int) -> None:
        name, by, width = self._name("s"), self.chosen.randint(1, SIZE - 1), self.width
        self._line(f"shared_words[lane] = {self.value('u32', 2)}; workgroupBarrier();")
        row = f"place.y * {width}u"
        form = self.chosen.choice(("turned", "row", "halved", "part"))
        if form in ("halved", "part"):
            ends = self.chosen.randint(1, width)
            other = (
                f"shared_words[{'lane + h' if form == 'halved' else f'{row} + {width - ends}u'}]"
            )
            loop = f"for (var h = {SIZE // 2}u; h > 0u; h >>= 1u)" if form == "halved" else ""
            box = "lane < h" if form == "halved" else f"place.x < {width - ends}u"
            self._line(f"{loop} {{ if {box} {{ shared_words[lane] ^= {other} * 3u; }}")
            self._line("workgroupBarrier(); }")
        if form == "row":
            self._line(f"var {name} = 0u; for (var c = 0u; c < {width}u; c++) {{")
            self._line(f"{name} = {name} * 3u + shared_words[{row} + c] - shared_words[c]; }}")
        else:
            self._line(f"let {name} = shared_words[(lane + {by}u) % {SIZE}u];")
        self._line("workgroupBarrier();")
        self._known(name, "u32")
        self.fixed.add(name)

    def _add(self, depth: int) -> None:
        function = self.chosen.choice(("atomicAdd", "atomicMax", "atomicOr", "atomicXor"))
        slot = {"atomicAdd": 0, "atomicMax": 1, "atomicOr": 2, "atomicXor": 3}[function]
        at = f"({self.value('u32', 1)} & 1u) * 4u + {slot}u"
        self._line(f"{function}(&sums[{at}], {self.value('u32', 2)});")

    def _take(self, depth: int) -> None:
        """Atomics of the invocation's own, whose results are determined."""
        name, kind = self._name("t"), self.chosen.choice(("u32", "i32"))
        at = "own[i]" if kind == "u32" else "mine[lane]"
        value, other = self.value(kind, 1), self.value(kind, 1)
        if self.chosen.random() < 0.3:
            self._line(f"let {name}_all = atomicCompareExchangeWeak(&{at}, {value}, {other});")
            self._line(f"let {name} = {name}_all.old_value;")
        else:
            function = self.chosen.choice(_RETURNING)
            if self.hides and function == "Sub":
                # naga writes a minus before the value, and two minuses are another operator.
                value = f"({value} + no_{kind[0]})"
            self._line(f"let {name} = atomic{function}(&{at}, {value});")
        self._known(name, kind)
        self.fixed.add(name)

    def _count(self, depth: int) -> None:
        name, slot = self._name("c"), self.value("u32", 1)
        self._line("if lane < 4u { atomicStore(&counts[lane], 0); } workgroupBarrier();")
        self._line(
            f"atomicAdd(&counts[({slot}) & 3u], {self.value('i32', 1)}); workgroupBarrier();"
        )
        self._line(f"let {name} = atomicLoad(&counts[lane & 3u]); workgroupBarrier();")
        self._known(name, "i32")
        self.fixed.add(name)

    def value(self, kind: str, depth: int) -> str:
        """A random expression that is no constant: in one, an overflow would be an error."""
        names = self._names(kind)
        if depth <= 0 or self.chosen.random() < 0.2:
            if names and self.chosen.random() < 0.7:
                return self.chosen.choice(names)
            return self._literal(kind)
        calls = [each for each in self.functions if each[1] == kind]
        if calls and self.chosen.random() < 0.2:
            name, _, parameters = self.chosen.choice(calls)
            given = ", ".join(self.value(each, depth - 1) for each in parameters)
            return f"{name}({given})"
        made: str = getattr(self, f"_{kind[:4].strip('<')}")(depth - 1)
        return made

    def _literal(self, kind: str) -> str:
        number = self.chosen.choice((0, 1, 2, 3, 5, 7, 31, 255, 65537, 2147483647))
        return {
            "u32": f"({number}u ^ no_u)",
            "i32": f"({self.chosen.choice(('', '-'))}{number}i ^ no_i)",
            "bool": self.chosen.choice(("true", "false")),
            "f32": f"f32({number % 8}u ^ no_u)",
            "vec2<u32>": f"vec2<u32>({number}u ^ no_u, {number // 2}u ^ no_u)",
        }[kind]

    def _u32(self, depth: int) -> str:
        a, b, c = (self.value("u32", depth) for _ in range(3))
        result = self._binary("u32", a, b)
        return self.chosen.choice(
            (
                result,
                result,
                f"({a} {self.chosen.choice(('<<', '>>'))} ({b} & 31u))",
                f"select({a}, {b}, {self.value('bool', depth)})",
                f"u32({self.value('i32', depth)})",
                f"x[({a}) % {SIZE * GROUPS}u]",
                f"min({a}, {b})",
                f"extractBits({a}, {b} & 31u, {c} & 31u)",
                f"countOneBits({a})",
                f"reverseBits({a})",
                f"{self.value('vec2<u32>', depth)}.{self.chosen.choice('xy')}",
                f"dot({self.value('vec2<u32>', depth)}, {self.value('vec2<u32>', depth)})",
                f"insertBits({a}, {b}, {c} & 15u, 9u)",
                f"~({a})",
            )
        )

    def _i32(self, depth: int) -> str:
        a, b = (self.value("i32", depth) for _ in range(2))
        result = self._binary("i32", a, b)
        return self.chosen.choice(
            (
                result,
                result,
                f"({a} >> ({self.value('u32', depth)} & 31u))",
                f"bitcast<i32>({self.value('u32', depth)})",
                f"i32({self.value('f32', depth)})",
                f"clamp({a}, -9i, 77i)",
                f"abs({a})",
                f"sign({a})",
                f"-({a})",
                f"firstLeadingBit({a})",
                f"select({a}, {b}, {self.value('bool', depth)})",
            )
        )

    def _bool(self, depth: int) -> str:
        kind = self.chosen.choice(("u32", "i32", "f32"))
        a, b = self.value(kind, depth), self.value(kind, depth)
        c, d = self.value("bool", depth), self.value("bool", depth)
        return self.chosen.choice(
            (
                f"(({a}) {self.chosen.choice(_COMPARED)} ({b}))",
                f"(({a}) {self.chosen.choice(_COMPARED)} ({b}))",
                f"({c} && {d})",
                f"({c} || {d})",
                f"!({c})",
                f"any({self.value('vec2<u32>', depth)} > {self.value('vec2<u32>', depth)})",
            )
        )

    def _f32(self, depth: int) -> str:
        a, b = self.value("f32", depth), self.value("f32", depth)
        return self.chosen.choice(
            (
                f"f32({self.value('u32', depth)} & 255u)",
                f"f32({self.value('i32', depth)} & 63i)",
                f"min({a}, {b})",
                f"max({a}, {b})",
                f"floor({a})",
                f"abs({a})",
                f"clamp({a} + {b}, -999.0, 999.0)",
                f"clamp({a} * 2.0 - {b}, -999.0, 999.0)",
            )
        )

    def _vec2(self, depth: int) -> str:
        a, b = self.value("vec2<u32>", depth), self.value("vec2<u32>", depth)
        return self.chosen.choice(
            (
                f"vec2<u32>({self.value('u32', depth)}, {self.value('u32', depth)})",
                f"({a} {self.chosen.choice('+*^|')} {b})",
                f"({a}).yx",
                f"max({a}, {b})",
                f"({a} + {self.value('u32', depth)})",
            )
        )


def _called(kind: str, sign: str) -> str:
    return f"{kind}_{'quotient' if sign == '/' else 'remainder'}"

"""The parser of declarations and statements: tokens to a syntax tree.

Only the form is checked here, and that each attribute is known and does not occur twice.  Names and
types are checked later.
Source: WGSL specification, sections 4, 6, 7, 9, 10 and 11, and the grammar of gpuweb/gpuweb.
"""

from gpusim.wgsl.expressions import Reader
from gpusim.wgsl.syntax import (
    TOO_DEEP,
    Alias,
    Assertion,
    Assignment,
    Attribute,
    Block,
    Call,
    CallStatement,
    Clause,
    Declaration,
    Directive,
    Expression,
    Function,
    If,
    Jump,
    Literal,
    Loop,
    Node,
    Parameter,
    ShaderError,
    Statement,
    Struct,
    Switch,
    Unit,
)
from gpusim.wgsl.tokens import tokens_of

_ATTRIBUTES = (
    *("align", "binding", "blend_src", "builtin", "compute", "const", "diagnostic", "fragment"),
    *("group", "id", "interpolate", "invariant", "location", "must_use", "size", "vertex"),
    "workgroup_size",
)
_ASSIGNMENTS = ("+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>=")


def parse(text: str) -> Unit:
    """The syntax tree of a shader; ShaderError if its form is wrong."""
    parser = _Parser(tokens_of(text))
    try:
        return parser.unit()
    except RecursionError:
        raise ShaderError(TOO_DEEP, parser.place) from None


class _Parser(Reader):
    def unit(self) -> Unit:
        place = self.place
        directives: list[Directive] = []
        declarations: list[Node] = []
        while self.sees("enable", "requires", "diagnostic"):
            directives.append(self._directive())
        while self.token.kind != "end":
            if self.accept(";"):
                continue
            declarations.append(self._declaration())
        return Unit(place=place, directives=tuple(directives), declarations=tuple(declarations))

    def _directive(self) -> Directive:
        place, kind = self.place, self.take().text
        words: list[str] = []
        bracketed = kind == "diagnostic" and self.accept("(")
        while not self.sees(";", ")"):
            words.append(self.name("a name"))
            while self.accept("."):
                words[-1] += "." + self.name("a name")
            if not self.accept(","):
                break
        if bracketed:
            self.expect(")")
        self.expect(";")
        if not words:
            raise ShaderError(f"{kind} names nothing", place)
        return Directive(place=place, kind=kind, words=tuple(words))

    def _declaration(self) -> Node:
        attributes = self._attributes()
        place = self.place
        if self.sees("fn"):
            return self._function(attributes)
        if self.sees("var", "override", "const"):
            made = self._variable(attributes)
            self.expect(";")
            return made
        if attributes:
            self.expected("'fn', 'var' or 'override'")
        if self.accept("struct"):
            name = self.name("the name of a struct")
            return Struct(place=place, name=name, members=self._parameters("{", "}"))
        if self.accept("alias"):
            name = self.name("the name of a type")
            self.expect("=")
            made_alias = Alias(place=place, name=name, type=self.named("a type"))
            self.expect(";")
            return made_alias
        if self.sees("const_assert"):
            return self._assertion()
        return self.expected("a declaration")

    def _assertion(self) -> Assertion:
        place = self.take().place
        condition = self.expression()
        self.expect(";")
        return Assertion(place=place, condition=condition)

    def _attributes(self) -> tuple[Attribute, ...]:
        found: list[Attribute] = []
        while self.accept("@"):
            place = self.place
            is_keyword = self.sees("const", "diagnostic")
            name = self.take().text if is_keyword else self.name("an attribute")
            if name not in _ATTRIBUTES:
                raise ShaderError(f"no attribute is called {name!r}", place)
            arguments: tuple[Expression, ...] = ()
            if self.sees("("):
                arguments = self.arguments()
            if any(name == other.name and name != "diagnostic" for other in found):
                raise ShaderError(f"the attribute {name} occurs twice", place)
            found.append(Attribute(place=place, name=name, arguments=arguments))
        return tuple(found)

    def _function(self, attributes: tuple[Attribute, ...]) -> Function:
        place = self.expect("fn").place
        name = self.name("the name of a function")
        parameters = self._parameters("(", ")")
        result: Expression | None = None
        if self.accept("->"):
            # Attributes of a result mean something in vertex and fragment shaders only.
            self._attributes()
            result = self.named("a type")
        return Function(
            place=place,
            name=name,
            parameters=parameters,
            result=result,
            body=self._block(),
            attributes=attributes,
        )

    def _parameters(self, opening: str, closing: str) -> tuple[Parameter, ...]:
        self.expect(opening)
        found: list[Parameter] = []
        while not self.sees(closing):
            attributes = self._attributes()
            place = self.place
            name = self.name("a name")
            self.expect(":")
            found.append(
                Parameter(place=place, name=name, type=self.named("a type"), attributes=attributes)
            )
            if not self.accept(","):
                break
        self.expect(closing)
        return tuple(found)

    def _variable(self, attributes: tuple[Attribute, ...] = ()) -> Declaration:
        token = self.take()
        space = self.template() if token.text == "var" else None
        name = self.name("a name")
        declared = self.named("a type") if self.accept(":") else None
        value = self.expression() if self.accept("=") else None
        needs_value = token.text in ("const", "let")
        if needs_value and value is None:
            self.expected("'='")
        return Declaration(
            place=token.place,
            kind=token.text,
            name=name,
            space=space or (),
            type=declared,
            value=value,
            attributes=attributes,
        )

    def _block(self) -> Block:
        attributes = self._attributes()
        _only_diagnostics(attributes)
        place = self.expect("{").place
        self._depth += 1
        if self._depth > 100:
            raise ShaderError("the nesting is deeper than 100", place)
        found: list[Statement] = []
        while not self.sees("}"):
            if self.accept(";"):
                continue
            if self.token.kind == "end":
                self.expected("'}'")
            found.append(self._statement())
        self.take()
        self._depth -= 1
        return Block(place=place, statements=tuple(found))

    def _statement(self) -> Statement:
        start = self._at
        attributes = self._attributes()
        _only_diagnostics(attributes)
        if self.sees("{"):
            self._at = start
            return self._block()
        if self.accept("if"):
            return self._if()
        if self.accept("switch"):
            return self._switch()
        if self.sees("loop", "for", "while"):
            return self._loop()
        if attributes:
            self.expected("'{', 'if', 'switch', 'loop', 'for' or 'while'")
        if self.sees("const_assert"):
            return self._assertion()
        made = self._simple()
        self.expect(";")
        return made

    def _simple(self) -> Statement:
        place = self.place
        if self.sees("var", "let", "const"):
            return self._variable()
        for kind in ("break", "continue", "discard"):
            if self.accept(kind):
                return Jump(place=place, kind=kind, value=None)
        if self.accept("return"):
            value = None if self.sees(";") else self.expression()
            return Jump(place=place, kind="return", value=value)
        return self._update()

    def _update(self) -> Statement:
        """An assignment, ``++``, ``--``, or a call."""
        place = self.place
        if self.token.text == "_" and self.token.kind == "word":
            self.take()
            self.expect("=")
            return Assignment(place=place, target=None, sign="", value=self.expression())
        target = self._unary() if self.sees("*", "&", "(") else self.singular()
        place = self.place
        if self.accept("="):
            return Assignment(place=place, target=target, sign="", value=self.expression())
        if self.sees(*_ASSIGNMENTS):
            sign = self.take().text[:-1]
            return Assignment(place=place, target=target, sign=sign, value=self.expression())
        if self.sees("++", "--"):
            sign = self.take().text[0]
            one = Literal(place=place, kind="int", text="1", suffix="")
            return Assignment(place=place, target=target, sign=sign * 2, value=one)
        if isinstance(target, Call):
            return CallStatement(place=target.place, call=target)
        return self.expected("an assignment or a call")

    def _if(self) -> If:
        condition = self.expression()
        then = self._block()
        other: Statement | None = None
        if self.accept("else"):
            other = self._if() if self.accept("if") else self._block()
        return If(place=condition.place, condition=condition, then=then, other=other)

    def _switch(self) -> Switch:
        selector = self.expression()
        _only_diagnostics(self._attributes())
        self.expect("{")
        clauses: list[Clause] = []
        while not self.sees("}"):
            where = self.place
            if self.accept("default"):
                selectors: tuple[Expression | None, ...] = (None,)
            else:
                self.expect("case")
                selectors = self._selectors()
            self.accept(":")
            clauses.append(Clause(place=where, selectors=selectors, body=self._block()))
        self.take()
        return Switch(place=selector.place, selector=selector, clauses=tuple(clauses))

    def _selectors(self) -> tuple[Expression | None, ...]:
        found: list[Expression | None] = []
        while True:
            found.append(None if self.accept("default") else self.expression())
            if not self.accept(",") or self.sees(":", "{"):
                return tuple(found)

    def _loop(self) -> Loop:
        place = self.place
        kind = self.take().text
        first: Statement | None = None
        condition: Expression | None = None
        update: Block | None = None
        if kind == "while":
            condition = self.expression()
        elif kind == "for":
            self.expect("(")
            first = None if self.sees(";") else self._simple()
            self.expect(";")
            condition = None if self.sees(";") else self.expression()
            self.expect(";")
            if not self.sees(")"):
                where = self.place
                update = Block(place=where, statements=(self._update(),))
            self.expect(")")
            if isinstance(first, Jump):
                raise ShaderError(f"{first.kind} may not begin a loop", first.place)
        else:
            return self._endless()
        return Loop(
            place=place,
            first=first,
            condition=condition,
            body=self._block(),
            continuing=update,
            break_if=None,
            kind=kind,
        )

    def _endless(self) -> Loop:
        """A ``loop`` with its ``continuing`` and ``break if``."""
        _only_diagnostics(self._attributes())
        start = self.expect("{").place
        found: list[Statement] = []
        continuing: Block | None = None
        break_if: Expression | None = None
        while not self.sees("}"):
            if self.accept(";"):
                continue
            if self.accept("continuing"):
                continuing, break_if = self._continuing()
                break
            found.append(self._statement())
        self.expect("}")
        body = Block(place=start, statements=tuple(found))
        return Loop(
            place=start,
            first=None,
            condition=None,
            body=body,
            continuing=continuing,
            break_if=break_if,
            kind="loop",
        )

    def _continuing(self) -> tuple[Block, Expression | None]:
        _only_diagnostics(self._attributes())
        place = self.expect("{").place
        found: list[Statement] = []
        break_if: Expression | None = None
        while not self.sees("}"):
            if self.accept(";"):
                continue
            start = self._at
            if self.accept("break") and self.accept("if"):
                break_if = self.expression()
                self.expect(";")
                break
            self._at = start
            found.append(self._statement())
        self.expect("}")
        return Block(place=place, statements=tuple(found)), break_if


def _only_diagnostics(attributes: tuple[Attribute, ...]) -> None:
    for attribute in attributes:
        if attribute.name != "diagnostic":
            raise ShaderError(f"a statement has no attribute {attribute.name}", attribute.place)

"""An argument as one page of HTML that needs nothing else: no network, no script.

It is readable on a phone, in the dark, on paper and by keyboard.  Nothing here finds anything out.
"""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import NamedTuple

from gpusim.ops import Op
from gpusim.text import write_op
from properties.clients.passed import does, own_calls
from properties.document import document
from properties.explain.argument import Argument, ByteStory, said_shortly
from properties.explain.call_table import Row, in_words, rows
from properties.explain.picture import Picture, draw, expected, is_in_turn, shown
from properties.explain.pools import draw_pools
from properties.model.results import cut_hex

_MOST_OPS = 300
_MOST_DRAWN = 60
"""A longer program gets no picture, since nobody could read it."""
_MOST_TEXT = 400
_MOST_CALLS = 400
_MOST_OPEN = 24
"""A longer list of calls is folded."""
_BAD = ' class="bad"'
_NO_SECOND = (
    "A picture of what should have happened has the ops in the same order, so it is left out. "
    "What differs: "
)
_OF_CLIENT = (
    "The client {}. Its calls on the device are in this list, with the op during which it made "
    "them. A call that is refused does not reach the device."
)
_IN_ORDER = (
    "what should have happened, for instance: every op in its turn. "
    "It shows the order of the ops alone; the rows are no calls"
)


class _Links(NamedTuple):
    """How many ops, and how many calls, have a line on the page."""

    op: int
    call: int

    def to(self, word: str, number: int) -> str:
        """The link for ``op N`` or ``call N``; empty if it has no line."""
        has_line = (word == "op" and number < self.op) or (
            word == "call" and 0 < number <= self.call
        )
        return f"#{word}-{number}" if has_line else ""


def page(argument: Argument, replay: str) -> str:
    """The page; ``replay`` is the command that runs the finding again."""
    called = [*rows(argument)]
    last = min(called[-1].number, _MOST_CALLS) if called else 0
    links = _Links(op=min(len(argument.program), _MOST_OPS), call=last)
    parts = [
        f"<h1>{_linked(cut_hex(argument.sentence), links)}</h1>",
        f'<p class="soft">{escape(_how(argument))}</p>',
        _pictures(argument),
        _lines(argument, links),
        _bytes(argument.bytes),
        _program(argument),
        _calls(argument, called, links),
        _pools(argument, called),
        f"<h2>Run it again</h2><pre>{escape(replay)}</pre>",
    ]
    return document(_cut(argument.sentence, 90), parts)


def _how(argument: Argument) -> str:
    case = argument.case
    policy = "" if case.follows_no_policy else f", policy {case.policy}"
    client = "" if case.client == "plain" else f", client {case.client}"
    return f"{argument.failure.kind} on target {case.target}, device {case.device}{policy}{client}"


def _pictures(argument: Argument) -> str:
    if len(argument.program) > _MOST_DRAWN:
        return ""
    caption = "what happened, by the calls on the device; they are listed below"
    if not argument.reached:
        caption = "what happened, as far as the bytes that came back show"
    figures = _figure(shown(argument), caption, "")
    if is_in_turn(argument):
        sides = (f"{name} {said_shortly(shown)}" for name, shown in argument.failure.sides)
        differs = ", ".join(sides) or argument.failure.reason or argument.sentence
        figures += f'<p class="soft">{escape(_NO_SECOND + differs)}</p>'
    else:
        figures += _figure(expected(argument), _IN_ORDER, "should")
    return f'<h2>The three clocks</h2><div class="pair">{figures}</div>'


def _figure(picture: Picture, caption: str, kind: str) -> str:
    drawn = draw(picture, caption)
    return f'<figure class="{kind}"><figcaption>{escape(caption)}</figcaption>{drawn}</figure>'


def _lines(argument: Argument, links: _Links) -> str:
    terms = "".join(
        f"<dt>{escape(name)}</dt><dd>{_linked(text, links)}</dd>"
        for line in argument.in_full[1:]
        for name, text in _parted(line, argument)
    )
    return f"<h2>The argument</h2><dl>{terms}</dl>"


def _parted(line: str, argument: Argument) -> Iterator[tuple[str, str]]:
    """The head of a line and its text; what still fails gets a line of its own."""
    head, _, text = line.partition(": ")
    if head != "passes":
        yield head, text
        return
    for name, texts in (("passes", argument.passes), ("still fails", argument.fails)):
        if texts:
            yield name, "; ".join(texts)


def _linked(text: str, links: _Links) -> str:
    """The text with each ``op N`` and ``call N`` as a link to its line."""
    words = text.split(" ")
    shown_words = []
    for before, word in zip(["", *words], words, strict=False):
        number = word.rstrip(",.:;)")
        name = before.lower().lstrip("(")
        link = links.to(name, int(number)) if number.isdecimal() else ""
        rest = escape(word[len(number) :])
        shown_words.append(f'<a href="{link}">{number}</a>{rest}' if link else escape(word))
    return " ".join(shown_words)


def _table(heads: Sequence[str], rows: Iterable[str]) -> str:
    """A table whose rows are given in HTML."""
    names = "".join(f"<th>{name}</th>" for name in heads)
    return f"<table><tr>{names}</tr>{''.join(rows)}</table>"


def _bytes(stories: Sequence[ByteStory]) -> str:
    rows = (
        f"<tr><td>{story.byte} of {escape(story.buffer)}</td><td>{story.meant:02x}</td>"
        f"<td>{story.shown:02x}</td><td>{_writer(story)}</td><td>{escape(story.source)}</td></tr>"
        for story in stories
    )
    heads = ("byte", "should be", "came back", "written last by", "what came back is")
    table = f'<h2>The wrong bytes</h2><div class="wide">{_table(heads, rows)}</div>'
    return table if stories else ""


def _writer(story: ByteStory) -> str:
    link = f'<a href="#op-{story.writer}">op {story.writer}</a>'
    return "nothing" if story.writer < 0 else link


def _program(argument: Argument) -> str:
    items = "".join(
        f'<li id="op-{n}"{_BAD * (n in argument.marked)}>'
        f"{escape(_cut(write_op(op), _MOST_TEXT))}{_own(argument.case.client, op)}</li>"
        for n, op in enumerate(argument.program.ops[:_MOST_OPS])
    )
    more = _more(len(argument.program) - _MOST_OPS, "ops")
    return f'<h2>The program</h2><ol start="0">{items}</ol>{more}'


def _more(left: int, what: str) -> str:
    return f'<p class="soft">and {left} {what} more</p>' if left > 0 else ""


def _own(client: str, op: Op) -> str:
    """Which calls of its own the client of a case makes around an op, in words."""
    own = own_calls(client, op)
    return f'<br><span class="soft">client {escape(client)}: {escape(own)}</span>' if own else ""


def _calls(argument: Argument, called: Sequence[Row], links: _Links) -> str:
    """The calls on the device as a table, folded if it is long."""
    if not called:
        return ""
    rows = (
        f"<tr{_id(row)}><td>{row.number}</td><td>{_linked(row.maker, links)}</td>"
        f"<td>{row.verb}</td><td>{escape(row.what)}</td><td>{_linked(row.serves, links)}</td></tr>"
        for row in called
        if row.number <= _MOST_CALLS
    )
    count, client = called[-1].number, does(argument.case.client)
    whose = f'<p class="soft">{escape(_OF_CLIENT.format(client))}</p>' if client else ""
    is_open = " open" if len(called) <= _MOST_OPEN else ""
    table = _table(("call", "made in", "verb", "what", "for the program"), rows)
    return (
        f"<h2>The calls on the device</h2>{whose}<details{is_open}>"
        f'<summary>{count} calls</summary><div class="wide" tabindex="0">{table}</div>'
        f"{_more(count - _MOST_CALLS, 'calls')}</details>"
    )


def _id(row: Row) -> str:
    return "" if row.has_failed else f' id="call-{row.number}"'


def _pools(argument: Argument, called: Iterable[Row]) -> str:
    drawn = draw_pools(argument.events, in_words(called))
    if not drawn:
        return ""
    caption = (
        "The calls run from the top down. A bar is the life of a buffer or a bind group; "
        "red dots are writes, blue dots uses, green frames maps. The title of each says its call."
    )
    return (
        f"<h2>Buffers, bind groups and maps</h2><figure><figcaption>{caption}</figcaption>"
        f'<div class="wide" tabindex="0">{drawn}</div></figure>'
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}..."

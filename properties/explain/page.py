"""An argument as one page of HTML that needs nothing else: no network, no script.

It is readable on a phone, in the dark, on paper and by keyboard.  Nothing here finds anything out.
"""

from collections.abc import Iterable
from html import escape

from gpusim.text import write_op
from properties.document import document
from properties.explain.argument import Argument, ByteStory
from properties.explain.picture import Picture, draw, expected, shown
from properties.explain.pools import draw_pools
from properties.model.results import cut_hex

_MOST_OPS = 300
_MOST_DRAWN = 60
"""A longer program gets no picture, since nobody could read it."""
_MOST_TEXT = 400


def page(argument: Argument, replay: str) -> str:
    """The page; ``replay`` is the command that runs the finding again."""
    parts = [
        f"<h1>{_linked(cut_hex(argument.sentence), argument)}</h1>",
        f'<p class="soft">{escape(_how(argument))}</p>',
        _pictures(argument),
        _lines(argument),
        _bytes(argument.bytes),
        _program(argument),
        _pools(argument),
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
    caption = "what happened, by the calls on the device"
    if not argument.reached:
        caption = "what happened, as far as the bytes that came back show"
    return (
        '<h2>The three clocks</h2><div class="pair">'
        f"{_figure(shown(argument), caption, '')}"
        f"{_figure(expected(argument), 'what should have happened', 'should')}</div>"
    )


def _figure(picture: Picture, caption: str, kind: str) -> str:
    drawn = draw(picture, caption)
    return f'<figure class="{kind}"><figcaption>{escape(caption)}</figcaption>{drawn}</figure>'


def _lines(argument: Argument) -> str:
    rows = [line.partition(": ") for line in argument.lines[1:]]
    terms = "".join(
        f"<dt>{escape(name)}</dt><dd>{_linked(text, argument)}</dd>" for name, _, text in rows
    )
    return f"<h2>The argument</h2><dl>{terms}</dl>"


def _linked(text: str, argument: Argument) -> str:
    """The text with each ``op N`` as a link to its line."""
    words = text.split(" ")
    shown_words = []
    for before, word in zip(["", *words], words, strict=False):
        number = word.rstrip(",.:;)")
        is_op = before.lower().lstrip("(") == "op" and number.isdecimal()
        if is_op and int(number) < len(argument.program):
            rest = escape(word[len(number) :])
            shown_words.append(f'<a href="#op-{number}">{number}</a>{rest}')
        else:
            shown_words.append(escape(word))
    return " ".join(shown_words)


def _bytes(stories: Iterable[ByteStory]) -> str:
    rows = "".join(
        f"<tr><td>{story.byte} of {escape(story.buffer)}</td><td>{story.meant:02x}</td>"
        f"<td>{story.shown:02x}</td><td>{_writer(story)}</td><td>{escape(story.source)}</td></tr>"
        for story in stories
    )
    if not rows:
        return ""
    heads = "".join(
        f"<th>{name}</th>"
        for name in ("byte", "is to be", "came back", "written last by", "what came back is")
    )
    return f'<h2>The wrong bytes</h2><div class="wide"><table><tr>{heads}</tr>{rows}</table></div>'


def _writer(story: ByteStory) -> str:
    if story.writer < 0:
        return "nothing"
    return f'<a href="#op-{story.writer}">op {story.writer}</a>'


def _program(argument: Argument) -> str:
    marked = argument.marked
    items = "".join(
        f'<li id="op-{n}"{_class(n in marked)}>{escape(_cut(write_op(op), _MOST_TEXT))}</li>'
        for n, op in enumerate(argument.program.ops[:_MOST_OPS])
    )
    left = len(argument.program) - _MOST_OPS
    more = f'<p class="soft">and {left} ops more</p>' if left > 0 else ""
    return f'<h2>The program</h2><ol start="0">{items}</ol>{more}'


def _class(is_marked: bool) -> str:
    return ' class="bad"' if is_marked else ""


def _pools(argument: Argument) -> str:
    drawn = draw_pools(argument.events)
    if not drawn:
        return ""
    caption = (
        "From the top, by the number of the call. A bar is the life of a buffer or a bind group; "
        "red dots are writes, blue dots uses, green frames maps."
    )
    return (
        f"<h2>Buffers, bind groups and maps</h2><figure><figcaption>{caption}</figcaption>"
        f'<div class="wide" tabindex="0">{drawn}</div></figure>'
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}..."

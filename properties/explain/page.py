"""An argument as one page of HTML that needs nothing else: no network, no script.

It is readable on a phone, in the dark, on paper and by keyboard.  Nothing here finds anything out.
"""

from collections.abc import Iterable
from html import escape

from gpusim.text import write_op
from properties.explain.argument import Argument, ByteStory
from properties.explain.picture import Picture, draw, expected, shown
from properties.explain.pools import draw_pools
from properties.model.results import cut_hex

_MOST_OPS = 300
_MOST_DRAWN = 60
"""A longer program gets no picture, since nobody could read it."""
_MOST_TEXT = 400
_STYLE = """
:root{--ink:#1b1f24;--paper:#fff;--soft:#59636e;--line:#d1d9e0;--bad:#b3261e;--good:#0b6b3a;
--mark:#fff1ef;--use:#0b57d0;color-scheme:light dark}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--paper:#0d1117;--soft:#9da7b3;
--line:#3d444d;--bad:#ff8a80;--good:#6fdd9a;--mark:#3a1a1a;--use:#8ab4f8}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:70rem;padding:1rem;font:16px/1.5 system-ui,sans-serif;
color:var(--ink);background:var(--paper)}
h1{font-size:1.3rem;line-height:1.35;overflow-wrap:anywhere}
h2{font-size:1.05rem;margin:1.6rem 0 .4rem}
a{color:inherit}a:focus-visible{outline:3px solid var(--use);outline-offset:2px}
.soft{color:var(--soft)}
.pair{display:grid;gap:1rem;grid-template-columns:1fr}
@media(min-width:46rem){.pair{grid-template-columns:1fr 1fr}}
figure{margin:0;border:1px solid var(--line);border-radius:8px;padding:.5rem}
figcaption{font-size:.9rem;color:var(--soft)}
svg{display:block;width:100%;height:auto;max-width:34rem;margin:auto;font:11px system-ui,sans-serif}
svg text{fill:var(--ink)}.head{font-weight:600}.tick{fill:var(--soft);font-size:9px}
.lane{stroke:var(--line);stroke-width:2}
.op polyline{fill:none;stroke:var(--soft);stroke-width:1.5}.op circle,.op polygon{fill:var(--soft)}
.marked polyline{stroke:var(--bad);stroke-width:3}.marked circle,.marked polygon{fill:var(--bad)}
.marked text{fill:var(--bad);font-weight:700}
.should .marked polyline{stroke:var(--good)}
.should .marked circle,.should .marked polygon{fill:var(--good)}
.should .marked text{fill:var(--good)}
.life{stroke:var(--soft);stroke-width:3}.use{fill:var(--use)}.write{fill:var(--bad)}
.map{fill:none;stroke:var(--good);stroke-width:2}
.wide{overflow-x:auto}.wide svg{max-width:none}
dl{margin:0}dt{font-weight:600;margin-top:.5rem}dd{margin:0;overflow-wrap:anywhere}
ol{padding-left:2.2rem;font:14px/1.6 ui-monospace,monospace}
ol li{overflow-wrap:anywhere;padding:0 .3rem}
li:target{outline:2px solid var(--use)}
.bad{background:var(--mark);border-left:4px solid var(--bad)}
table{border-collapse:collapse;width:100%;font-size:.92rem}
th,td{text-align:left;vertical-align:top;
padding:.25rem .5rem;border-bottom:1px solid var(--line)}
th{white-space:nowrap}
code,pre{font:14px ui-monospace,monospace;overflow-wrap:anywhere;white-space:pre-wrap}
@media print{:root{color-scheme:light;--ink:#000;--paper:#fff;
--soft:#444;--line:#999;--bad:#900;--good:#060;--mark:#eee}
body{max-width:none;font-size:11pt}figure,tr,li{break-inside:avoid}a{text-decoration:none}}
"""


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
    title = escape(_cut(argument.sentence, 90))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><main>"
        f"{''.join(parts)}</main></body></html>\n"
    )


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

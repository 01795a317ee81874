"""A page of HTML that needs nothing else: no network, no script.

It is readable on a phone, in the dark, on paper and by keyboard.  The contents of a page are made
elsewhere.
"""

from collections.abc import Iterable
from html import escape

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
a{color:inherit}:focus-visible{outline:3px solid var(--use);outline-offset:2px}
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
li:target,tr:target{outline:2px solid var(--use)}
.bad{background:var(--mark);border-left:4px solid var(--bad)}
table{border-collapse:collapse;width:100%;font-size:.92rem}
th,td{text-align:left;vertical-align:top;
padding:.25rem .5rem;border-bottom:1px solid var(--line)}
th{white-space:nowrap}
code,pre{font:14px ui-monospace,monospace;overflow-wrap:anywhere;white-space:pre-wrap}
@media print{:root{color-scheme:light;--ink:#000;--paper:#fff;
--soft:#444;--line:#999;--bad:#900;--good:#060;--mark:#eee}
body{max-width:none;font-size:11pt}figure,tr,li{break-inside:avoid}a{text-decoration:none}
details::details-content{content-visibility:visible;display:block}}
"""


def document(title: str, parts: Iterable[str], *, refresh_seconds: int | None = None) -> str:
    """The page with these parts; a browser loads it again after ``refresh_seconds``."""
    refresh = f'<meta http-equiv="refresh" content="{refresh_seconds}">' * bool(refresh_seconds)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"{refresh}<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>"
        f"{''.join(parts)}</main></body></html>\n"
    )


def table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table of texts; a narrow window scrolls it."""
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows
    )
    return f'<div class="wide" tabindex="0"><table><tr>{head}</tr>{body}</table></div>'

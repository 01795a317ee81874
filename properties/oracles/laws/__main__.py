"""Prints the page docs/LAWS.md, from the laws themselves."""

from properties.oracles.laws.catalogue import ELSEWHERE, LAWS

_HEAD = """# The laws over a trace

What must hold of the calls on a device, whatever bytes they move. The laws are checked after every
program, on simulated and real devices, without the reference. A violation names its law, the op and
the reason. `python -m properties.oracles.laws` writes this page.

| law | what must hold | source |
|---|---|---|
"""
_MIDDLE = """
Laws that no single trace can show are checked elsewhere:

| law | where |
|---|---|
"""


def page() -> str:
    """The page as Markdown."""
    laws = "".join(f"| {law.name} | {law.sentence} | {law.source} |\n" for law in LAWS)
    others = "".join(f"| {name} | {where} |\n" for name, where in ELSEWHERE.items())
    return _HEAD + laws + _MIDDLE + others


if __name__ == "__main__":
    print(page(), end="")

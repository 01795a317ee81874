"""The page of the laws: each with its sentence and source, and who looks after the others."""

from properties.oracles.laws.catalogue import ELSEWHERE, LAWS

_HEAD = """# The laws over a trace

What must hold of the calls on a device, whatever bytes they move: checked after every program, on
simulated and real devices alike, and without the reference. A violation names its law, the op, and
why, as an argument. `python -m properties.oracles.laws.page` writes this page.

| law | what must hold | source |
|---|---|---|
"""
_MIDDLE = """
What no single trace can show is looked after elsewhere:

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

"""docs/SANITIZE.md shows the rules as they are, and every kind of event."""

from pathlib import Path

from gpusim.layer import RULES
from gpusim.layer.commands import CALLS
from gpusim.layer.scene import KINDS

PAGE = (Path(__file__).parents[2] / "docs" / "SANITIZE.md").read_text(encoding="utf-8")


def test_the_table_of_rules_is_current() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `") and line.count("|") == 5]
    assert rows == [
        f"| `{rule.name}` | {rule.sentence} | {rule.remedy} | {rule.source} |" for rule in RULES
    ]


def test_every_kind_of_event_is_explained() -> None:
    told = {call.kind for calls in CALLS.values() for call in calls.values() if call.kind}
    assert {kind for kind in told | KINDS if f"`{kind}`" not in PAGE} == set()

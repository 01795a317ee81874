"""Tries which replays are accepted over a buffer that was lost with a failed call."""

from collections.abc import Iterator

from gpusim.errors import DataLost
from gpusim.limits import WORD_BYTES
from gpusim.program import Program
from properties.explain.experiments import Judge, instead_of
from properties.oracles.judge import Verdict
from properties.oracles.metamorphic.rewrites import sizes_of

NOTED = "so the loss was noted"
_DATA_LOST = DataLost.__name__
_GRAPHS = {
    "copies from it": "copy {name} 0 spare 0 4",
    "binds it to read": "dispatch fold {name},spare 1 1x1x1",
    "binds it to write": "dispatch affine {name} 1,1 1x1x1",
    "binds it to write, then fills it": "dispatch affine {name} 1,1 1x1x1; "
    "copy spare 0 {name} 0 {size}",
}
"""Graphs that must not be replayed over a lost buffer, by what they do with it."""


def tried_replays(verdict: Verdict, at: int, name: str, again: Judge) -> Iterator[str]:
    """Which ops in the place of the replay at ``at`` are accepted, though ``name`` is lost."""
    size = sizes_of(verdict.execution.case.program).get(name, 0)
    if size < WORD_BYTES:
        return
    ends = {
        what: _end(
            verdict,
            at,
            f"alloc spare {size}\ncapture tried {commands.format(name=name, size=size)}\n"
            "replay tried * -\n",
            again,
        )
        for what, commands in _GRAPHS.items()
    }
    refused = [what for what, end in ends.items() if end == _DATA_LOST]
    accepted = [what for what, end in ends.items() if end is None]
    if accepted:
        yield (
            f"tried other graphs in its place, over the lost {name}: accepted is one that "
            f"{' or '.join(accepted)}; refused is {_one(refused)}"
        )
    if _end(verdict, at, f"read {name} 0 4 -> tried\n", again) == _DATA_LOST:
        yield f"a read of {name} in the place of op {at} raises {_DATA_LOST}, {NOTED}"


def _one(what: list[str]) -> str:
    return f"one that {' or '.join(what)}" if what else "none"


def _end(verdict: Verdict, at: int, ops: str, again: Judge) -> str | None:
    """The error of the last of ``ops``, if these stand in the place of the op at ``at``."""
    text = f"{Program(verdict.execution.case.program.ops[:at])}{ops}"
    longer = instead_of(verdict, text, again)
    return longer.execution.history.outcomes[text.count("\n") - 1].error

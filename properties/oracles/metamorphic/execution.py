"""Running a case for the relations: what it showed, and which pooled objects it made when.

Nothing here knows a transformation or judges anything.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gpusim.errors import GpusimError
from gpusim.history import History
from gpusim.program import Op
from gpusim.runtime.commands import Role
from gpusim.runtime.policy import Policy, Uniforms
from gpusim.trace import Event
from properties.case import Case
from properties.runner import run
from properties.session.subject import Opened, Subject
from properties.target import Capabilities


@dataclass(frozen=True, kw_only=True, slots=True)
class Execution:
    """What one execution of a case showed."""

    history: History
    capabilities: Capabilities
    made: tuple[int, ...] = ()
    """Pooled buffers made by the end of each op, as far as the policy promises reuse."""
    evicted: bool = False
    """Whether a pool or cache gave an object up, so that it may have to make it again."""
    closed_with: str = ""
    """The error that closing the target raised, if it did."""


Execute = Callable[[Case], Execution]


class Executor:
    """Executes cases on new targets of one subject, and remembers the last one.

    A case is run once however many transformations it is compared with in a row.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._last: tuple[Case, Execution] | None = None

    def original(self, case: Case) -> Execution:
        """The execution of a case as it is; the same one while the case is."""
        if self._last is None or self._last[0] != case:
            self._last = case, self(case)
        return self._last[1]

    def __call__(self, case: Case) -> Execution:
        """Run ``case`` on a new target."""
        opened = self._subject.open(case)
        ends: list[int] = []

        def after_op(position: int, op: Op) -> None:
            ends.append(len(opened.trace))

        history = run(case.program, opened.target, after_op=after_op)
        closed_with = _close(opened)
        events = opened.trace.events
        return Execution(
            history=history,
            capabilities=opened.target.capabilities,
            made=_made_by(ends, events, case.policy),
            evicted=any(event.kind.endswith(".evicted") for event in events),
            closed_with=closed_with,
        )


def _close(opened: Opened) -> str:
    try:
        opened.target.close()
    except GpusimError as error:
        return type(error).__name__
    except Exception as error:
        return f"crash: {type(error).__name__}: {error}"
    return ""


def _made_by(ends: list[int], events: list[Event], policy: Policy) -> tuple[int, ...]:
    roles = [Role.UNIFORM.value] if policy.uniforms is not Uniforms.FRESH else []
    roles += [Role.STAGING.value] if policy.staging_buffers else []
    counts, made, seen = [], 0, 0
    for end in ends:
        for event in events[seen:end]:
            made += event.kind == "create_buffer" and event["role"] in roles
        seen = end
        counts.append(made)
    return tuple(counts)

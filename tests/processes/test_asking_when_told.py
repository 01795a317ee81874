"""Who is told of a read may ask for another: its answer is not taken for that of the first line."""

from typing import Any

import pytest

from gpusim.program import Program
from properties.model.capabilities import Arrival, Capabilities
from properties.model.target import Delivery, TargetRaised
from properties.targets.process import ProcessTarget
from properties.targets.wire import Answer, Ok, Raised, Ready, Value


class Answering:
    """A process that has its answers by line."""

    def __init__(self, answers: dict[str, list[Answer]]) -> None:
        self.answers, self.waiting, self.told = answers, list[Answer](), list[str]()

    def tell(self, line: str) -> None:
        self.told.append(line)
        self.waiting.extend(self.answers.get(line, [Ok()]))

    def hear_answer(self) -> Answer:
        return self.waiting.pop(0)

    def end(self) -> None:
        raise AssertionError("the process answered all that it was asked")


def test_a_read_that_is_told_during_a_sync_that_raises_finds_the_other() -> None:
    both: list[Answer] = [Value("r0", b"0000"), Value("r1", b"1111")]
    process: Any = Answering({"sync": [*both, Raised("Error", "no")]})
    promises = Capabilities(delivery=Arrival.ARRAY)
    target = ProcessTarget(process, Ready(capabilities=promises))
    _, first, second, sync = Program.parse(
        "alloc a 4\nread a 0 4 -> r0\nread a 0 4 -> r1\nsync\n"
    ).ops
    found: list[bytes] = []
    one, other = target.perform(first), target.perform(second)
    assert one is not None
    assert other is not None

    def told(_: Delivery) -> None:
        found.append(other.result())

    one.add_done_callback(told)
    with pytest.raises(TargetRaised, match="no"):
        target.perform(sync)
    assert found == [b"1111"]
    assert process.told[-1] == "sync"

"""Tries which reads get a staging buffer that is too small, and tells who had it before.

A read copies whole words to a staging buffer: a new one, or one that an earlier read left.
"""

from gpusim.ops import Read
from properties.explain.calls import Call, calls
from properties.explain.experiments import Judge, instead_of
from properties.explain.told import NOTHING, Told
from properties.model.failure import Failure
from properties.oracles.judge import Verdict
from properties.oracles.laws.expected import STAGING

_STAGED_SIZES = (4, 12, 252, 256, 260, 508, 512, 516, 768, 1024, 1028)


def tell_staged_sizes(verdict: Verdict, failure: Failure, again: Judge) -> Told:
    """Tells at which lengths a read fails, tried around the sizes of staging buffers."""
    case, at = verdict.execution.case, failure.position
    op = case.program[at] if 0 <= at < len(case.program) else None
    if not isinstance(op, Read) or len(case.device.faults) or op.size_bytes > _STAGED_SIZES[-1]:
        return NOTHING
    judged = {
        size: instead_of(verdict, f"alloc x {size}\nread x 0 {size} -> r\n", again)
        for size in _STAGED_SIZES
    }
    wrong = [size for size, each in judged.items() if each.failure is not None]
    right = [size for size in _STAGED_SIZES if size not in wrong]
    if not wrong:
        return _given_again(verdict, at)
    if not right:
        return NOTHING
    short = {size - _staged(judged[size]) for size in wrong}
    fail, ok = f"{_either(wrong)} bytes fail", f"{_either(right)} pass"
    if len(short) == 1 and short < {*range(1, wrong[0])}:
        one = _staged(judged[wrong[0]])
        fail += f", each in a staging buffer {short.pop()} bytes shorter than the read"
        fail += f" ({one} for {wrong[0]})"
        ok += f", in one of {_staged(judged[right[-1]])}"
    return Told(facts=(f"tried reads alone: of {fail}, of {ok}",))


def _staged(verdict: Verdict) -> int:
    """The size of the last staging buffer that was made; 0 if none was."""
    sizes = [call.event["size_bytes"] for call in _made(verdict)]
    return sizes[-1] if sizes else 0


def _made(verdict: Verdict) -> list[Call]:
    """The calls that made staging buffers."""
    made = [call for call in calls(verdict.execution.trace) if call.event.kind == "create_buffer"]
    return [call for call in made if call.event["role"] == STAGING]


def _given_again(verdict: Verdict, at: int) -> Told:
    """Tells of a read whose staging buffer an earlier op made, and is too small for the read."""
    copies = [call for call in calls(verdict.execution.trace) if call.event.kind == "copy"]
    own = [call.event for call in copies if call.position == at][-1:]
    for call in _made(verdict):
        number, size = call.event["buffer"], call.event["size_bytes"]
        is_used = own and own[0]["target"] == number and call.position < at
        if is_used and own[0]["target_offset"] + own[0]["size_bytes"] > size:
            fact = (
                f"the copy of op {at}, of {own[0]['size_bytes']} bytes, goes to staging buffer "
                f"{number}, which has {size} bytes, was made in {call.place} (call {call.number}) "
                f"and is used again; alone, reads of up to {_STAGED_SIZES[-1]} bytes pass"
            )
            return Told(facts=(fact,))
    return NOTHING


def _either(sizes: list[int]) -> str:
    return " or ".join(map(str, sizes))

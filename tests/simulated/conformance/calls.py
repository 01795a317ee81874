"""Raw device calls as data: what one is, and drawing a session of them.

A call names a method and small numbers, which ``Player`` looks up in its
tables and among the objects made so far.  Nothing here touches a device.
"""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Call:
    """One call: the method, and a number for each of its arguments."""

    method: str
    numbers: tuple[int, ...]

    def __str__(self) -> str:
        return " ".join([self.method, *map(str, self.numbers)])


def parse_call(text: str) -> Call:
    """Read what ``str(call)`` wrote."""
    method, *numbers = text.split()
    return Call(method, tuple(map(int, numbers)))


METHODS: dict[str, tuple[int, tuple[tuple[int, int], ...]]] = {
    "create_buffer": (9, ((10, 4), (14, 6), (6, 0))),
    "destroy": (3, ((99, 0),)),
    "write_buffer": (8, ((99, 0), (8, 4), (6, 4), (6, 0), (6, 0), (6, 4))),
    "map_async": (8, ((99, 0), (6, 4), (8, 4), (7, 4))),
    "wait": (8, ((99, 0),)),
    "unmap": (5, ((99, 0),)),
    "read_mapped": (6, ((99, 0), (8, 4), (7, 4))),
    "write_mapped": (5, ((99, 0), (8, 4), (6, 4))),
    "map_state": (3, ((99, 0),)),
    "read_buffer": (6, ((99, 0), (8, 4), (7, 4))),
    "create_layout": (3, ((16, 9),)),
    "create_bind_group": (12, ((99, 0), (99, 0), (99, 0), (6, 4), (6, 4), (6, 0), (2, 0))),
    "create_pipeline_layout": (3, ((99, 0), (4, 0))),
    "create_pipeline": (5, ((6, 0), (99, 0), (4, 0), (6, 2))),
    "create_shader_module": (1, ((3, 0),)),
    "auto_layout": (2, ((99, 0), (6, 2))),
    "create_encoder": (8, ()),
    "begin_pass": (9, ((99, 0),)),
    "set_pipeline": (9, ((99, 0), (99, 0))),
    "set_bind_group": (9, ((99, 0), (6, 2), (99, 0), (8, 4), (5, 0))),
    "dispatch": (9, ((99, 0), (6, 4), (6, 0))),
    "dispatch_indirect": (4, ((99, 0), (99, 0), (8, 4))),
    "end": (9, ((99, 0),)),
    "copy": (8, ((99, 0), (99, 0), (99, 0), (8, 4), (8, 4), (7, 4), (3, 0))),
    "clear": (4, ((99, 0), (99, 0), (8, 4), (7, 4))),
    "debug": (2, ((99, 0), (3, 0))),
    "finish": (9, ((99, 0),)),
    "submit": (9, ((99, 0), (99, 0), (8, 6))),
    "work_done": (1, ()),
    "use_foreign": (3, ((8, 0), (99, 0))),
}
"""By method: its weight, and for each argument how many values it may take and
how many of them, from 0, are the ordinary ones.  99 stands for an object that was made."""

_START = tuple(
    map(
        parse_call,
        (
            "create_buffer 0 0 0",
            "create_buffer 0 0 0",
            "create_buffer 1 1 0",
            "create_buffer 0 2 0",
            "create_layout 0",
            "create_pipeline_layout 0 0",
            "create_pipeline 0 0 0 0",
            "create_bind_group 0 0 1 0 0 0 0",
        ),
    )
)
"""What every session begins with, so that most methods have something to work on."""
LENGTH = 40
"""The calls of a session."""


def draw_session(random: Random) -> list[Call]:
    """A session of ``LENGTH`` calls; one in eight loses its device near its end."""
    weights = [weight for weight, _ in METHODS.values()]
    calls = list(_START)
    while len(calls) < LENGTH:
        method = random.choices(list(METHODS), weights)[0]
        calls.extend(_repeated(random, method))
    if random.randrange(8) == 0:
        calls.insert(random.randrange(LENGTH * 3 // 4, LENGTH), Call("lose", ()))
    return calls[:LENGTH]


def _repeated(random: Random, method: str) -> list[Call]:
    """The call, or now and then a whole recording around it."""
    call = _draw(random, method)
    if method == "dispatch" and random.randrange(2):
        names = ("create_encoder", "begin_pass", "set_pipeline", "set_bind_group")
        before = [_latest(random, name) for name in names]
        after = [_latest(random, name) for name in ("end", "finish", "submit")]
        return [*before, Call("dispatch", (0, *call.numbers[1:])), *after]
    if method == "copy" and random.randrange(2):
        after = [_latest(random, name) for name in ("finish", "submit")]
        return [Call("create_encoder", ()), Call("copy", (0, *call.numbers[1:])), *after]
    if method == "map_async" and random.randrange(2):
        verbs = ("read_mapped", "write_mapped", "destroy", "unmap", "read_mapped", "write_mapped")
        after = [_latest(random, verb) for verb in verbs if random.randrange(3)]
        return [call, Call("wait", (0,)), *after]
    return [call]


def _latest(random: Random, method: str) -> Call:
    """The call on the object made last, with ordinary values."""
    _, arguments = METHODS[method]
    first = 3 if method == "destroy" else 0  # which is the buffer that was mapped last
    numbers = [
        random.randrange(ordinary) if count != 99 else random.randrange(4) if place else first
        for place, (count, ordinary) in enumerate(
            (count, ordinary or count) for count, ordinary in arguments
        )
    ]
    return Call(method, tuple(numbers))


def _draw(random: Random, method: str) -> Call:
    _, arguments = METHODS[method]
    return Call(method, tuple(_number(random, *argument) for argument in arguments))


def _number(random: Random, count: int, ordinary: int) -> int:
    """Ordinary values three times in five; objects mostly among those made last."""
    if count == 99:
        return min(random.randrange(8), random.randrange(8))
    if ordinary and random.randrange(5) > 1:
        return random.randrange(ordinary)
    return random.randrange(count)

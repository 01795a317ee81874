"""The laws over a trace as values: the sentence and source of each.

The files beside this one check the laws.  Only the law of determinism is checked here, since it
needs two traces.  Laws that no single trace can show are listed with the place that checks them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Self

from gpusim.kernels import COPY_BYTES, PATCH_WORDS, Kernel
from gpusim.limits import Limits
from gpusim.ops import Op
from gpusim.runtime.policy import Policy
from gpusim.text import write_op
from gpusim.trace import Trace
from properties.model.execution import Execution
from properties.model.failure import Failure, FailureKind

_OWN = {kernel.name: kernel for kernel in (COPY_BYTES, PATCH_WORDS)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Law:
    """One thing that must hold of every trace."""

    name: str
    """A letter for the subject, and a number."""
    sentence: str
    source: str
    """The section of the WebGPU specification, the pull request or the page that gives the rule."""
    needs_faults: bool | None = None
    """True: the law can be broken only on a device that fails.  False: only on one that does not.
    None: on both."""


def broken(law: Law, position: int, op: Op | None, argument: str) -> Failure:
    """The failure of a law that is broken during an op, or at the close."""
    return Failure(
        kind=FailureKind.LAW,
        trait=law.name,
        position=position,
        op="close" if op is None else write_op(op),
        what=f"law {law.name}",
        reason=law.sentence,
        notes=(argument, f"source: {law.source}"),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class LawContext:
    """What the laws need to know besides the trace."""

    policy: Policy
    kernels: Mapping[str, Kernel]
    limits: Limits

    @classmethod
    def of(cls, execution: Execution) -> Self:
        """The context of an execution's trace."""
        case = execution.case
        return cls(policy=case.policy, kernels=execution.kernels, limits=execution.limits)

    def kernel(self, name: str) -> Kernel | None:
        """The kernel of that name: a program's, or one of the runtime's own."""
        return self.kernels[name] if name in self.kernels else _OWN.get(name)


_TVM = "apache/tvm pull request 18871"
_QUEUE = 'WebGPU specification, "Queues": a queue\'s operations take effect in the order of calls'
_SUBMIT = 'WebGPU specification, "GPUQueue.submit(commandBuffers)"'
_WRITE = 'WebGPU specification, "GPUQueue.writeBuffer": it acts on the queue at the call'
_MAPPING = 'WebGPU specification, "Buffer Mapping"'
_BUFFER = 'WebGPU specification, "Buffer Destruction"'
_BINDING = 'WebGPU specification, "GPUBindGroup Creation" and "Buffer Binding"'
_COPY = 'WebGPU specification, "copyBufferToBuffer" and "GPUQueue.writeBuffer", validation'
_CONTRACT = "docs/CONTRACT.md"
_POLICY = "the docstrings of gpusim.runtime.Policy"


def _law(name: str, sentence: str, source: str, *, faults: bool | None = None) -> Law:
    return Law(name=name, sentence=sentence, source=source, needs_faults=faults)


A1 = _law("A1", "a read copies its bytes after every command issued before it", _QUEUE)
A2 = _law(
    "A2", "a host write never overtakes a command issued before it that reads those bytes", _WRITE
)
A3 = _law("A3", "a command runs after every host write issued before it", _WRITE)
A4 = _law(
    "A4", "a host write never overtakes a command issued before it that writes those bytes", _WRITE
)
A5 = _law(
    "A5", "a copy moves exactly the bytes that its call names, to the place it names", _CONTRACT
)
A8 = _law("A8", "an op writes inside its range, and padding touches no neighbour", _CONTRACT)
A9 = _law("A9", "a host write writes the bytes of its call", _CONTRACT)
A11 = _law("A11", "a read copies all of its range", _CONTRACT)
A12 = _law(
    "A12",
    "an alloc makes a new buffer of at least its size, which WebGPU zeroes",
    'WebGPU specification, "Buffers"',
)

B1 = _law("B1", "a dispatch sees the scalars of its call", _CONTRACT)
B2 = _law("B2", "dispatches of a batch share a uniform slot only for equal bytes", _WRITE)
B3 = _law("B3", "a uniform slot is rewritten only once its dispatches were submitted", _WRITE)
B5 = _law("B5", "uniform buffers stay within the policy's capacity", _POLICY)
B6 = _law("B6", "a uniform binding is just as large as the payload of its kernel", _BINDING)
B7 = _law(
    "B7",
    "uniform slots lie at aligned offsets and do not overlap",
    'WebGPU specification, "Limits": minUniformBufferOffsetAlignment',
)

C1 = _law("C1", "every command is submitted once, in the order of the ops", _QUEUE)
C2 = _law("C2", "nothing empty is submitted, unless a host write waits for a submit", _POLICY)
C4 = _law("C4", "a batch holds no more than the policy's limits", _POLICY)
C5 = _law("C5", "every encoder is finished once and submitted once", _SUBMIT)
C7 = _law("C7", "a batch is submitted for the reason that it gives, and for no other", _POLICY)
C9 = _law("C9", "after a flush or a sync nothing waits to be submitted", _CONTRACT)

D1 = _law("D1", "a read is delivered once, and after its bytes were taken", _MAPPING)
D2 = _law("D2", "reads are delivered in the order of issue", _CONTRACT)
D3 = _law("D3", "when a sync returns, all that was issued before is done and delivered", _CONTRACT)
D4 = _law(
    "D4", "a staging buffer is free, copied to, being mapped or mapped: in that order", _MAPPING
)
D5 = _law("D5", "the mapped bytes were copied there for this very read", _MAPPING)
D6 = _law("D6", "no more staging buffers are kept than the policy says", _POLICY)
D7 = _law("D7", "a staging buffer whose map failed is never used again", _MAPPING, faults=True)

E1 = _law("E1", "an alloc never gives a buffer that existed before", _CONTRACT)
E2 = _law("E2", "a buffer is not accepted after its free", _CONTRACT)
E3 = _law("E3", "no bind group of a destroyed buffer is used or kept", _BUFFER)
E5 = _law("E5", "a dispatch is given the bind group of its own kernel and buffers", _BINDING)
E6 = _law("E6", "a uniform buffer is not destroyed while an open batch may read it", _TVM)
E7 = _law("E7", "a cache holds no more than its capacity, and counts all that it makes", _POLICY)

F1 = _law("F1", "the device's buffers are those of live handles, pools and the open batch", _BUFFER)
F2 = _law("F2", "after close every buffer is destroyed", _BUFFER)
F4 = _law(
    "F4",
    "a buffer is not destroyed between the recording and the submit of its command",
    _SUBMIT + ": its buffers are not destroyed",
)
F6 = _law("F6", "a free waits for, or submits, the commands that use the buffer", _TVM)

G1 = _law("G1", "an op that raises does nothing on the device", _CONTRACT)
G2 = _law("G2", "an op that is refused leaves pools and caches as they were", _CONTRACT)
G4 = _law("G4", "every call on the device is a valid one", _COPY)
G5 = _law(
    "G5",
    "a device's failure is raised, and a lost device takes no op but free",
    _CONTRACT,
    faults=True,
)

H1 = _law(
    "H1", "one program, policy and schedule leave one trace", "docs/ARCHITECTURE.md", faults=False
)

LAWS: tuple[Law, ...] = (
    A1, A2, A3, A4, A5, A8, A9, A11, A12,
    B1, B2, B3, B5, B6, B7,
    C1, C2, C4, C5, C7, C9,
    D1, D2, D3, D4, D5, D6, D7,
    E1, E2, E3, E5, E6, E7,
    F1, F2, F4, F6,
    G1, G2, G4, G5,
    H1,
)  # fmt: skip

ELSEWHERE = {
    "A6": "dispatches of a pass run one after the other: the simulated device's schedules",
    "A7": "batches run one after the other: the simulated device's schedules",
    "A10": "a result never changes: the runner looks at each value twice",
    "A13": "results depend on their data alone: the metamorphic relations",
    "B4": "an exhausted pool submits and loses nothing: C1 and C7 here, values in the reference",
    "C3": "a flush anywhere changes nothing: the metamorphic relations",
    "C6": "an op that acts at once submits first what it depends on: A1, A2, A4 and F6, which name "
    "the op that was overtaken",
    "C8": "calls inside a callback work as elsewhere: programs with callbacks and the reference",
    "C10": "eager and batched runs agree: the metamorphic relations",
    "D8": "reads change nothing else: the metamorphic relations",
    "D9": "waiting for one read settles those before it: D2 here",
    "D10": "syncs may nest and run side by side: the asynchronous clients",
    "D11": "a result's memory belongs to its owner: the runner looks at each value twice",
    "E4": "caches change no result: the metamorphic relations",
    "E8": "no upload is left out: A3 and C1 here, values in the reference",
    "F3": "bytes in use add up: the oracle of statistics holds stats() against history and trace",
    "F5": "a steady program makes nothing new: the metamorphic relations",
    "F7": "program and policy decide the number of submits: H1 here",
    "G3": "the error class is the contract's: the reference",
    "G6": "close is legal in every state: the runtime's tests of lifetimes",
    "H2": "schedules change no result: sessions over schedulers",
    "H3": "devices agree: sessions over devices",
    "H4": "another thread is refused: the runtime's tests of the contract",
}
"""Laws that no single trace can show, and where each is checked."""


def compare_traces(first: Trace, second: Trace) -> Failure | None:
    """The first event in which two runs of one program differ."""
    position, op = -1, None
    for one, other in zip_longest(first, second):
        if one is not None and one.kind == "op":
            position, op = one["position"], one["op"]
        if one != other:
            said = " and ".join(
                "nothing" if event is None else str(event) for event in (one, other)
            )
            return broken(H1, position, op, f"two runs gave {said}")
    return None

"""An execution: what one run of a case showed.  Oracles judge executions only.  Data only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gpusim.history import History
from gpusim.kernels import Kernel
from gpusim.layer.report import Report
from gpusim.limits import Limits
from gpusim.runtime.stats import Stats
from gpusim.trace import Trace
from gpusim.wgsl.checks.report import ShaderReport
from properties.model.capabilities import Capabilities
from properties.model.case import Case


@dataclass(frozen=True, kw_only=True, slots=True)
class Looked:
    """The counters of our runtime in the middle of a program."""

    ops: int
    """How many ops had been issued."""
    events: int
    """How many events the trace had."""
    stats: Stats


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """A choice of the scheduler: how many events the trace had, and how many options there were."""

    event: int
    options: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Execution:
    """One run of ``case``, with the promises and limits by which it is judged."""

    case: Case
    history: History
    capabilities: Capabilities
    """The promises of the target."""
    limits: Limits
    """The limits of the case."""
    told_limits: Limits | None = None
    """The limits that the driver gave the target, if that is known."""
    device_calls: Mapping[str, int] | None = None
    """How often each kind of call was made on the device, up to the end; None if nobody counts."""
    kernels: Mapping[str, Kernel]
    trace: Trace
    """The calls on the driver, and marks for ops; only marks if the target is not traced."""
    is_lawful: bool = False
    """Whether the trace is complete, so that the laws can be checked."""
    tells_faults: bool = False
    """Whether each fault in the trace was met by an op, which then has to show it."""
    shares_driver: bool = False
    """Whether another runtime called the same driver."""
    reports: tuple[Report, ...] = ()
    """What the layer's rules report of the calls on the device, if there is a layer."""
    shaders: tuple[ShaderReport, ...] = ()
    """The mistakes in shaders, if the device looks for them."""
    stats: Stats | None = None
    """The counters of our runtime right before its close."""
    looked: Looked | None = None
    """In some cases, the counters after one of the ops."""
    choices: Sequence[Choice] = ()
    """The choices of the scheduler, if it replays a schedule."""
    close_error: Exception | None = None
    """The error that the target's close raised."""
    beside: "Execution | None" = None
    """The execution of a second runtime on the same driver, if the client has one."""

"""An execution: what one run of a case showed.  Every oracle judges these, and nothing else."""

from dataclasses import dataclass

from gpusim.history import History
from gpusim.kernels import Kernels
from gpusim.limits import Limits
from gpusim.trace import Trace
from properties.model.capabilities import Capabilities
from properties.model.case import Case


@dataclass(frozen=True, kw_only=True, slots=True)
class Execution:
    """One run of ``case``, and what it is held against."""

    case: Case
    history: History
    capabilities: Capabilities
    """What is promised of it."""
    limits: Limits
    """What the case may use."""
    kernels: Kernels
    trace: Trace
    """The calls on the driver with marks for ops between them; marks only where nobody traced."""
    is_lawful: bool = False
    """Whether the laws can be held against the trace: it has all that was asked and done."""
    close_error: Exception | None = None
    """What closing the target raised."""

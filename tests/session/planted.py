"""Runtimes with one mistake each, for a session to find; named on the command line by path."""

from collections.abc import Mapping

from gpusim.kernels import Kernel
from gpusim.runtime import Parts
from gpusim.runtime.batch import Batch
from gpusim.runtime.flush_rules import FlushReason, FlushRules
from properties.session.subject import RuntimeSubject


class _WritesOvertake(FlushRules):
    def before_write(self, batch: Batch) -> FlushReason | None:
        return None


def write_overtakes_batch(device: str, kernels: Mapping[str, Kernel]) -> RuntimeSubject:
    """A host write acts on the queue before what was recorded before it."""
    return RuntimeSubject(device, kernels, Parts(flush_rules=_WritesOvertake))

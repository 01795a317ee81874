"""Running the program of a finding once more."""

from dataclasses import dataclass, replace
from pathlib import Path

from gpusim.runtime.policy import PRESETS
from properties.case import Case
from properties.finding_file import read
from properties.session.loading import load_target
from properties.session.messages import Setup
from properties.session.settings import ReplaySettings
from properties.session.shrinking import judge_alone
from properties.session.supervisor import Supervisor
from properties.session.verdict import Failure


@dataclass(frozen=True, kw_only=True, slots=True)
class Replay:
    """A case that was run again, on which device, and its failure if it has one."""

    case: Case
    device: str
    description: str
    is_ours: bool
    """Whether our runtime ran it, which follows the policy of the case."""
    failure: Failure | None


def replay(path: Path, settings: ReplaySettings) -> Replay:
    """Run the finding at ``path``, on its own device and policy unless told otherwise.

    Raises:
        ProgramError: the file is malformed, or its kernels cannot be loaded.
        NoDevice: its device is not on this machine.
        OSError: it cannot be read.
    """
    finding = read(path)
    load_target(settings.target)
    case = finding.case
    if settings.device is not None:
        case = replace(case, device=settings.device)
    if settings.policy is not None:
        case = replace(case, policy=PRESETS[settings.policy])
    setup = Setup(
        device=case.device,
        presets=(),
        schedulers=(),
        faults=False,
        seed=0,
        kernels=finding.kernels,
        target=settings.target,
    )
    with Supervisor(setup) as supervisor:
        ready = supervisor.start()
        failure = judge_alone(case, supervisor, settings.stall)
    return Replay(
        case=case,
        device=ready.device,
        description=ready.description,
        is_ours=ready.is_ours,
        failure=failure,
    )

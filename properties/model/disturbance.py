"""A disturbance: what the layer between a target and its device does to one program.  Data only.

    seed=17 failed_maps=0,3

The layer settles maps and work-dones (WebGPU's ``onSubmittedWorkDone``) in an order that follows
from the seed, within what WebGPU leaves open.  Faults are planned by the number of the call, and
only of kinds that the target promises to survive.
"""

import json
from dataclasses import dataclass, fields, replace
from typing import Any

from gpusim.errors import ProgramError
from gpusim.simulated import NO_FAULTS, FaultPlan, parse_faults
from properties.model.capabilities import Capabilities

SURVIVED = {
    "failed_maps": "survives_failed_maps",
    "out_of_memory": "survives_out_of_memory",
    "lost_at_submit": "survives_loss",
}
"""The kinds of fault that the layer can inject, each with the promise that allows it."""
_SEED = "seed="


@dataclass(frozen=True, kw_only=True, slots=True)
class Disturbance:
    """The seed of the order in which maps and work-dones settle, and the calls that fail.

    Only the kinds of fault in ``SURVIVED`` can be planned.
    """

    seed: int = 0
    faults: FaultPlan = NO_FAULTS

    def __post_init__(self) -> None:
        for field in fields(FaultPlan):
            if field.name not in SURVIVED and getattr(self.faults, field.name) != _none(field.name):
                raise ProgramError(
                    f"cannot disturb by {field.name} because the layer can inject only "
                    f"{', '.join(SURVIVED)} (probably a simulated device is meant)"
                )

    @property
    def injected(self) -> frozenset[str]:
        """The kinds of fault that are planned."""
        return frozenset(name for name in SURVIVED if getattr(self.faults, name) != _none(name))

    def allowed(self, promises: Capabilities) -> "Disturbance":
        """This disturbance without the faults that a target with ``promises`` need not survive."""
        gone: dict[str, Any] = {
            name: _none(name) for name, word in SURVIVED.items() if not getattr(promises, word)
        }
        return replace(self, faults=replace(self.faults, **gone))

    def __str__(self) -> str:
        faults = [str(self.faults)] if len(self.faults) else []
        return " ".join([f"{_SEED}{self.seed}", *faults])


def parse_disturbance(text: str) -> Disturbance:
    """Read what ``str(Disturbance)`` wrote; ProgramError if a word is unknown."""
    first, _, rest = text.partition(" ")
    seed = first.removeprefix(_SEED)
    if not first.startswith(_SEED) or not seed.isdecimal() or len(seed) > 18:
        raise ProgramError(
            f"cannot read disturbance {text!r} because it does not begin with {_SEED!r} and a "
            "number (probably the seed was lost)"
        )
    return Disturbance(seed=int(seed), faults=parse_faults(rest))


def as_json(disturbance: Disturbance) -> str:
    """The text that the layer gets for a program: its seed, and the numbers of failing calls."""
    planned = {name: getattr(disturbance.faults, name) for name in SURVIVED}
    return json.dumps({"seed": disturbance.seed, **planned})


def _none(kind: str) -> Any:
    """The value of the field ``kind`` in a plan without faults of that kind."""
    return getattr(NO_FAULTS, kind)

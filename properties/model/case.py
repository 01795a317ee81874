"""A case: one execution to be judged, with everything that decides it, the device among it.

    vulkan:1
    gl max_binding_bytes=512
    simulated scheduler=random seed=17 failed_maps=0,3

are devices in their text form.  A simulated device does what WebGPU leaves open as its scheduler
says, and fails as planned, so both are part of what decides a case.  Small limits bring into
small programs what else only large ones meet: buffers larger than a binding, copies in pieces,
spread grids, rings that grow.

The transformations of a case are what must change nothing; a case transformed, and where each
of its ops shows in the result, is an Rewrite.  Data only: what a transformation does, how a device
is opened and how a case is run is not known here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Protocol

from gpusim.devices import SIMULATED, is_name, names
from gpusim.errors import ProgramError, meant
from gpusim.kernels import Kernel
from gpusim.limits import WORD_BYTES, Limits
from gpusim.program import Program
from gpusim.runtime.policy import PRESETS, Policy
from gpusim.simulated import NO_FAULTS, FaultPlan, parse_faults
from properties.model.capabilities import Capabilities

SCHEDULERS = ("late", "early", "random")
"""Those that take turns, the one that defers most first."""
REPLAYED = "replay"
"""The scheduler that plays the choices of ``schedule`` and then defers."""
LIMIT_NAMES = tuple(field.name for field in fields(Limits) if field.name != "memory_budget_bytes")
AskedLimits = tuple[tuple[str, int], ...]
"""Limits that a device is asked for in place of its own, by name."""

_ALIGNED: AskedLimits = (
    ("storage_offset_alignment_bytes", 32),
    ("uniform_offset_alignment_bytes", 32),
)
"""As fine as an adapter allows: a payload of the widest kernel is more than one slot of a ring."""
_SHOWN_AS = {
    # What takes several commands and ends half way loses all that it writes.
    "failed_maps": ("MapFailed", "DataLost"),
    "out_of_memory": ("OutOfMemory", "DataLost"),
    "failed_submits": ("SubmitFailed", "DataLost"),
    "lost_at_call": ("DeviceLost",),
    "lost_at_submit": ("DeviceLost",),
}
"""The error classes in which a fault that the device was planned to have may show."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceSpec:
    """A device by its name, and what is asked of it.

    ``seed`` is for the random scheduler, ``schedule`` for the one that replays;
    scheduler and faults are a simulated device's only.
    """

    name: str
    limits: AskedLimits = ()
    scheduler: str = SCHEDULERS[0]
    seed: int = 0
    schedule: tuple[int, ...] = ()
    faults: FaultPlan = NO_FAULTS

    @property
    def is_simulated(self) -> bool:
        """Whether it is a simulated one."""
        return self.name == SIMULATED

    @property
    def shown_faults(self) -> frozenset[str]:
        """The error classes that its planned faults may show as."""
        if not len(self.faults):
            return frozenset()
        planned = [name for name in _SHOWN_AS if getattr(self.faults, name) not in ((), None)]
        return frozenset(shown for name in planned for shown in _SHOWN_AS[name])

    def held(self, limits: Limits) -> Limits:
        """What it holds where it would hold ``limits`` unasked."""
        return replace(limits, **dict(self.limits)) if self.limits else limits

    def __str__(self) -> str:
        words = [self.name]
        words += [f"scheduler={self.scheduler}"] if self.scheduler != SCHEDULERS[0] else []
        words += [f"seed={self.seed}"] if self.seed else []
        words += [f"schedule={','.join(map(str, self.schedule))}"] if self.schedule else []
        words += [str(self.faults)] if len(self.faults) else []
        words += [f"{name}={value}" for name, value in self.limits]
        return " ".join(words)


def parse_device(text: str) -> DeviceSpec:
    """Read what ``str(DeviceSpec)`` wrote; ProgramError where a word is unknown."""
    name, *words = text.split() or [""]
    if not is_name(name):
        probably = meant(name, names(), "a misspelling")
        raise _unreadable(text, f"{name!r} is the name of no device", probably)
    limits: list[tuple[str, int]] = []
    behaviour: dict[str, str] = {}
    faults = []
    for word in words:
        key, _, value = word.partition("=")
        if key in behaviour or key in dict(limits):
            raise _unreadable(text, f"it gives {key} twice", "two devices were joined")
        if key in LIMIT_NAMES and _is_limit(key, value):
            limits.append((key, int(value)))
        elif name == SIMULATED and key in _SHOWN_AS:
            faults.append(word)
        elif name == SIMULATED and _is_behaviour(key, value):
            behaviour[key] = value
        else:
            known = (*LIMIT_NAMES, *_SHOWN_AS, *_BEHAVIOUR)
            probably = "its value is none that it can have"
            if key not in known:
                probably = meant(key, known, "a misspelling")
            elif name != SIMULATED and key not in LIMIT_NAMES:
                probably = f"device {SIMULATED} is meant"
            raise _unreadable(text, f"{word!r} says nothing of such a device", probably)
    return DeviceSpec(
        name=name,
        limits=tuple(limits),
        scheduler=behaviour.get("scheduler", SCHEDULERS[0]),
        seed=int(behaviour.get("seed", 0)),
        schedule=tuple(map(int, filter(None, behaviour.get("schedule", "").split(",")))),
        faults=parse_faults(" ".join(faults)),
    )


def small_limits(limits: Limits, *, simulated: bool) -> tuple[AskedLimits, ...]:
    """What cases ask of a device that holds ``limits``, one as often as another.

    The empty one takes the device as it is.  Only a simulated device can be asked
    for other alignments than it has.
    """
    fine = _ALIGNED if simulated else ()
    storage_bytes = dict(fine).get(
        "storage_offset_alignment_bytes", limits.storage_offset_alignment_bytes
    )
    narrow_bytes = limits.storage_offset_alignment_bytes + 256
    return (
        (),
        (("max_groups_per_dimension", 5),),
        *([_ALIGNED] * 3 if simulated else []),
        (("max_binding_bytes", narrow_bytes), ("max_groups_per_dimension", 7)),
        (("max_binding_bytes", 8 * storage_bytes), ("max_groups_per_dimension", 5), *fine),
    )


_BEHAVIOUR = ("scheduler", "seed", "schedule")


def _is_behaviour(key: str, value: str) -> bool:
    if key == "scheduler":
        return value in (*SCHEDULERS, REPLAYED)
    numbers: Sequence[str] = value.split(",") if key == "schedule" else [value]
    return key in ("seed", "schedule") and all(map(_is_whole, numbers))


def _is_limit(key: str, value: str) -> bool:
    """Whether a device can have such a limit: bytes are whole words, alignments powers of two."""
    if not _is_whole(value) or not int(value):
        return False
    number = int(value)
    if key.endswith("alignment_bytes"):
        return number.bit_count() == 1
    return not key.endswith("_bytes") or number % WORD_BYTES == 0


def _is_whole(text: str) -> bool:
    """Whether it is a number that a device could count to."""
    return text.isascii() and text.isdecimal() and len(text) < 19


def _unreadable(text: str, because: str, probably: str = "a misspelling") -> ProgramError:
    return ProgramError(f"cannot read device {text!r} because {because} (probably {probably})")


PLAIN = "plain"
"""The client that just calls."""
RUNTIME = "runtime"
"""The target that is our own runtime."""
NO_POLICY = replace(PRESETS["eager"], name="none")
"""What stands in the case of a target that follows no policy of ours."""
Places = tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A program, what runs it and how, and the seed that made it.

    ``target`` names it as the command line does.  ``promises`` are what it is held
    to; where left out, what it says of itself.  A target other than our runtime
    follows no ``policy``.  ``client`` names who drives it.
    """

    program: Program
    device: DeviceSpec
    policy: Policy = PRESETS["ring"]
    seed: str = ""
    client: str = PLAIN
    transformations: tuple["Transformation", ...] = ()
    target: str = RUNTIME
    promises: Capabilities | None = None

    @property
    def follows_no_policy(self) -> bool:
        """Whether its target is another than our runtime, with no policy of ours."""
        return self.policy == NO_POLICY

    def limits(self, limits: Limits) -> Limits:
        """What it may use of a device that holds ``limits`` unless it is asked for less."""
        return self.device.held(limits).within(self.policy.memory_budget_bytes)

    @property
    def plain(self) -> "Case":
        """The same without transformations."""
        return replace(self, transformations=()) if self.transformations else self


class Transformation(Protocol):
    """One way to change a case without changing what it shows.

    A frozen dataclass whose fields are whole numbers and words, so that it has a
    text form.  A field called ``at`` is a position in the program: of an op, or
    of the gap before one.
    """

    name: ClassVar[str]

    @property
    def description(self) -> str:
        """What it did, for a reader: ``flush before op 3``."""
        ...

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> "Rewrite | None":
        """The rewrite of ``case``; None where there is nothing here to transform."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Promise:
    """What an op that a transformation put in must show: ``data``, or a refusal where None."""

    position: int
    data: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Rewrite:
    """A transformed case, and what of it corresponds to the case as it was.

    ``places`` has an entry for each op of the original: the positions at which
    the transformed program does the same.  Several are its pieces, in order;
    none means that the op is gone and nothing is compared.
    """

    case: Case
    places: tuple[Places, ...]
    promises: tuple[Promise, ...] = ()
    same_adapter: bool = True
    """Whether floats must be equal to the bit."""
    steady: tuple[int, int] | None = None
    """Ops, from the first to before the second, that repeat what was done before them."""

    def then(self, later: "Rewrite") -> "Rewrite":
        """This transformation and then another one, as one."""
        return Rewrite(
            case=later.case,
            places=tuple(later.places_of(places) for places in self.places),
            promises=(*later.carried(self.promises), *later.promises),
            same_adapter=self.same_adapter and later.same_adapter,
            # What a later transformation puts into a repetition need not be there before it.
            steady=later.steady,
        )

    def places_of(self, places: Places) -> Places:
        """Where the pieces of an op are in this rewrite: nowhere if one is gone."""
        if not all(self.places[position] for position in places):
            return ()
        return tuple(place for position in places for place in self.places[position])

    def carried(self, promises: tuple[Promise, ...]) -> list[Promise]:
        """Promises about ops that this rewrite still shows in one piece."""
        return [
            replace(promise, position=self.places[promise.position][0])
            for promise in promises
            if len(self.places[promise.position]) == 1
        ]

"""A case: a program to be judged, with all that decides how it runs.  Data only.

    vulkan:1
    gl max_binding_bytes=512
    simulated scheduler=random seed=17 failed_maps=0,3

are devices in their text form.  The scheduler of a simulated device decides what WebGPU leaves
open, and its plan of faults decides what fails.  So both are part of a case.  Under small limits
a small program needs things that otherwise only a large one needs: buffers larger than a binding,
copies in pieces, spread grids, rings that grow.

The transformations of a case must not change what it shows.  A Rewrite is the transformed case,
with the places of the original ops in it.  Nothing here transforms or runs a case, or opens a
device.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Protocol

from gpusim.devices import SIMULATED, is_name, names
from gpusim.errors import ProgramError, meant
from gpusim.kernels import Kernel
from gpusim.limits import WORD_BYTES, Limits
from gpusim.program import Program
from gpusim.runtime.policy import PRESETS, Policy
from gpusim.simulated import NO_FAULTS, PROFILES, SPEC, FaultPlan, parse_faults
from properties.model.capabilities import Capabilities
from properties.model.disturbance import Disturbance

UNSEEDED = ("late", "early")
SCHEDULERS = (*UNSEEDED, "random")
"""The schedulers that cases get in turn; the one that defers most comes first."""
REPLAYED = "replay"
"""The scheduler that makes the choices of ``schedule``, and after the last of them defers."""
LIMIT_NAMES = tuple(field.name for field in fields(Limits) if field.name != "memory_budget_bytes")
AskedLimits = tuple[tuple[str, int], ...]
"""Limits, by name, with which a device is opened in the place of its own limits."""

ALIGNED: AskedLimits = (
    ("storage_offset_alignment_bytes", 32),
    ("uniform_offset_alignment_bytes", 32),
)
"""The finest alignments that any adapter has.  The scalars of the widest kernel need more bytes."""
_APART: tuple[AskedLimits, ...] = (
    (("storage_offset_alignment_bytes", 32), ("uniform_offset_alignment_bytes", 64)),
    (("storage_offset_alignment_bytes", 64), ("uniform_offset_alignment_bytes", 32)),
)
"""Pairs of alignments that differ: on some adapters the one is finer, on some the other."""
SMALL_BUFFER_BYTES = (1 << 18) + 256
"""A limit of buffers that programs reach.  It is no power of two, and little more than the largest
buffer that a preset asks for."""
FIELD_OF_CALL = {
    "create_buffer": "out_of_memory",
    "create_bind_group": "failed_bind_groups",
    "write_buffer": "failed_writes",
    "encode": "failed_encodes",
    "submit": "failed_submits",
    "map": "failed_maps",
}
"""For each kind of event: the field of a plan of faults that makes such a call fail once."""
_SHOWN_AS = {
    # An op that fails between two of its commands loses all bytes that it writes.
    "failed_maps": ("MapFailed", "DataLost"),
    "refused_maps": ("MapFailed", "DataLost"),
    "out_of_memory": ("OutOfMemory", "DataLost"),
    "internal_errors": ("DeviceFault", "DataLost"),
    "failed_submits": ("SubmitFailed", "DataLost"),
    "failed_writes": ("SubmitFailed", "DataLost"),
    "failed_bind_groups": ("OutOfMemory", "DataLost"),
    "failed_encodes": ("SubmitFailed", "DataLost"),
    "lost_at_submit": ("DeviceLost",),
    "lost_at_write": ("DeviceLost",),
    "lost_at_map": ("DeviceLost",),
    "lost_at_unmap": ("DeviceLost",),
    "lost_at_buffer": ("DeviceLost",),
    "lost_at_destroy": ("DeviceLost",),
    "lost_at_bind_group": ("DeviceLost",),
    "lost_at_pipeline": ("DeviceLost",),
    "lost_at_encode": ("DeviceLost",),
}
"""The error classes that each kind of planned fault may cause."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceSpec:
    """A device by its name, with its limits, profile, scheduler and faults.

    ``seed`` is for the random scheduler, ``schedule`` for the replaying one.  Only a
    simulated device has a profile and a scheduler, and checks shaders.
    """

    name: str
    limits: AskedLimits = ()
    profile: str = SPEC.name
    scheduler: str = SCHEDULERS[0]
    seed: int = 0
    schedule: tuple[int, ...] = ()
    faults: FaultPlan = NO_FAULTS
    checks_shaders: bool = False

    @property
    def is_simulated(self) -> bool:
        """Whether the device is simulated."""
        return self.name == SIMULATED

    @property
    def is_replayed(self) -> bool:
        """Whether the device replays the choices of a schedule."""
        return self.is_simulated and self.scheduler == REPLAYED

    @property
    def shown_faults(self) -> frozenset[str]:
        """The error classes that its planned faults may cause."""
        if not len(self.faults):
            return frozenset()
        planned = [name for name in _SHOWN_AS if getattr(self.faults, name) not in ((), None)]
        return frozenset(shown for name in planned for shown in _SHOWN_AS[name])

    @property
    def planned_faults(self) -> Counter[str]:
        """How many faults are planned, by the error class that each causes first.

        However many losses are planned, DeviceLost counts once, since a device is lost only once.
        """
        planned: Counter[str] = Counter()
        if len(self.faults):
            for name, (error, *_) in _SHOWN_AS.items():
                numbers = getattr(self.faults, name)
                planned[error] += len(numbers) if isinstance(numbers, tuple) else 0
                if isinstance(numbers, int):
                    planned[error] = 1
        return +planned

    def held(self, limits: Limits) -> Limits:
        """``limits``, overwritten by the limits that are asked of this device."""
        return replace(limits, **dict(self.limits)) if self.limits else limits

    def __str__(self) -> str:
        words = [self.name]
        words += [f"profile={self.profile}"] if self.profile != SPEC.name else []
        words += [f"scheduler={self.scheduler}"] if self.scheduler != SCHEDULERS[0] else []
        words += [f"seed={self.seed}"] if self.seed else []
        words += [f"schedule={','.join(map(str, self.schedule))}"] if self.schedule else []
        words += [f"checks={_SHADERS}"] if self.checks_shaders else []
        words += [str(self.faults)] if len(self.faults) else []
        words += [f"{name}={value}" for name, value in self.limits]
        return " ".join(words)


def parse_device(text: str) -> DeviceSpec:
    """Read what ``str(DeviceSpec)`` wrote; ProgramError if a word is unknown."""
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
        elif key in _SHOWN_AS:
            faults.append(word)
        elif name == SIMULATED and _is_behaviour(key, value):
            behaviour[key] = value
        else:
            known = (*LIMIT_NAMES, *_SHOWN_AS, *_BEHAVIOUR)
            probably = f"{key} cannot have this value"
            if key not in known:
                probably = meant(key, known, "a misspelling")
            elif name != SIMULATED and key in _BEHAVIOUR:
                probably = f"device {SIMULATED} is meant"
            raise _unreadable(text, f"such a device has no {word!r}", probably)
    return DeviceSpec(
        name=name,
        limits=tuple(limits),
        profile=behaviour.get("profile", SPEC.name),
        scheduler=behaviour.get("scheduler", SCHEDULERS[0]),
        seed=int(behaviour.get("seed", 0)),
        schedule=tuple(map(int, filter(None, behaviour.get("schedule", "").split(",")))),
        faults=parse_faults(" ".join(faults)),
        checks_shaders="checks" in behaviour,
    )


def small_limits(limits: Limits, *, simulated: bool) -> tuple[AskedLimits, ...]:
    """The sets of limits with which cases open a device whose own limits are ``limits``.

    A case takes one set; each set is taken equally often.  With the empty set the device stays as
    it is.  Only a simulated device can have other alignments than its own.
    """
    fine = ALIGNED if simulated else ()
    storage_bytes = dict(fine).get(
        "storage_offset_alignment_bytes", limits.storage_offset_alignment_bytes
    )
    narrow_bytes = limits.storage_offset_alignment_bytes + 256
    return (
        (),
        (("max_groups_per_dimension", 5), ("max_buffer_bytes", SMALL_BUFFER_BYTES)),
        *((ALIGNED, *_APART) if simulated else ()),
        (("max_binding_bytes", narrow_bytes), ("max_groups_per_dimension", 7)),
        (("max_binding_bytes", 8 * storage_bytes), ("max_groups_per_dimension", 5), *fine),
    )


_BEHAVIOUR = ("profile", "scheduler", "seed", "schedule", "checks")
_SHADERS = "shaders"


def _is_behaviour(key: str, value: str) -> bool:
    if key == "scheduler":
        return value in (*SCHEDULERS, REPLAYED)
    if key == "checks":
        return value == _SHADERS
    if key == "profile":
        return value in PROFILES
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
    """Whether ``text`` is a whole number, and short enough that a device could count to it."""
    return text.isascii() and text.isdecimal() and len(text) < 19


def _unreadable(text: str, because: str, probably: str = "a misspelling") -> ProgramError:
    return ProgramError(f"cannot read device {text!r} because {because} (probably {probably})")


PLAIN = "plain"
"""The client that only forwards ops."""
RUNTIME = "runtime"
"""The target that is our own runtime."""
NO_POLICY = replace(PRESETS["eager"], name="none")
"""The policy in a case whose target follows no policy of ours."""
Places = tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A program, what runs it and how, and the seed that made it.

    ``target``: its name on the command line.  ``promises``: the promises that the target must keep;
    with None, those that it states itself.  Only our runtime follows ``policy``.  ``client``: the
    name of the client that drives the target.  ``disturbance``: what the layer between the target
    and its device does; with None, there is no layer.
    """

    program: Program
    device: DeviceSpec
    policy: Policy = PRESETS["ring"]
    seed: str = ""
    client: str = PLAIN
    transformations: tuple["Transformation", ...] = ()
    target: str = RUNTIME
    promises: Capabilities | None = None
    disturbance: Disturbance | None = None

    @property
    def follows_no_policy(self) -> bool:
        """Whether its target is not our runtime, and so follows no policy of ours."""
        return self.policy == NO_POLICY

    def limits(self, limits: Limits) -> Limits:
        """The limits of the case, on a device that has ``limits`` by default."""
        return self.device.held(limits).within(self.policy.memory_budget_bytes)

    @property
    def injected(self) -> frozenset[str]:
        """The kinds of fault that the layer injects."""
        return frozenset() if self.disturbance is None else self.disturbance.injected

    @property
    def plain(self) -> "Case":
        """The case without transformations."""
        return replace(self, transformations=()) if self.transformations else self


class Transformation(Protocol):
    """A change of a case that must not change what it shows.

    A frozen dataclass with whole numbers and words as fields, so that it has a text
    form.  The field ``at`` is a position in the program: that of an op, or of the gap
    before it.
    """

    name: ClassVar[str]

    @property
    def description(self) -> str:
        """The change for a reader: ``flush before op 3``."""
        ...

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> "Rewrite | None":
        """The rewrite of ``case``; None if there is nothing here to transform."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Promise:
    """What an inserted op must show: ``data`` or, if ``data`` is None, a refusal."""

    position: int
    data: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Rewrite:
    """A transformed case, and the places of the original ops in it.

    ``places`` has an entry for each op of the original: the positions of the ops that
    replace it.  Several positions are those of its pieces, in order; an empty entry means that the
    op is gone and is not compared.
    """

    case: Case
    places: tuple[Places, ...]
    promises: tuple[Promise, ...] = ()
    same_adapter: bool = True
    """Whether both cases run on one adapter, so that their floats must be equal bit by bit."""
    steady: tuple[int, int] | None = None
    """The positions between which the program is repeated; None if it is not repeated."""

    def then(self, later: "Rewrite") -> "Rewrite":
        """This rewrite followed by ``later``, as one rewrite."""
        return Rewrite(
            case=later.case,
            places=tuple(later.places_of(places) for places in self.places),
            promises=(*later.carried(self.promises), *later.promises),
            same_adapter=self.same_adapter and later.same_adapter,
            # The later rewrite may change only one of the runs that this one repeats.  Then the
            # runs differ, so ``self.steady`` is dropped.
            steady=later.steady,
        )

    def places_of(self, places: Places) -> Places:
        """The places of an op's pieces in this rewrite; empty if one of them is gone."""
        if not all(self.places[position] for position in places):
            return ()
        return tuple(place for position in places for place in self.places[position])

    def carried(self, promises: tuple[Promise, ...]) -> list[Promise]:
        """The promises about ops that are still in one piece in this rewrite."""
        return [
            replace(promise, position=self.places[promise.position][0])
            for promise in promises
            if len(self.places[promise.position]) == 1
        ]

"""Draws a whole case: a policy, a device with asked limits, and a program that fits them.

``case_for`` gives program number i of a session; seed and i decide it.  A policy is a preset:
unchanged, with some numbers extreme, or with one thing scarce.  At a capacity of 1 or a limit of 0,
several batching decisions fall on the same op.  A pool runs dry inside one batch only if nothing
else submits the batch first; so scarce policies lift every other limit.  If the program has a
graph, its policy may be one that splits replays.  ``debug_dispatch_limit`` is not drawn here,
because it changes results.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from gpusim.devices import SIMULATED
from gpusim.kernels import BUILTIN, Kernels
from gpusim.limits import Limits
from gpusim.runtime.policy import PRESETS, Policy, Uniforms
from gpusim.simulated import NO_FAULTS, SPEC, WGPU_NATIVE, FaultPlan
from properties.generate.choices import Choices, SeededChoices, Weights
from properties.generate.fitting import fitted
from properties.generate.generator import generate
from properties.generate.shape import Shape
from properties.generate.suited import ROOM_FOR_WRITES, ROOMY, suited
from properties.model.capabilities import CONTRACT, Capabilities
from properties.model.case import RUNTIME, SCHEDULERS, AskedLimits, Case, DeviceSpec
from properties.model.disturbance import Disturbance

_MOST_SEED = 2**32 - 1
ALL_PROMISED = replace(CONTRACT, replays=True, indirect=True, parts=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseSettings:
    """What the cases of a session have in common.

    ``limits`` are the device's.  ``small`` are sets of limits, one of which each case asks for.
    The presets take turns, program by program.  On a simulated device the schedulers take turns
    too, each for one round of all presets.  Every fourth round of schedulers has the profile of
    wgpu-native.  With ``faults`` the device fails now and then.  With ``check_shaders`` a simulated
    device also checks shaders for races and the like.
    """

    device: str
    limits: Limits
    kernels: Kernels = field(default_factory=lambda: BUILTIN)
    small: tuple[AskedLimits, ...] = ()
    presets: tuple[str, ...] = tuple(PRESETS)
    schedulers: tuple[str, ...] = SCHEDULERS
    faults: bool = False
    check_shaders: bool = False
    target: str = RUNTIME
    promises: Capabilities = ALL_PROMISED


def case_for(seed: int, number: int, setting: CaseSettings) -> Case:
    """The case that follows from ``seed`` and ``number``."""
    text = f"{seed}/{number}"
    turn, preset = divmod(number, len(setting.presets))
    asked = SeededChoices(f"limits {text}").pick(setting.small) if setting.small else ()
    device = DeviceSpec(name=setting.device, limits=asked)
    if device.is_simulated:
        device = _behaving(text, turn, setting, asked)
    elif setting.faults:
        device = replace(device, faults=draw_faults(SeededChoices(f"device {text}")))
    return draw_case(
        SeededChoices(text),
        preset=PRESETS[setting.presets[preset]],
        device=device,
        seed=text,
        kernels=setting.kernels,
        limits=device.held(setting.limits),
        target=setting.target,
        promises=setting.promises,
    )


def draw_case(
    choices: Choices,
    *,
    preset: Policy,
    device: DeviceSpec,
    seed: str = "",
    kernels: Kernels = BUILTIN,
    limits: Limits | None = None,
    shape: Shape | None = None,
    target: str = RUNTIME,
    promises: Capabilities = ALL_PROMISED,
) -> Case:
    """One case around ``preset``; ``limits`` are the device's.

    Its program asks for nothing beyond ``promises``.
    """
    kernels = kernels.promised(promises.kernels)
    # A foreign target may take long for each op, so it gets no long programs.
    long = shape is None and target == RUNTIME and choices.chance(1, _LONG_PROGRAMS)
    policy = _draw_long_policy(choices, preset) if long else draw_policy(choices, preset)
    limits = (limits or Limits()).within(policy.memory_budget_bytes)
    program = generate(
        choices,
        kernels=kernels,
        limits=limits,
        shape=shape,
        long=long,
        invalid=promises.refuses,
        replays=promises.replays,
        indirect=promises.indirect,
        parts=promises.parts,
        special_floats=promises.special_floats,
        failing=not device.is_simulated and device.faults != NO_FAULTS,
    )
    if replace(promises, special_floats=False) != ALL_PROMISED:
        program = fitted(program, promises, kernels, limits)
    policy = suited(choices, program, policy, long=long)
    return Case(
        program=program, policy=policy, device=device, seed=seed, target=target, promises=promises
    )


def _behaving(text: str, turn: int, setting: CaseSettings, asked: AskedLimits) -> DeviceSpec:
    """A simulated device, drawn independently of the program."""
    round_, place = divmod(turn, len(setting.schedulers))
    scheduler = setting.schedulers[place]
    profile = WGPU_NATIVE.name if round_ % _ROUNDS == _ROUNDS - 1 else SPEC.name
    device = DeviceSpec(
        name=SIMULATED,
        profile=profile,
        scheduler=scheduler,
        limits=asked,
        checks_shaders=setting.check_shaders,
    )
    if scheduler != "random" and not setting.faults:
        return device
    choices = SeededChoices(f"device {text}")
    return replace(
        device,
        seed=choices.integer(0, _MOST_SEED) if scheduler == "random" else 0,
        faults=draw_faults(choices) if setting.faults else NO_FAULTS,
    )


_ROUNDS = 4
_FAILING = Weights(
    (("failed_maps", 8), 4),
    (("refused_maps", 8), 2),
    (("out_of_memory", 40), 4),
    (("failed_submits", 16), 4),
    (("failed_writes", 16), 2),
    (("failed_bind_groups", 16), 2),
    (("failed_encodes", 16), 2),
    (("internal_errors", 5), 2),
)
"""The kinds of faults after which a device goes on.  For each kind: the highest number of a call
that may be drawn to fail in this way, and the weight of the kind."""
_LOSING = Weights(
    (("lost_at_submit", 16), 3),
    (("lost_at_map", 8), 2),
    (("lost_at_unmap", 8), 2),
    (("lost_at_write", 16), 2),
    (("lost_at_buffer", 40), 1),
    (("lost_at_destroy", 20), 1),
    (("lost_at_bind_group", 16), 1),
    (("lost_at_pipeline", 5), 1),
    (("lost_at_encode", 16), 1),
)
_KINDS_OF_FAULTS = Weights((1, 3), (2, 3), (0, 2), (3, 1))
_BAD_STRETCHES = 5
"""One plan in this many lets calls of two verbs fail again and again."""
_RHYTHMS = ((0, 2, 4, 6, 8, 10, 12), (0, 1, 3, 4, 6, 7, 9), (0, 1, 2, 4, 5, 6, 8))
"""Which calls of a bad stretch fail.  Calls between them succeed, such as those of an op that is
tried again."""


def draw_faults(choices: Choices) -> FaultPlan:
    """Usually faults of one or two kinds, early enough that most programs meet them.

    Now and then there are so many faults that a later fault meets what an earlier fault left: a
    lost buffer, say, or a pool that could not grow.
    """
    planned: dict[str, Any] = {}
    if choices.chance(1, _BAD_STRETCHES):
        for _ in range(2):
            name, most = choices.weighted(_FAILING)
            first, rhythm = choices.integer(0, most // 2), choices.pick(_RHYTHMS)
            planned[name] = tuple([first + call for call in rhythm])
        return FaultPlan(**planned)
    for _ in range(choices.weighted(_KINDS_OF_FAULTS)):
        name, most = choices.weighted(_FAILING)
        planned[name] = _calls(choices, 1, most)
    if choices.chance(1, 4):
        name, most = choices.weighted(_LOSING)
        planned[name] = choices.integer(0, most)
    return FaultPlan(**planned)


def draw_disturbance(seed: str, promises: Capabilities) -> Disturbance:
    """Draws in what order maps settle and which calls fail in program ``seed`` of a session.

    It is drawn independently of the program, and has only faults that the target promises to
    survive.
    """
    choices = SeededChoices(f"disturbance {seed}")
    order = choices.integer(0, _MOST_SEED)
    faults = FaultPlan(
        failed_maps=_counts(choices, 4),
        out_of_memory=_counts(choices, 8),
        lost_at_submit=choices.integer(0, 8) if choices.chance(1, 8) else None,
    )
    return Disturbance(seed=order, faults=faults).allowed(promises)


def _counts(choices: Choices, most: int) -> tuple[int, ...]:
    drawn = _calls(choices, 0, most)
    return drawn if choices.chance(1, 2) else ()


def _calls(choices: Choices, least: int, most: int) -> tuple[int, ...]:
    """The sorted numbers of the calls that fail.

    They are ``least`` to 2 draws from 0 to ``most``, and duplicates are dropped.
    """
    drawn = [choices.integer(0, most) for _ in range(choices.integer(least, 2))]
    return tuple(sorted(dict.fromkeys(drawn)))


_CAPACITIES = (1, 2, 3, 5)
_LIMITS = (None, 0, 1, 2, 3, 7)
_BATCH_BYTES = (None, 0, 16, 256)
_BATCH_GROUPS = (None, 2, 5, 16, 0)
_QUEUED_WRITES = (ROOM_FOR_WRITES, 258, 64, ROOM_FOR_WRITES)
_STAGING = (4, 2, 1, 0)
_FIRST_BATCHES = (None, 1, 2, 3, 7)
_STAGED_WRITES = (4096, 0, 8, 64)
_UPLOADS = (1 << 16, 64, 8, 256)
_PAGES = (4096, 64, 16, 512)
_CLASSES = (1 << 20, 0, 64, 512)
_RING_BYTES = (1, 40, 256, 512)
_PLANS = (1, 0, 2, 5)
_GRAPHS = (1, 0, 2, 3)
_BUDGETS = (4096, 1024, 65_536, 256, 0)
_WAIT_SECONDS = 600
"""A wait with a timeout polls, and that is to be tried too.  No wait takes so long."""

_FIELDS: Mapping[str, Callable[[Choices], object]] = {
    "batch_commands": lambda choices: choices.pick(_LIMITS),
    "batch_bytes": lambda choices: choices.pick(_BATCH_BYTES),
    "batch_groups": lambda choices: choices.pick(_BATCH_GROUPS),
    "first_batch": lambda choices: choices.pick(_FIRST_BATCHES),
    "merge_passes": lambda choices: choices.chance(1, 2),
    "flush_on_conflict": lambda choices: choices.chance(1, 2),
    "staged_write_bytes": lambda choices: choices.pick(_STAGED_WRITES),
    "upload_bytes": lambda choices: choices.pick(_UPLOADS),
    "queued_write_bytes": lambda choices: choices.pick(_QUEUED_WRITES),
    "defer_frees": lambda choices: choices.chance(1, 2),
    "join_reads": lambda choices: choices.chance(1, 2),
    "uniforms": lambda choices: choices.pick(tuple(Uniforms)),
    "uniform_ring_bytes": lambda choices: choices.pick(_RING_BYTES),
    "plan_cache": lambda choices: choices.pick(_PLANS),
    "graph_cache": lambda choices: choices.pick(_GRAPHS),
    "uniform_slots": lambda choices: choices.pick(_CAPACITIES),
    "uniform_cache": lambda choices: choices.pick(_CAPACITIES),
    "cache_bind_groups": lambda choices: choices.chance(1, 2),
    "bind_group_cache": lambda choices: choices.pick(_CAPACITIES),
    "shape_cache": lambda choices: choices.pick(_CAPACITIES),
    "staging_buffers": lambda choices: choices.pick(_STAGING),
    "staging_page_bytes": lambda choices: choices.pick(_PAGES),
    "staging_class_bytes": lambda choices: choices.pick(_CLASSES),
    "memory_budget_bytes": lambda choices: choices.pick(_BUDGETS),
    "wait_seconds": lambda choices: _WAIT_SECONDS,
    "debug_submit_each": lambda choices: True,
}
_OFTEN: Mapping[str, Weights[bool]] = {
    "uniforms": Weights((False, 9), (True, 1)),
    "memory_budget_bytes": Weights((False, 5), (True, 1)),
    "uniform_ring_bytes": Weights((True, 3), (False, 1)),
    "debug_submit_each": Weights((False, 19), (True, 1)),
}
_EVENLY = Weights((False, 1), (True, 1))
_LONG_PROGRAMS = 100
"""One program in this many has hundreds of ops, under a policy that gathers them."""
_KINDS = Weights(("preset", 3), ("extremes", 3), ("scarce", 2))

_LASTING: Weights[Uniforms | None] = Weights((None, 1), (Uniforms.RING, 2), (Uniforms.CACHED, 2))
"""The uniforms of a long program.  None: those of the preset, which may never run full."""
_SCARCE: Weights[Mapping[str, Sequence[object]]] = Weights(
    ({"uniform_slots": (1, 2, 3), "uniform_ring_bytes": (1, 40)}, 8),
    ({"upload_bytes": (64, 16, 256)}, 3),
    ({"memory_budget_bytes": (1024, 256, 4096)}, 3),
    ({"cache_bind_groups": (True,), "bind_group_cache": (1, 2), "uniform_cache": (1, 2)}, 2),
)


def _draw_long_policy(choices: Choices, preset: Policy) -> Policy:
    """``preset`` without limits of a batch, mostly with ring or cached uniforms.

    A long batch can fill the storage of ring and cached uniforms.
    """
    roomy = replace(preset, **ROOMY)
    uniforms = choices.weighted(_LASTING)
    return roomy if uniforms is None else replace(roomy, uniforms=uniforms, cache_bind_groups=True)


def draw_policy(choices: Choices, preset: Policy) -> Policy:
    """``preset`` as it is, or with about half of its numbers extreme, or with one thing scarce."""
    kind = choices.weighted(_KINDS)
    if kind == "preset":
        return preset
    values: dict[str, Any] = {field.name: getattr(preset, field.name) for field in fields(preset)}
    if kind == "scarce":
        values.update(ROOMY)
        scarce = choices.weighted(_SCARCE)
        values.update({name: choices.pick(amounts) for name, amounts in scarce.items()})
        return Policy(**values)
    for name, draw in _FIELDS.items():
        if choices.weighted(_OFTEN.get(name, _EVENLY)):
            values[name] = draw(choices)
    return Policy(**values)

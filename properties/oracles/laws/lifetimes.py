"""Laws of lifetimes: every buffer of the device has an owner, until it is destroyed, once."""

from collections.abc import Mapping

from gpusim.ops import Alloc, Copy, Free, Op, Replay
from gpusim.program import buffers_of
from gpusim.runtime.policy import Uniforms
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.scene import STAGING, STORAGE, UNIFORM, About, Handler, Scene

_JUST_NOW = -1


class Lifetimes:
    """Holds the device's buffers against handles, pools and what waits for a submit."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._loose: dict[int, int] = {}
        """Storage buffers of no handle, with the submits by the end of the op that
        made them so: the next submit is the last that one of them may see."""
        self._fence = 0
        self._uniforms = 0
        """Uniform buffers alive."""
        self._uniforms_made = 0
        """Uniform buffers made since the last submit."""
        self._most_kept = {
            Uniforms.FRESH: 0,
            Uniforms.POOLED: scene.policy.uniform_slots,
            Uniforms.CACHED: scene.policy.uniform_cache,
        }.get(scene.policy.uniforms, 1)
        """The most uniform buffers that there may be beside those; with a pool, those included."""

    def handlers(self) -> Mapping[str, Handler]:
        """See ``Watcher``."""
        return {
            "create_buffer": self._create,
            "destroy_buffer": self._destroy,
            "copy": self._copy,
            "submit": self._submit,
            "outcome": self._outcome,
            "closed": self._closed,
        }

    def _create(self, about: About) -> None:
        scene, number = self._scene, about["buffer"]
        scene.checked["E1"] += 1
        if number in scene.buffers:
            scene.report(laws.E1, f"buffer {number} is made, which was there before")
        if about["role"] == UNIFORM:
            self._uniforms += 1
            self._uniforms_made += 1
        elif about["role"] == STORAGE and type(scene.op) is not Alloc:
            if self._fence == 0 and type(scene.op) not in (Copy, Replay):
                self._fence = number
            elif not self._may_be_fence():
                self._loose[number] = _JUST_NOW

    def _may_be_fence(self) -> bool:
        """Whether what a replay makes may be a fence as well as the scratch of a copy."""
        waits = self._scene.policy.debug_submit_each and type(self._scene.op) is Replay
        return self._fence == 0 and waits

    def _copy(self, about: About) -> None:
        """What no op allocated and is read back is the fence."""
        known = self._scene.live.get(about["source"])
        fetched = about["target_role"] == STAGING
        if self._fence == 0 and fetched and known is not None and known.user_bytes < 0:
            self._fence = known.number
            self._loose.pop(known.number, None)

    def _destroy(self, about: About) -> None:
        scene, number = self._scene, about["buffer"]
        scene.checked["F1"] += 1
        if number not in scene.live:
            scene.report(laws.F1, f"{scene.name_of(number)} is destroyed, which is not alive")
            return
        self._uniforms -= about["role"] == UNIFORM
        self._loose.pop(number, None)
        if number == self._fence:
            self._fence = 0
        if about["role"] == STORAGE:
            self._check_unused(number)

    def _check_unused(self, number: int) -> None:
        scene = self._scene
        scene.checked["F6"] += 1
        for item in scene.open:
            if not item.optional and any(touch[0] == number for touch in item.touches):
                name = scene.name_of(number)
                scene.report(
                    laws.F6, f"{name} was destroyed before {item}, which uses it, was submitted"
                )

    def _submit(self, about: About) -> None:
        self._uniforms_made = 0

    def _outcome(self, about: About) -> None:
        scene = self._scene
        if scene.is_lost:
            return
        op = scene.op
        if about["error"] is None and op is not None and type(op) is not Alloc:
            self._check_names(op)
            if type(op) is Free and op.buffer in scene.names:
                number = scene.names[op.buffer].number
                if number in scene.live:
                    self._loose[number] = _JUST_NOW
        scene.checked["B5"] += 1
        if self._uniforms > self._uniforms_made:
            self._check_uniforms()
        scene.checked["F1"] += 1
        if self._loose:
            self._check_loose()

    def _check_loose(self) -> None:
        scene = self._scene
        for number, since in self._loose.items():
            if since == _JUST_NOW:
                self._loose[number] = scene.submits
            elif since != scene.submits:
                scene.report(
                    laws.F1, f"storage buffer {number} is alive, and no handle or batch needs it"
                )

    def _check_names(self, op: Op) -> None:
        scene = self._scene
        scene.checked["E2"] += 1
        used = buffers_of(op)
        if type(op) is Replay:
            swaps = dict(op.bindings)
            used = tuple([swaps.get(name, name) for name in buffers_of(scene.graphs[op.graph])])
        for name in used:
            if name not in scene.names:
                scene.report(laws.E2, f"{name} was accepted, which is not alive")

    def _check_uniforms(self) -> None:
        most = self._most_kept
        if self._scene.policy.uniforms is not Uniforms.POOLED:
            most += self._uniforms_made
        if self._uniforms > most:
            self._scene.report(
                laws.B5, f"{self._uniforms} uniform buffers are alive, where {most} is the most"
            )

    def _closed(self, about: About) -> None:
        scene = self._scene
        scene.checked["F2"] += 1
        if scene.live:
            left = " ".join(scene.name_of(number) for number in scene.live)
            scene.report(laws.F2, f"alive after close: {left}")

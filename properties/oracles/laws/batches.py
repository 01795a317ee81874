"""Laws of batches: how large they are, why they are submitted, and that none is empty."""

import math
from collections.abc import Mapping

from gpusim.ops import HOST_WRITES, Dispatch, Flush, Free, Replay, Sync
from gpusim.runtime.policy import Uniforms
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.scene import STAGING, About, Handler, Scene, accepted

_OPS_OF = {
    "asked": (Flush,),
    "write": HOST_WRITES,
    "free": (Free,),
    "sync": (Sync, Dispatch, Replay),
}
"""The ops that may submit for a reason; the other reasons say themselves when they hold."""


class Batches:
    """Holds each batch against the policy."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._reason = ""
        self._commands = -1
        """How many commands the encoder that is not submitted says it has; -1 without one."""
        self._early = math.inf
        """Commands after which a batch goes early; a failure, or the debug mode, hides it."""
        self._synced({})

    def handlers(self) -> Mapping[str, Handler]:
        """See ``Watcher``."""
        return {
            "encode": self._encode,
            "submit": self._submit,
            "failed": self._failed,
            "closed": self._closed,
            accepted(Sync): self._synced,
        }

    def _encode(self, about: About) -> None:
        scene = self._scene
        scene.checked["C5"] += 1
        if self._commands >= 0:
            scene.report(laws.C5, "an encoder was begun while the one before was not submitted")
        self._reason, self._commands = about["reason"], about["commands"]

    def _submit(self, about: About) -> None:
        scene, count = self._scene, len(self._scene.batch)
        if self._commands < 0:
            scene.report(laws.C5, "what was submitted had been submitted before")
        elif self._commands != count:
            scene.report(laws.C5, f"{self._commands} commands were begun and {count} submitted")
        self._commands = -1
        scene.checked["C2"] += 1
        if not count and not scene.owes_submit:
            scene.report(laws.C2, f"a batch of nothing was submitted ({self._reason})")
        self._check_limits(count)
        self._check_reason(count)
        if self._reason == "early":
            self._early *= 2

    def _synced(self, about: About) -> None:
        first = self._scene.policy.first_batch
        hidden = self._scene.failures or self._scene.policy.debug_submit_each
        self._early = math.inf if hidden or first is None else first

    def _failed(self, about: About) -> None:
        self._early = math.inf
        if about["verb"] in ("encode", "submit"):
            self._commands = -1

    def _closed(self, about: About) -> None:
        if self._commands >= 0:
            self._scene.report(laws.C5, "an encoder was never submitted")

    def _check_limits(self, count: int) -> None:
        scene, policy = self._scene, self._scene.policy
        limit = policy.batch_commands
        before = self._before_last_op(count)
        if limit is not None:
            scene.checked["C4"] += 1
            if before >= max(limit, 1):
                scene.report(laws.C4, f"a batch of {count} commands, where {limit} is the limit")
        if before >= self._early:
            scene.report(
                laws.C4, f"a batch of {count} commands, of which {self._early} were to go early"
            )
        if policy.batch_bytes is not None and before > 0:
            scene.checked["C4"] += 1
            size_bytes = sum([self._bytes_of(*command) for command in scene.batch[:before]])
            if size_bytes >= policy.batch_bytes:
                scene.report(
                    laws.C4,
                    f"a batch reached {policy.batch_bytes} bytes before its last command",
                )

    def _before_last_op(self, count: int) -> int:
        """How many commands the batch held before the last that no submit may part.

        A write that is staged and the patch of its edges go together.
        """
        if count < 2 or self._scene.batch[-2][0] != "copy":
            return count - 1
        source = self._scene.buffers.get(self._scene.batch[-2][1]["source"])
        return count - (2 if source is not None and source.content is not None else 1)

    def _check_reason(self, count: int) -> None:
        scene, reason = self._scene, self._reason
        scene.checked["C7"] += 1
        kinds = _OPS_OF.get(reason)
        if kinds is not None:
            if not isinstance(scene.op, kinds):
                scene.report(laws.C7, f"a batch was submitted for a {reason} without one")
        elif not self._holds(reason, count):
            scene.report(
                laws.C7, f"a batch of {count} commands was submitted for its {reason}, too early"
            )

    def _holds(self, reason: str, count: int) -> bool:
        policy, batch = self._scene.policy, self._scene.batch
        match reason:
            case "commands":
                return self._is_full(count)
            case "early":
                if self._early < math.inf:
                    return count >= self._early
                return policy.first_batch is not None and count >= policy.first_batch
            case "read":
                return any(about.get("target_role") == STAGING for _, about in batch)
            case "bytes":
                size_bytes = sum([self._bytes_of(*command) for command in batch])
                return policy.batch_bytes is not None and size_bytes >= policy.batch_bytes
            case "uniforms":
                used = sum(self._uniform_bytes(*command) > 0 for command in batch)
                return policy.uniforms is not Uniforms.POOLED or used == policy.uniform_slots
            case "debug":
                return policy.debug_submit_each
            case _:
                return reason == "close" and self._scene.is_closing

    def _is_full(self, count: int) -> bool:
        limit = self._scene.policy.batch_commands
        return limit is not None and count >= max(limit, 1)

    def _bytes_of(self, kind: str, about: About) -> int:
        return about["size_bytes"] if kind == "copy" else self._uniform_bytes(kind, about)

    def _uniform_bytes(self, kind: str, about: About) -> int:
        kernel = self._scene.setting.kernel(about["kernel"]) if kind == "dispatch" else None
        return 0 if kernel is None else kernel.uniform_bytes

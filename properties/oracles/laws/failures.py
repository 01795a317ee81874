"""Laws of errors: an op that raises did nothing, and a failure of the device is raised."""

from collections.abc import Mapping

from gpusim import errors
from gpusim.ops import Capture, Dispatch, Free, Replay, Sync
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.scene import About, Handler, Scene

_REFUSALS = tuple(kind.__name__ for kind in errors.Refused.__subclasses__())
_MARKS = ("op", "outcome", "delivered", "failed")
_LATER = ("map", "wait", "take", "lost")
"""What is raised by a later op: the failure of a read's verb, and a loss that a free noticed."""


class Failures:
    """Holds each outcome against what happened on the device during the op."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def handlers(self) -> Mapping[str, Handler]:
        """See ``Watcher``."""
        return {"outcome": self._outcome}

    def _outcome(self, about: About) -> None:
        error = about["error"]
        if error is None:
            if self._scene.failures:
                self._check_accepted()
        elif not self._scene.is_lost and type(self._scene.op) is not Sync:
            self._check_raised(error)

    def _check_accepted(self) -> None:
        scene = self._scene
        scene.checked["G5"] += 1
        # A dispatch that waits for itself has happened by then: what fails is raised later.
        waits = scene.policy.debug_submit_each and type(scene.op) in (Dispatch, Replay)
        if scene.failed_verb and scene.failed_verb not in _LATER and not waits:
            scene.report(laws.G5, f"{scene.failed_verb} failed and no error was raised")
        elif scene.was_lost and type(scene.op) is not Free:
            scene.report(laws.G5, "the op was accepted on a device that is lost")

    def _check_raised(self, error: str) -> None:
        scene = self._scene
        if scene.failed_verb:
            return
        told = [event.kind for event in scene.told if event.kind not in _MARKS]
        scene.checked["G1"] += 1
        on_device = [kind for kind in told if "." not in kind]
        if on_device:
            scene.report(laws.G1, f"it raised {error} and did {' '.join(on_device)}")
        if error in _REFUSALS:
            scene.checked["G2"] += 1
            inside = [kind for kind in told if "." in kind]
            if type(scene.op) in (Capture, Replay):
                # The commands before the refused one were checked, which leaves their shapes.
                inside = [kind for kind in inside if not kind.startswith("shapes.")]
            if inside:
                scene.report(laws.G2, f"it was refused with {error} and left {' '.join(inside)}")

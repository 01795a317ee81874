"""Rules about invalid submits, aliasing bindings, and batches that are lost because of one error.

wgpu-native aborts the process at a wrong submit.  So the sanitizer refuses the call instead, with
the error that the specification has for it.
"""

from collections.abc import Iterator
from itertools import combinations

from gpusim.layer.report import Place
from gpusim.layer.rules.rule import Breach, Check, lost
from gpusim.layer.scene import Buffer, Command, Encoder, Scene
from gpusim.trace import Event


class WrongSubmit(Check):
    """A submit of a command buffer that may not be submitted.

    It was submitted before, another device made it, or it uses a destroyed or mapped buffer.
    """

    def submit(self, event: Event) -> Iterator[Breach]:
        """Look at the command buffers in turn; one finding is enough to refuse them all."""
        numbers, known = event["command_buffers"], self.scene.command_buffers
        for place, number in enumerate(numbers):
            recorded = known.get(number)
            if recorded is None:
                continue
            wrong = self._wrong(event, number, recorded, number in numbers[:place])
            if wrong is not None:
                what, places = wrong
                here = Place(doing="it is submitted", site=event["site"])
                yield Breach(what=what, places=(*places, here), lost=self._lost(event))
                return

    def _lost(self, event: Event) -> tuple[Place, ...]:
        numbers = dict.fromkeys(event["command_buffers"])
        known = self.scene.command_buffers
        return lost(
            command for number in numbers if number in known for command in known[number].commands
        )

    def _wrong(
        self, event: Event, number: int, recorded: Encoder, is_again: bool
    ) -> tuple[str, list[Place]] | None:
        if is_again or recorded.submitted_site or recorded.device != event["device"]:
            return _unusable(event, f"command buffer {number}", recorded)
        for buffer_number, command in recorded.used.items():
            buffer = self.scene.buffers.get(buffer_number)
            if buffer is not None and (buffer.destroyed_site or buffer.map_state != "unmapped"):
                return _unavailable(buffer, command)
        return None


def _unusable(event: Event, name: str, recorded: Encoder) -> tuple[str, list[Place]]:
    made = Place(doing=f"{name} is finished", site=recorded.finished_site)
    if recorded.device != event["device"]:
        return f"{name} is submitted to a device that did not make it", [made]
    if recorded.submitted_site:
        first = Place(doing="it is submitted first", site=recorded.submitted_site)
        return f"{name} is submitted a second time", [made, first]
    return f"{name} is twice in one submit", [made]


def _unavailable(buffer: Buffer, command: Command) -> tuple[str, list[Place]]:
    recorded = Place(doing=f"the {command} that uses it is recorded", site=command.site)
    if buffer.destroyed_site:
        what = f"a submitted {command} uses {buffer}, which is destroyed"
        return what, [recorded, Place(doing="it is destroyed", site=buffer.destroyed_site)]
    state = "mapped" if buffer.map_state == "mapped" else "not mapped yet, but its map is pending"
    what = f"a submitted {command} uses {buffer}, which is {state}"
    return what, [recorded, Place(doing="it is mapped", site=buffer.map_site)]


class DestroyedDevice(Check):
    """A submit to a device that the program has destroyed."""

    def submit(self, event: Event) -> Iterator[Breach]:
        """Look at the device."""
        site = self.scene.destroyed_devices.get(event["device"])
        if site is not None and event["command_buffers"]:
            places = (
                Place(doing="the device is destroyed", site=site),
                Place(doing="commands are submitted to it", site=event["site"]),
            )
            yield Breach(what="commands are submitted to a destroyed device", places=places)


class EmptySubmit(Check):
    """A submit that does nothing: it has no command, and no queue write waits for a submit.

    wgpu-py itself submits an empty command buffer for each map.  So an empty submit after a map is
    not reported.
    """

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._is_owed = True
        """Whether bytes may wait for a submit; true at first, since earlier writes are unknown."""
        self._last_site = ""

    def write_buffer(self, event: Event) -> Iterator[Breach]:
        """Allow the next submit to be empty.

        After a write or an unmap, bytes wait for that submit.  After a map, wgpu-py itself makes an
        empty submit.
        """
        self._is_owed = True
        return iter(())

    unmap = map = write_buffer

    def submit(self, event: Event) -> Iterator[Breach]:
        """Report the submit if all its command buffers are known to be empty.

        A command buffer whose making was not watched may have commands, and so counts as not empty.
        """
        known = self.scene.command_buffers
        made = [known.get(number) for number in event["command_buffers"]]
        has_work = any(each is None or each.commands or not each.created_site for each in made)
        if not has_work and not self._is_owed:
            places = (
                Place(doing="the last submit before this one is made", site=self._last_site),
                Place(doing="nothing is submitted", site=event["site"]),
            )
            yield Breach(what="a submit has no command, and no write waits for it", places=places)
        self._is_owed, self._last_site = False, event["site"]


class AliasedBindings(Check):
    """Bindings of one dispatch that overlap, while at least one of them is writable."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._last: object = None
        self._sound: set[object] = set()
        """Bindings that were found sound, kept because most dispatches bind the same again."""

    def dispatch(self, event: Event) -> Iterator[Breach]:
        """Look at each pair of bindings."""
        bound = event["bound"]
        if bound is self._last or bound in self._sound:
            return
        self._last = bound
        for (buffer, one, size, access), (other, two, other_size, other_access) in combinations(
            bound, 2
        ):
            if (
                buffer == other
                and one < two + other_size
                and two < one + size
                and "read_write" in (access, other_access)
                and "unknown" not in (access, other_access)
            ):
                yield self._breach(event, buffer, max(one, two))
                return
        if len(self._sound) >= _MOST_REMEMBERED:
            self._sound.clear()
        self._sound.add(bound)

    def _breach(self, event: Event, number: int, byte: int) -> Breach:
        buffer = self.scene.buffers.get(number)
        made = buffer.created_site if buffer is not None else ""
        return Breach(
            what=(
                f"a dispatch binds byte {byte} of {buffer or f'buffer {number}'} twice, and one of "
                "the two is writable"
            ),
            places=(
                Place(doing="the buffer is made", site=made),
                Place(doing="the dispatch is recorded", site=event["site"]),
            ),
        )


class LostBatch(Check):
    """A batch that is lost because of one error: its finish raises."""

    def error(self, event: Event) -> Iterator[Breach]:
        """Report a finish that raised, with the commands that are lost."""
        call = self.scene.call(event["call"])
        if call is None or call.kind != "finish":
            return
        recorded = self.scene.command_buffers.get(call["command_buffer"])
        if recorded is None or not recorded.commands:
            return
        count = len(recorded.commands)
        wrong = next(filter(None, map(self._why, recorded.commands)), None)
        begins = Place(doing="its encoder is made", site=recorded.created_site)
        ends = Place(doing="it is finished", site=call["site"])
        places = (begins, ends) if wrong is None else (begins, wrong, ends)
        noun = "command" if count == 1 else "commands"
        yield Breach(
            what=f"an error loses a whole batch of {count} {noun}: {_last_line(event['message'])}",
            places=places,
            lost=lost(recorded.commands),
        )

    def _why(self, command: Command) -> Place | None:
        """The command at fault, if that can be found out."""
        event = command.event
        if event.kind == "copy" and event["source"] == event["target"]:
            return Place(doing="a copy has one buffer as source and target", site=command.site)
        for number, _, end in (*command.reads(), *command.overwrites()):
            buffer = self.scene.buffers.get(number)
            if buffer is not None and end > buffer.size_bytes:
                doing = f"a {command} passes the end of {buffer} at {buffer.size_bytes}"
                return Place(doing=doing, site=command.site)
        return self._missing_usage(command)

    def _missing_usage(self, command: Command) -> Place | None:
        event = command.event
        wanted = {"copy": (("source", "COPY_SRC"), ("target", "COPY_DST")),
                  "clear": (("buffer", "COPY_DST"),)}  # fmt: skip
        for name, usage in wanted.get(event.kind, ()):
            buffer = self.scene.buffers.get(event[name])
            if buffer is not None and buffer.usage and usage not in buffer.usage:
                doing = f"a {command} needs {usage}, which {buffer} lacks"
                return Place(doing=doing, site=command.site)
        return None


def _last_line(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return lines[-1] if lines else "it has no message"


_MOST_REMEMBERED = 4096

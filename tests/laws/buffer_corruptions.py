"""Corruptions that break the laws D to G: readbacks, buffers and caches, lifetimes, and errors.

Each edits a sound trace so that it has one mistake.
"""

from collections.abc import Callable
from itertools import pairwise

from gpusim.ops import Free, Write
from gpusim.trace import Event
from tests.laws.queue_corruptions import Corrupted, encodes
from tests.laws.traces import Cut


def delivers_twice(cut: Cut) -> Corrupted:
    for at in cut.all("delivered"):
        yield cut.inserted(at, cut.events[at])


def delivers_out_of_order(cut: Cut) -> Corrupted:
    yield from (cut.swapped(one, other) for one, other in pairwise(cut.all("delivered")))


def delivers_too_late(cut: Cut) -> Corrupted:
    for at in cut.all("delivered"):
        end = min(place for place in cut.all("outcome") if place > at)
        yield cut.moved(at, end + 1)


def skips_map(cut: Cut) -> Corrupted:
    yield from (cut.without(at) for kind in ("map", "wait") for at in cut.all(kind))


def maps_more(cut: Cut) -> Corrupted:
    for at in cut.all("map"):
        yield cut.changed(at, size_bytes=cut.events[at]["size_bytes"] + 4)


def keeps_staging(cut: Cut) -> Corrupted:
    made = [
        Event("create_buffer", {"buffer": 9000 + n, "role": "staging", "size_bytes": 256})
        for n in range(cut.policy.staging_buffers + 1)
    ]
    yield cut.inserted(1, *made)


def uses_failed_map(cut: Cut) -> Corrupted:
    for kind in ("map", "wait"):
        for at in cut.all(kind):
            failed = Event("failed", {"verb": kind, "error": "MapFailed"})
            yield cut.inserted(at + 1, failed)


def makes_old_buffer(cut: Cut) -> Corrupted:
    for at in cut.all("create_buffer")[1:]:
        yield cut.changed(at, buffer=1)


def accepts_freed(cut: Cut) -> Corrupted:
    for at in cut.all("outcome", error="InvalidHandle"):
        yield cut.changed(at, error=None)


def keeps_bind_group(cut: Cut) -> Corrupted:
    yield from (cut.without(at) for at in cut.all("bind_groups.invalidated"))


def binds_other_group(cut: Cut) -> Corrupted:
    groups = {event["group"]: event["kernel"] for event in cut.events if "group" in event.about}
    for at in cut.all("dispatch"):
        others = [group for group, kernel in groups.items() if kernel != cut.events[at]["kernel"]]
        yield cut.changed(at, group=others[0])


def destroys_uniform(cut: Cut) -> Corrupted:
    for encoder, commands in encodes(cut):
        for at in commands:
            event = cut.events[at]
            if event.about.get("kernel") == "affine":
                number = event["ranges"][-1][0]
                yield cut.inserted(
                    encoder, Event("destroy_buffer", {"buffer": number, "role": "uniform"})
                )


def exceeds_cache(cut: Cut) -> Corrupted:
    for part, capacity in (
        ("shapes", cut.policy.shape_cache),
        ("bind_groups", cut.policy.bind_group_cache),
    ):
        if part == "shapes" or cut.policy.cache_bind_groups:
            yield cut.inserted(1, *[Event(f"{part}.created", {})] * (capacity + 1))


def leaks_storage(cut: Cut) -> Corrupted:
    for at in cut.all("op"):
        if type(cut.events[at]["op"]) is Write:
            made = [
                Event("create_buffer", {"buffer": 9000 + n, "role": "storage", "size_bytes": 4})
                for n in range(2)
            ]
            yield cut.inserted(at + 1, *made)


def destroys_twice(cut: Cut) -> Corrupted:
    for at in cut.all("destroy_buffer"):
        yield cut.inserted(at, cut.events[at])


def leaves_buffer(cut: Cut) -> Corrupted:
    end = cut.all("close")[0]
    yield from (cut.without(at) for at in cut.all("destroy_buffer") if at > end)


def destroys_before_copy(cut: Cut) -> Corrupted:
    for encoder, commands in encodes(cut):
        for at in commands:
            event = cut.events[at]
            if event.kind == "copy" and event["target_role"] == "storage":
                about = {"buffer": event["target"], "role": "storage"}
                yield cut.inserted(encoder, Event("destroy_buffer", about))


def frees_too_early(cut: Cut) -> Corrupted:
    for at in cut.all("op"):
        if type(cut.events[at]["op"]) is not Free or cut.events[at + 1].kind != "encode":
            continue
        end = cut.all("outcome", position=cut.events[at]["position"])[0]
        for place in cut.all("destroy_buffer", role="storage"):
            if at < place < end:
                yield cut.moved(place, at + 1)
    for encoder, commands in encodes(cut):
        for place in commands:
            if cut.events[place].about.get("kernel") == "affine":
                number = cut.events[place]["ranges"][0][0]
                about = {"buffer": number, "role": "storage"}
                yield cut.inserted(encoder, Event("destroy_buffer", about))


def raises_half_way(cut: Cut) -> Corrupted:
    for at in cut.all("write_buffer", role="storage"):
        end = min(place for place in cut.all("outcome") if place > at)
        yield cut.changed(end, error="OutOfRange")


def refuses_half_way(cut: Cut) -> Corrupted:
    for at in cut.all("outcome"):
        if cut.events[at]["error"] is not None:
            for kind in ("shapes.created", "bind_groups.reused", "uniforms.exhausted"):
                yield cut.inserted(at, Event(kind, {}))


def calls_wrongly(cut: Cut) -> Corrupted:
    for at in cut.all("write_buffer"):
        yield cut.changed(at, offset=cut.events[at]["offset"] + 2)
    for at in cut.all("create_buffer"):
        yield cut.changed(at, size_bytes=0)
    for at in cut.all("copy"):
        yield cut.changed(at, size_bytes=cut.events[at]["size_bytes"] + 1)


def hides_failure(cut: Cut) -> Corrupted:
    for verb in ("create_buffer", "write_buffer", "create_bind_group", "submit"):
        for at in cut.all(verb):
            end = min(place for place in [*cut.all("outcome"), *cut.all("closed")] if place > at)
            if cut.events[end].kind == "outcome" and cut.events[end]["error"] is None:
                failed = Event("failed", {"verb": verb, "error": "OutOfMemory"})
                yield cut.inserted(at + 1, failed)


CORRUPTIONS: dict[str, tuple[Callable[[Cut], Corrupted], ...]] = {
    "D1": (delivers_twice,),
    "D2": (delivers_out_of_order,),
    "D3": (delivers_too_late,),
    "D4": (skips_map,),
    "D5": (maps_more,),
    "D6": (keeps_staging,),
    "D7": (uses_failed_map,),
    "E1": (makes_old_buffer,),
    "E2": (accepts_freed,),
    "E3": (keeps_bind_group,),
    "E5": (binds_other_group,),
    "E6": (destroys_uniform,),
    "E7": (exceeds_cache,),
    "F1": (leaks_storage, destroys_twice),
    "F2": (leaves_buffer,),
    "F4": (destroys_before_copy,),
    "F6": (frees_too_early,),
    "G1": (raises_half_way,),
    "G2": (refuses_half_way,),
    "G4": (calls_wrongly,),
    "G5": (hides_failure,),
}
"""By the name of the law that each breaks."""

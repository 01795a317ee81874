"""The page of an argument: whole by itself, small, linked, and as wide as its window."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from gpusim.ops import Alloc, Op, Write
from gpusim.program import Program
from gpusim.runtime.commands import Role
from gpusim.trace import Event
from properties.explain.argument import Reached
from properties.explain.page import page
from properties.explain.perfetto import perfetto
from properties.explain.picture import expected, shown
from properties.mutants.mistakes import MUTANTS, find
from tests.explain.mistakes import MISTAKES
from tests.explain.test_arguments import argument_for, foreign_argument
from tests.windows import needs_chromium, widths_of
from tools import gallery

MOST_BYTES = 1 << 20
QUICKLY_MADE = ("batches", "caches", "costs", "data", "devices")


def pages() -> dict[str, str]:
    found = {mistake.mutant: page(argument_for(mistake), "gpusim replay F") for mistake in SHOWN}
    found["foreign"] = page(foreign_argument("overtakes"), "gpusim replay F")
    return found


SHOWN = [
    mistake
    for mistake in MISTAKES
    if mistake.mutant in ("write_overtakes_batch", "large_staging_shared", "numbers_wrap_around")
]


@pytest.fixture(scope="module", name="made")
def make_pages() -> dict[str, str]:
    return pages()


def test_a_page_needs_nothing_else_and_is_small(made: dict[str, str]) -> None:
    for text in made.values():
        assert len(text.encode()) < MOST_BYTES
        assert not re.search(r"https?:|<script|<link|src=|@import|url\(", text)


def test_every_link_leads_to_a_line_of_the_page(made: dict[str, str]) -> None:
    for text in made.values():
        names = set(re.findall(r'id="([^"]+)"', text))
        links = {link for link in re.findall(r'href="#([^"]+)"', text)}
        assert links
        # The sync after the last op has no line.
        assert len(links - names) <= 1


def test_a_page_is_for_the_dark_for_paper_and_for_who_cannot_see(made: dict[str, str]) -> None:
    for text in made.values():
        assert "prefers-color-scheme:dark" in text
        assert "@media print" in text
        assert text.count('role="img"') == text.count("<svg")


def test_the_crossing_pair_is_marked(made: dict[str, str]) -> None:
    text = made["write_overtakes_batch"]
    assert len(re.findall(r'href="#op-[12]" class="op marked"', text)) == 4
    assert "recorded" in text
    assert "took effect" in made["foreign"]


def test_the_source_has_the_ops_in_the_order_of_the_program(made: dict[str, str]) -> None:
    for name, text in made.items():
        for picture in re.findall(r"<svg.*?</svg>", text.partition("The argument")[0]):
            positions = [int(each) for each in re.findall(r'<a href="#op-(\d+)"', picture)]
            assert len(positions) > 2, name
            assert positions == sorted(positions), name


def test_each_mark_has_a_title(made: dict[str, str]) -> None:
    for text in made.values():
        marks = re.findall(r"<(?:circle|polygon|rect)[^>]*>.{7}", text)
        assert marks
        assert all(mark.endswith("<title>") for mark in marks)
    dots = re.findall(r"<circle[^>]*><title>([^<]*)", made["write_overtakes_batch"])
    assert (
        "op 2 (write a 0 01010101): submitted by call 5, op 2: write_buffer "
        "bytes 0 to 3 of storage 1 (made for a): 01010101"
    ) in dots


def test_the_calls_are_listed_with_the_ops_that_they_serve(made: dict[str, str]) -> None:
    text = made["write_overtakes_batch"]
    row = text[text.index('<tr id="call-10">') :].partition("</tr>")[0]
    cells = re.sub("<[^>]+>", "", row.replace("</td>", "|"))
    assert cells == "10|op 3|submit||submits op 1, op 3|"
    assert "<details open>" in text
    assert "The calls on the device" not in made["foreign"]


def test_a_long_list_of_calls_is_folded() -> None:
    argument = argument_for(MISTAKES[0])
    many = (*argument.events, *[Event("drain", {})] * 30)
    assert "<details><summary>46 calls" in page(replace(argument, events=many), "gpusim replay F")


def test_there_is_no_second_picture_where_the_order_is_right(made: dict[str, str]) -> None:
    argument = replace(argument_for(MISTAKES[0]), crossing=None, reached=(), lost=())
    text = page(argument, "gpusim replay F")
    assert 'class="should"' not in text
    assert "so it is left out. What differs: expected from byte 0" in text
    assert 'class="should"' in made["write_overtakes_batch"]
    assert 'class="should"' in made["foreign"]


def test_what_still_fails_has_a_line_of_its_own() -> None:
    argument = replace(argument_for(MISTAKES[0]), passes=("with x",), fails=("with y", "with z"))
    text = page(argument, "gpusim replay F")
    assert "<dt>passes</dt><dd>with x</dd><dt>still fails</dt><dd>with y; with z</dd>" in text


@pytest.mark.parametrize(
    ("client", "says"),
    [
        ("dropping", "drops both tickets"),
        ("reentrant", "in its done callback"),
        ("misusing", "a call that is to be refused"),
    ],
)
def test_what_a_client_calls_itself_stands_in_the_program(client: str, says: str) -> None:
    argument = argument_for(MISTAKES[0])
    own = page(replace(argument, case=replace(argument.case, client=client)), "gpusim replay F")
    program = re.findall(r"<ol.*?</ol>", own)[0]
    assert f'<span class="soft">client {client}: ' in program
    assert says in program


def test_the_calls_of_a_runtime_beside_are_marked() -> None:
    argument = argument_for(MISTAKES[0])
    beside = Event("create_buffer", {"buffer": 99, "role": Role.STORAGE, "size_bytes": 4})
    text = page(
        replace(
            argument,
            case=replace(argument.case, client="beside"),
            events=(beside, *argument.events),
        ),
        "gpusim replay F",
    )
    assert "<td>the runtime beside (client)</td>" in text
    assert "storage 99 (of the runtime beside), 4 bytes" in text


def test_an_op_without_effect_is_marked_and_reaches_no_clock() -> None:
    lost = replace(foreign_argument("overtakes"), crossing=None, lost=(2,), reached=())
    what, should = shown(lost), expected(lost)
    assert what.marked == should.marked == (2,)
    assert [each.submitted for each in what.reached if each.position == 2] == [-1]
    assert all(each.submitted > 0 for each in should.reached if each.position == 2)


def test_the_gallery_has_a_page_for_each_family() -> None:
    families = {mutant.place.partition(":")[0] for mutant in MUTANTS}
    assert families == {*gallery.SHOWN, *gallery.UNSHOWN}
    for family, name in gallery.SHOWN.items():
        assert find(name).place.startswith(f"{family}:")
        text = (gallery.GALLERY / f"{family}.html").read_text(encoding="utf-8")
        assert f"gpusim mutants --only {name}" in text
        assert len(text.encode()) < MOST_BYTES


def test_the_gallery_is_current() -> None:
    listed = (gallery.GALLERY / "README.md").read_text(encoding="utf-8")
    for made in gallery.pages(QUICKLY_MADE):
        text = (gallery.GALLERY / f"{made.family}.html").read_text(encoding="utf-8")
        assert text == made.page, "probably python -m tools.gallery is to be run"
        assert made.row in listed


def test_the_page_of_a_large_program_is_small() -> None:
    argument = foreign_argument("overtakes")
    word = bytes(range(256)) * 16
    ops: list[Op] = [Alloc(buffer="a", size_bytes=len(word))]
    ops += [Write(buffer="a", offset=0, data=word) for _ in range(5000)]
    ops += argument.program.ops[1:]
    large = replace(argument.case, program=Program(tuple(ops)))
    reached = tuple(Reached(position=at, recorded=at, submitted=at) for at in range(len(ops)))
    events = tuple(
        event
        for uid in range(20_000)
        for event in (
            Event("create_buffer", {"buffer": uid, "role": Role.STAGING, "size_bytes": 4}),
            Event("destroy_buffer", {"buffer": uid, "role": Role.STAGING}),
        )
    )
    text = page(
        replace(
            argument,
            case=large,
            reached=reached,
            events=events,
            sentence=f"op 1 (write a 0 {word.hex() * 500}) was lost",
        ),
        "gpusim replay F",
    )
    assert len(text.encode()) < MOST_BYTES


@needs_chromium
def test_a_page_is_no_wider_than_its_window(made: dict[str, str], tmp_path: Path) -> None:
    for name, text in made.items():
        for window, width in widths_of(text, tmp_path).items():
            assert width <= window, name


def test_a_trace_is_what_perfetto_reads() -> None:
    from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace

    trace = Trace()
    trace.ParseFromString(perfetto(argument_for(MISTAKES[0])))
    tracks = {each.track_descriptor.uuid: each.track_descriptor for each in trace.packet}
    names = {track.name for track in tracks.values()}
    assert {"ops", "op 1: dispatch affine a 1,1 1x1x1", "staging 4", "group 3"} <= names
    events = [each for each in trace.packet if each.HasField("track_event")]
    assert all(each.track_event.track_uuid in tracks for each in events)
    (mapped,) = [each for each in events if each.track_event.name == "mapped"]
    assert tracks[mapped.track_event.track_uuid].name == "staging 4"


def test_the_trace_of_a_foreign_target_has_what_is_known() -> None:
    from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace

    trace = Trace()
    trace.ParseFromString(perfetto(foreign_argument("overtakes")))
    names = [each.track_event.name for each in trace.packet if each.HasField("track_event")]
    assert names.count("called") == 4
    assert names.count("delivered") == 1

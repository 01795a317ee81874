"""Findings as files: nothing is lost, and a file that cannot be trusted is refused."""

import dataclasses
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpusim.errors import ProgramError
from gpusim.ops import Alloc, Op, Write
from gpusim.program import Program
from gpusim.runtime.policy import PRESETS, Policy, Uniforms
from gpusim.simulated import FaultPlan
from properties import finding_file
from properties.finding_file import FindingFile, format_finding, parse_finding, printable
from properties.model.capabilities import CONTRACT, Capabilities, Refusal
from properties.model.case import NO_POLICY, SCHEDULERS, Case, DeviceSpec, parse_device
from properties.oracles.metamorphic import parse_transformation

TEXT = """gpusim finding 2
target: runtime
promises: contract replays=yes
device: vulkan max_binding_bytes=512
policy: pooled uniform_slots=2
kernels: my_kernels.py
seed: 17/4
versions: gpusim 0.1.0, wgpu 0.32.0
summary: op 1: read a 0 4 -> r (value: colons: are # fine)

# what is left of it
alloc a 4
read a 0 4 -> r
"""
VERSION_1 = """gpusim finding 1
device: simulated scheduler=early
policy: eager
seed: 17/4
kernels: my_kernels.py
caller: awaiting
transformations: twice; without_faults

alloc a 4
"""
FINDING = FindingFile(
    case=Case(
        program=Program.parse("alloc a 4\nread a 0 4 -> r"),
        policy=dataclasses.replace(PRESETS["pooled"], uniform_slots=2),
        device=parse_device("vulkan max_binding_bytes=512"),
        seed="17/4",
        promises=replace(CONTRACT, replays=True),
    ),
    versions="gpusim 0.1.0, wgpu 0.32.0",
    summary="op 1: read a 0 4 -> r (value: colons: are # fine)",
    kernels="my_kernels.py",
)

LINES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=20).map(
    str.strip
)
SMALL = st.integers(1, 5)
MAYBE = st.none() | st.integers(0, 5)
POLICIES = st.builds(
    Policy,
    name=st.sampled_from(["custom", *PRESETS]),
    batch_commands=MAYBE,
    batch_bytes=MAYBE,
    batch_groups=MAYBE,
    uniforms=st.sampled_from(Uniforms),
    uniform_slots=SMALL,
    uniform_cache=SMALL,
    cache_bind_groups=st.booleans(),
    bind_group_cache=SMALL,
    staging_buffers=SMALL,
    memory_budget_bytes=MAYBE,
    debug_submit_each=st.booleans(),
)
DEVICES = st.builds(
    DeviceSpec,
    name=st.just("simulated"),
    limits=st.sampled_from([(), (("max_binding_bytes", 512),)]),
    scheduler=st.sampled_from(SCHEDULERS),
    seed=st.integers(0, 9),
    schedule=st.lists(SMALL, max_size=3).map(tuple),
    faults=st.builds(FaultPlan, failed_maps=st.sampled_from([(), (0, 3)]), lost_at_submit=MAYBE),
)
PROMISES = st.none() | st.builds(
    Capabilities,
    out_of_range=st.sampled_from(Refusal),
    write_size_bytes=st.sampled_from((1, 2, 4)),
    copies_within=st.booleans(),
    replays=st.booleans(),
    kernels=st.sampled_from(((), ("affine",), ("fold", "mix"))),
)


@st.composite
def programs(draw: st.DrawFn) -> Program:
    sizes = draw(st.lists(st.integers(0, 99), max_size=4))
    ops: list[Op] = []
    for number, size in enumerate(sizes):
        ops.append(Alloc(buffer=f"b{number}", size_bytes=size))
        ops.append(Write(buffer=f"b{number}", offset=0, data=draw(st.binary(max_size=4))))
    return Program(tuple(ops))


FINDINGS = st.builds(
    FindingFile,
    case=st.builds(
        Case, program=programs(), policy=POLICIES, device=DEVICES, seed=LINES, promises=PROMISES
    ),
    versions=LINES,
    summary=LINES,
    kernels=LINES,
    details=st.text(max_size=30).map(printable),
)


@given(FINDINGS)
def test_reading_what_was_written_gives_the_finding(finding: FindingFile) -> None:
    assert parse_finding(format_finding(finding)) == finding


def test_the_file_is_what_a_person_would_write(tmp_path: Path) -> None:
    assert parse_finding(TEXT) == FINDING
    assert format_finding(FINDING) == TEXT.replace("# what is left of it\n", "")
    path = tmp_path / "one.finding"
    finding_file.write(path, FINDING)
    assert finding_file.read(path) == FINDING


def test_what_was_drawn_beside_the_program_is_kept() -> None:
    words = ("insert_boundary boundary=flush at=1", "twice", "set_preset preset=eager")
    drawn = tuple(map(parse_transformation, words))
    case = dataclasses.replace(FINDING.case, client="awaiting", transformations=drawn)
    finding = dataclasses.replace(FINDING, case=case)
    text = format_finding(finding)
    assert "client: awaiting\n" in text
    assert "transformations: insert_boundary boundary=flush at=1; twice; set_preset" in text
    assert parse_finding(text) == finding


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("client: nobody", "line 6 .* its client is none of plain, direct, asking"),
        ("transformations: twice; thrice", r"none is named 'thrice' \(probably 'twice' is meant\)"),
        ("transformations: set_preset preset=bogus", "preset is none of eager, lazy"),
        ("transformations: insert_boundary boundary=fence at=1", "boundary is none of flush, sync"),
        ("transformations: insert_read at=1 which=0 part=middle", "part is none of whole, head"),
        ("transformations: insert_read at=1 wich=0 part=head", "'wich=0' is no .*'which' is meant"),
        ("transformations: insert_read at=1 at=1 which=0", "it gives at twice"),
        ("transformations: insert_boundary boundary=sync", "it has no at"),
        ("transformations: swap at=-1", "at is no number from 0"),
        ("transformations: swap at=" + "9" * 5000, "at is no number from 0"),
        ("transformations: embed which=0 pad_bytes=-4", "pad_bytes is no number from 0"),
        ("transformations: embed which=0 pad_bytes=5", "pad_bytes is none of 4, 256"),
        ("transformations: split at=1 sixteenths=99", "sixteenths is none of 8"),
        ("transformations: set_schedule scheduler=lazy seed=0", "scheduler is none of late"),
        ("transformations: set_device device=vulcan", "'vulcan' is the name of no device"),
        ("transformations: set_field field=uniform_slot value=1", "'uniform_slots' is meant"),
        ("transformations: set_field field=uniform_slots value=0", "uniform_slots=0"),
    ],
)
def test_a_client_or_transformation_of_no_such_name_is_refused(header: str, message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        parse_finding(TEXT.replace("kernels: my_kernels.py", header))


def test_only_target_device_and_policy_must_be_there() -> None:
    least = "gpusim finding 2\npolicy: eager\ntarget: runtime\ndevice: gl\n\n"
    assert parse_finding(least).case == Case(
        program=Program(()), policy=PRESETS["eager"], device=DeviceSpec(name="gl")
    )


def test_a_target_that_is_not_ours_has_no_policy() -> None:
    case = dataclasses.replace(FINDING.case, target="exec:node it.mjs", policy=NO_POLICY)
    text = format_finding(dataclasses.replace(FINDING, case=case))
    assert "policy" not in text
    assert parse_finding(text).case == case


def test_a_factory_of_ours_has_its_policy_whichever_it_is() -> None:
    case = dataclasses.replace(FINDING.case, target="own.py:factory", policy=PRESETS["eager"])
    text = format_finding(dataclasses.replace(FINDING, case=case))
    assert "policy: eager\n" in text
    assert parse_finding(text).case == case


def test_version_1_is_read_and_names_no_target() -> None:
    finding = parse_finding(VERSION_1)
    assert not finding.names_target
    assert finding.case == Case(
        program=Program.parse("alloc a 4"),
        policy=PRESETS["eager"],
        device=DeviceSpec(name="simulated", scheduler="early"),
        seed="17/4",
        client="awaiting",
        transformations=(parse_transformation("twice"),),
    )


@pytest.mark.parametrize("header", ["device: simulated scheduler=early\n", "policy: eager\n"])
def test_device_and_policy_must_be_in_version_1(header: str) -> None:
    with pytest.raises(ProgramError, match=f"no {header.partition(':')[0]} came before this line"):
        parse_finding(VERSION_1.replace(header, ""))
    least = "gpusim finding 1\npolicy: eager\ndevice: gl\n\n"
    assert parse_finding(least).case == Case(
        program=Program(()), policy=PRESETS["eager"], device=DeviceSpec(name="gl")
    )


def test_a_header_of_another_version_is_refused() -> None:
    with pytest.raises(ProgramError, match=r"line 2 .* 'target' is none of device, policy"):
        parse_finding(VERSION_1.replace("device: ", "target: runtime\ndevice: "))
    with pytest.raises(ProgramError, match=r"line 2 .* 'caller' is none of target, promises"):
        parse_finding(TEXT.replace("target: ", "caller: plain\ntarget: "))


@pytest.mark.parametrize(
    ("found", "put", "message"),
    [
        (
            "gpusim finding 2",
            "gpusim finding 3",
            "line 1 .* version 3 and this gpusim reads 1 and 2",
        ),
        (
            "gpusim finding 2",
            "gpusim finding 0",
            "line 1 .* version 0 and this gpusim reads 1 and 2",
        ),
        ("gpusim finding 2", "gpusim finding one", "line 1 .* is not 'gpusim finding 2'"),
        ("gpusim finding 2", "", "line 1 .* is not 'gpusim finding 2'"),
        ("seed: ", "colour: ", "line 7 .* 'colour' is none of target, promises"),
        ("seed: 17/4", "seed 17/4", "line 7 .* is no 'header: value'"),
        ("seed: 17/4", "device: gl", "line 7 .* device is given twice"),
        ("target: runtime\n", "", "line 9 .* no target came before this line"),
        ("target: runtime", "target:", "line 10 .* no target came before this line"),
        ("device: vulkan max_binding_bytes=512\n", "", "line 9 .* no device came before this line"),
        ("vulkan max", "vulcan max", "line 4 .* holds no device: .*'vulcan' is the name of no"),
        (
            "max_binding_bytes=512",
            "max=512",
            "line 4 .* holds no device: .*such a device has no 'max=512'",
        ),
        ("vulkan max_binding_bytes=512", "", "line 4 .* holds no device"),
        ("replays=yes", "replays=maybe", "line 3 .* holds no promises: .*replays='maybe'"),
        ("policy: pooled uniform_slots=2\n", "", "line 9 .* no policy came before this line"),
        ("uniform_slots=2", "uniform_slot=2", "line 5 .* holds no policy: .*'uniform_slot' is no"),
        ("uniform_slots=2", "uniform_slots=two", "line 5 .* holds no policy"),
        ("uniform_slots=2", "uniform_slots=0", "line 5 .* holds no policy"),
        ("pooled uniform_slots=2", "  ", "line 5 .* holds no policy: .* it has no name"),
        ("uniform_slots=2", "upload_bytes=None", "line 5 .* holds no policy: .*upload_bytes=None"),
        ("uniform_slots=2", "name=eager", "line 5 .* holds no policy: .*'name' is no field"),
        ("gpusim finding 2", "gpusim finding " + "9" * 5000, r"line 1 .* version 9+\.\.\. and"),
        (
            "max_binding_bytes=512",
            "scheduler=late",
            "line 4 .*probably device simulated is meant",
        ),
        ("max_binding_bytes=512", "max_binding_bytes=0", "line 4 .* cannot have this value"),
        ("max_binding_bytes=512", "max_binding_bytes=7", "line 4 .* cannot have this value"),
        (
            "max_binding_bytes=512",
            "storage_offset_alignment_bytes=48",
            "line 4 .* cannot have this value",
        ),
        (
            "max_binding_bytes=512",
            "max_binding_bytes=512 max_binding_bytes=8",
            "line 4 .* it gives max_binding_bytes twice",
        ),
        ("vulkan max_binding_bytes=512", "simulated failed_maps=0,", "line 4 .* hold numbers"),
        (
            "vulkan max_binding_bytes=512",
            "simulated scheduler=lazy",
            "line 4 .* scheduler cannot have this value",
        ),
        ("vulkan max_binding_bytes=512", "simulated sheduler=late", "'scheduler' is meant"),
        ("pooled uniform_slots=2", "", "line 5 .* holds no policy"),
        ("read a 0 4 -> r\n", "read a 0 4\n", "line 13 because it has 3 operands"),
        ("read a 0 4 -> r\n", "read b 0 4 -> r\n", "line 13 because it does not fit"),
    ],
)
def test_a_malformed_file_is_refused_by_line(found: str, put: str, message: str) -> None:
    assert found in TEXT
    with pytest.raises(ProgramError, match=message):
        parse_finding(TEXT.replace(found, put))


def test_headers_without_an_end_are_refused() -> None:
    with pytest.raises(ProgramError, match=r"line 2 .* no blank line ends the headers"):
        parse_finding("gpusim finding 1\ndevice: gl")


@given(st.text(max_size=30))
def test_what_is_printable_stays_as_it_is(text: str) -> None:
    assert printable(printable(text)) == printable(text)


def test_a_traceback_is_kept_line_by_line() -> None:
    details = "Traceback (most recent call last):\n  File 'x.py', line 3\n\nKeyError: 'a'"
    finding = dataclasses.replace(FINDING, details=details)
    text = format_finding(finding)
    assert (
        "details:\n| Traceback (most recent call last):\n|   File 'x.py', line 3\n|\n| Key" in text
    )
    assert parse_finding(text) == finding
    assert printable("a\x1b[2Jb\tc\udc80") == "a\\x1b[2Jb  c\\udc80"
    with pytest.raises(ProgramError, match=r"cannot keep details .* control characters"):
        dataclasses.replace(FINDING, details="a\x1b")
    with pytest.raises(ProgramError, match=r"line 9 .* is no 'header: value'"):
        parse_finding(TEXT.replace("summary:", "| stray\nsummary:"))


@pytest.mark.parametrize("summary", ["two\nlines", " blank before", "blank after ", "a\u2028b"])
def test_a_header_that_is_not_one_line_is_not_kept(summary: str) -> None:
    with pytest.raises(ProgramError, match="cannot keep summary"):
        dataclasses.replace(FINDING, summary=summary)


def test_a_case_that_nothing_could_replay_is_not_kept() -> None:
    nowhere = dataclasses.replace(FINDING.case, device=DeviceSpec(name=""))
    with pytest.raises(ProgramError, match="cannot keep a finding without a device"):
        dataclasses.replace(FINDING, case=nowhere)
    with pytest.raises(ProgramError, match="cannot keep a finding without a target"):
        dataclasses.replace(FINDING, case=dataclasses.replace(FINDING.case, target=""))

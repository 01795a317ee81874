"""The public face of the judge: what passes, what fails and how, and what is wrong usage."""

import subprocess
import sys
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import properties.fuzz.check
from gpusim import BUILTIN, Kernel, Limits, Program
from gpusim.devices import open_device
from gpusim.errors import GpusimError, ProgramError
from gpusim.kernels import AFFINE
from gpusim.ops import Capture, Copy, DispatchIndirect, Read, Write
from gpusim.testing import (
    Adapter,
    Capabilities,
    Part,
    TargetFailed,
    check,
    check_program,
    fuzz,
    programs,
    replay,
)
from properties.fuzz.check import place_of
from properties.targets.naive_target import NaiveTarget

SHOWS_IT = "alloc a 4\ndispatch affine a 1,1 1x1x1\nwrite a 0 01010101\nread a 0 4 -> r0\n"
OWN = Kernel(
    name="own",
    buffers=AFFINE.buffers,
    scalars=AFFINE.scalars,
    body=AFFINE.body,
    meaning=AFFINE.meaning,
)


class Late(NaiveTarget):
    """Dispatches wait for the next read, and a write between overtakes them."""

    def __init__(self, device: Any, kernels: Any = BUILTIN) -> None:
        super().__init__(device, kernels)
        self.held: list[Any] = []

    def dispatch(self, *call: Any) -> None:
        self.held.append(call)

    def read(self, buffer: str, offset: int, size_bytes: int) -> bytes:
        self.run_held()
        return super().read(buffer, offset, size_bytes)

    def free(self, buffer: str) -> None:
        self.run_held()
        super().free(buffer)

    def run_held(self) -> None:
        while self.held:
            super().dispatch(*self.held.pop(0))


class ReadsNothing(NaiveTarget):
    def read(self, buffer: str, offset: int, size_bytes: int) -> Any:
        return None


class ReusesItsBytes(NaiveTarget):
    """Every read hands out the same memory."""

    def __init__(self, device: Any) -> None:
        super().__init__(device)
        self.memory = bytearray(4)

    def read(self, buffer: str, offset: int, size_bytes: int) -> Any:
        self.memory[:] = super().read(buffer, offset, size_bytes)
        return self.memory


def failing(make_target: Any, device_name: str, folder: Path, **options: Any) -> TargetFailed:
    with pytest.raises(TargetFailed) as caught:
        check(make_target, device=device_name, save=folder, examples=50, **options)
    return caught.value


def test_a_target_that_is_right_passes(device_name: str, tmp_path: Path) -> None:
    check(NaiveTarget, device=device_name, examples=10, save=tmp_path)
    check("runtime", device=device_name, examples=10, save=tmp_path, policy="pooled")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_is_small_saved_and_told(device_name: str, tmp_path: Path) -> None:
    error = failing(Late, device_name, tmp_path)
    finding = error.finding
    assert isinstance(error, AssertionError)
    assert len(finding.program) <= 6
    assert finding.path is not None
    assert finding.path.parent == tmp_path
    assert finding.reproduced
    first, *rest = str(finding).splitlines()
    assert first.startswith("op ")
    assert " overtook " in first
    assert len(rest) < 8
    program = "; ".join(str(finding.program).splitlines())
    assert [f"  program: {program}", f"replay: {finding.replay}"] == rest[-2:]
    assert str(finding.path) in finding.replay
    assert str(error).endswith(str(finding))
    assert len(str(error).splitlines()) <= 10


def test_a_finding_fails_again_until_the_target_is_right(device_name: str, tmp_path: Path) -> None:
    path = failing(Late, device_name, tmp_path).finding.path
    assert path is not None
    with pytest.raises(TargetFailed, match=r"op \d+: read"):
        replay(path, Late)
    replay(path, NaiveTarget)
    with pytest.raises(GpusimError, match="Late, which the command line does not"):
        replay(path)


def test_what_was_saved_is_run_first_and_only_here(device_name: str, tmp_path: Path) -> None:
    saved = failing(Late, device_name, tmp_path).finding
    # Program 1 fails; alone, program 0 passes.
    with pytest.raises(TargetFailed) as caught:
        check(Late, device=device_name, save=tmp_path, examples=1)
    again = caught.value.finding
    assert (again.path, again.program, str(again)) == (saved.path, saved.program, str(saved))
    assert len([*tmp_path.iterdir()]) == 1
    check(NaiveTarget, device=device_name, save=tmp_path, examples=1)


def test_time_ends_a_check(device_name: str, tmp_path: Path) -> None:
    check(NaiveTarget, device=device_name, save=tmp_path, seconds=0.01)
    check(NaiveTarget, device=device_name, save=tmp_path, seconds=0.01, examples=10**9)


def test_a_target_inside_a_function_is_replayed_by_a_call(device_name: str, tmp_path: Path) -> None:
    class Inside(Late):
        pass

    finding = failing(Inside, device_name, tmp_path).finding
    assert finding.replay == f"gpusim.testing.replay({str(finding.path)!r}, Inside)"
    with pytest.raises(TargetFailed):
        replay(str(finding.path), Inside)


def test_a_kernel_given_as_an_object_is_used_and_given_again(
    device_name: str, tmp_path: Path
) -> None:
    class NeverRunsOwn(NaiveTarget):
        def dispatch(self, kernel: str, *call: Any) -> None:
            if kernel != OWN.name:
                super().dispatch(kernel, *call)

    error = failing(NeverRunsOwn, device_name, tmp_path, kernels=[OWN])
    assert "dispatch own" in str(error)
    assert error.finding.replay.endswith("NeverRunsOwn, kernels=...)")
    with pytest.raises(TargetFailed):
        replay(str(error.finding.path), NeverRunsOwn, kernels=[OWN])


def test_one_program_is_judged_on_a_target_of_ones_own(device: Any) -> None:
    check_program(NaiveTarget(device), SHOWS_IT)
    with pytest.raises(TargetFailed, match="Late fails this program") as caught:
        check_program(Late(device), Program.parse(SHOWS_IT))
    assert caught.value.finding.path is None


def test_a_program_with_a_kernel_that_is_not_promised_is_refused(device: Any) -> None:
    class FewKernels(NaiveTarget):
        capabilities = changed(NaiveTarget.capabilities, kernels=("affine",))

    check_program(FewKernels(device), SHOWS_IT)
    for dispatch in ("dispatch fold a,b 3 1x1x1", "capture g dispatch fold a,b 3 1x1x1"):
        program = f"alloc a 64\nalloc b 64\n{dispatch}\n"
        with pytest.raises(ProgramError, match="dispatches fold, and the target promises affine"):
            check_program(FewKernels(device), program)


def test_a_read_that_returns_nothing_is_a_crash(device: Any) -> None:
    with pytest.raises(TargetFailed, match="NoneType is neither bytes nor a delivery"):
        check_program(ReadsNothing(device), "alloc a 4\nread a 0 4 -> r0\n")


def test_a_value_that_changes_after_it_was_read_is_seen(device: Any) -> None:
    program = "alloc a 4\nread a 0 4 -> r0\nwrite a 0 01000000\nread a 0 4 -> r1\n"
    check_program(ReusesItsBytes(device), program.partition("write")[0])
    with pytest.raises(TargetFailed, match="late error"):
        check_program(ReusesItsBytes(device), program)


def test_an_adapter_in_the_place_of_its_class_is_told_apart(device: Any, tmp_path: Path) -> None:
    made: Any = NaiveTarget(device)
    with pytest.raises(TypeError, match=r"cannot judge .* because make_target must be callable"):
        check(made, examples=1, save=tmp_path)


def test_what_is_no_target_or_no_program_is_named(device: Any) -> None:
    text, number, words, late = "alloc a 4", 5, {}, Late  # type: str, Any, Any, Any
    made: tuple[Any, ...] = (dict, "is built into Python"), (number, "must be callable")
    for make_target, reason in made:
        for judge_it in (check, fuzz):
            with pytest.raises(TypeError, match=f"cannot judge .* because .*{reason}"):
                judge_it(make_target)
    with pytest.raises(TypeError, match=r"cannot judge Late because .* not on its class"):
        check_program(late, text)
    with pytest.raises(TypeError, match=r"cannot judge \{\} because it has no method perform"):
        check_program(words, text)
    with pytest.raises(TypeError, match="cannot run 5 because it is no program"):
        check_program(Late(device), number)


def test_a_class_typed_at_the_prompt_can_be_judged(tmp_path: Path) -> None:
    text = f"""
from gpusim.testing import check
from properties.targets.naive_target import NaiveTarget
class Mine(NaiveTarget):
    def write(self, *call): pass
check(Mine, examples=50, device="simulated", save={str(tmp_path)!r})
"""
    done = subprocess.run([sys.executable], input=text, capture_output=True, text=True, check=False)
    assert "TargetFailed: __main__:Mine fails" in done.stderr
    assert "gpusim.testing.replay(" in done.stderr


def test_a_part_reaches_the_adapter_with_its_public_class(device: Any) -> None:
    seen: list[Any] = []

    class Seeing(NaiveTarget):
        def dispatch(self, kernel: str, buffers: Any, scalars: Any, grid: Any) -> None:
            seen.extend(buffers)
            super().dispatch(kernel, buffers, scalars, grid)

    check_program(Seeing(device), "alloc a 512\ndispatch affine a[256:260] 1,1 1x1x1\n")
    (part,) = seen
    assert isinstance(part, Part)
    assert (part.buffer, part.offset, part.size_bytes) == ("a", 256, 4)


def test_an_adapter_without_a_method_is_named() -> None:
    class Half(Adapter):
        def alloc(self, buffer: str, size_bytes: int) -> None:
            pass

    made: Any = Half
    with pytest.raises(TypeError, match="copy"):
        made(None, BUILTIN)


def test_a_session_finds_the_same(tmp_path: Path) -> None:
    result = fuzz(Late, device="simulated", programs=50, findings=1, save=tmp_path)
    assert (result.device, result.seed, result.interrupted) == ("simulated", 0, False)
    (finding,) = result.findings
    assert finding.path is not None
    assert finding.failure == failing(Late, "simulated", tmp_path).finding.failure


def test_a_session_of_a_built_in_target_by_its_name(tmp_path: Path) -> None:
    result = fuzz("naive", device="simulated", programs=20, seed=3, save=tmp_path)
    assert (result.programs, result.seed, result.findings) == (20, 3, ())
    assert result.seconds > 0


def test_a_session_cannot_have_a_target_that_its_processes_cannot_find() -> None:
    with pytest.raises(ValueError, match=r"cannot fuzz .*<lambda> because no worker process finds"):
        fuzz(lambda device, kernels: NaiveTarget(device, kernels), device="simulated")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"examples": 0}, "cannot take programs=0 because it is no whole number of at least 1"),
        ({"device": "toaster"}, "cannot take device=toaster because it is none of"),
        ({"policy": "hasty"}, "cannot take policy=hasty because it is none of"),
        ({"shrink_seconds": -1.0}, "cannot take shrink=-1.0 because it is no number of seconds"),
    ],
)
def test_a_value_that_an_argument_cannot_have_is_named(
    options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        check("runtime", **options)


def test_the_environment_names_the_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GPUSIM_DEVICE", "simulated:7")
    with pytest.raises(ValueError, match="cannot take GPUSIM_DEVICE=simulated:7"):
        check(NaiveTarget, examples=1, save=tmp_path)


def test_where_another_process_finds_a_target() -> None:
    assert place_of("naive") == "naive"
    assert place_of(NaiveTarget) == "properties.targets.naive_target:NaiveTarget"
    assert place_of(lambda device, kernels: NaiveTarget(device, kernels)) == ""


def test_a_failing_example_is_told_as_a_program() -> None:
    device = open_device("simulated")
    # Without its explaining, which traces every line.
    phases = (Phase.generate, Phase.shrink)

    @settings(database=None, derandomize=True, deadline=None, phases=phases)
    @given(programs(max_ops=8))
    def judged(program: Program) -> None:
        check_program(Late(device), program)

    with pytest.raises(TargetFailed) as caught:
        judged()
    told = "\n".join(caught.value.__notes__)
    assert "program=Program.parse(" in told
    assert len(told) < 1000
    assert eval(repr(caught.value.finding.program)) == caught.value.finding.program


def test_the_judge_is_loaded_while_an_example_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "properties.fuzz.check"
    monkeypatch.setattr(properties.fuzz, "check", properties.fuzz.check)
    monkeypatch.delitem(sys.modules, name)
    loaded = []

    @settings(database=None, max_examples=1)
    @given(programs(max_ops=2))
    def drawn(program: Program) -> None:
        loaded.append(name in sys.modules)

    assert name not in sys.modules
    drawn()
    assert loaded == [True]


@settings(max_examples=30)
@given(st.data())
def test_every_promise_is_heeded_and_drawn(data: st.DataObject) -> None:
    promises = {"replays": Capture, "indirect": DispatchIndirect}
    asked = data.draw(st.sampled_from([*promises, "parts", "special_floats", "handles"]))
    only: Any = {asked: True}
    program = data.draw(programs(capabilities=Capabilities(**only), max_ops=20))
    for name, kind in promises.items():
        assert name == asked or not any(isinstance(op, kind) for op in program)


@settings(max_examples=30)
@given(st.data())
def test_programs_are_drawn_within_what_is_promised(data: st.DataObject) -> None:
    words_only = Capabilities()
    program = data.draw(
        programs(capabilities=words_only, limits=Limits(max_buffer_bytes=1024), max_ops=20)
    )
    for op in program:
        if isinstance(op, Write):
            assert len(op.data) % 4 == op.offset % 4 == 0
        elif isinstance(op, Read | Copy):
            assert op.size_bytes % 4 == 0

"""A runtime in another process is judged like any other, and its death or silence is a finding."""

import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gpusim.errors import NoDevice, ProgramError
from gpusim.kernels import BUILTIN
from gpusim.program import Program
from gpusim.runtime import PRESETS
from properties.fuzz.engine import fuzz
from properties.fuzz.loading import load_target
from properties.fuzz.settings import Settings
from properties.generate.cases import CaseSettings, case_for
from properties.model.capabilities import Arrival
from properties.model.case import Case, DeviceSpec
from properties.model.failure import FailureKind
from properties.oracles.judge import judge
from properties.targets import process as process_factory
from properties.targets.process import ProcessFactory
from properties.targets.runtime_target import RuntimeTarget
from tests.processes.processes import ends

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Program.parse(
    "alloc a 4\ndispatch affine a 1,1 1x1x1\nwrite a 0 01010101\nread a 0 4 -> r0\nsync\n"
)
SIMULATED = DeviceSpec(name="simulated")
CASE = Case(program=PROGRAM, policy=PRESETS["eager"], device=SIMULATED)


def served(script: Path | str, *words: str) -> ProcessFactory:
    command = shlex.join([sys.executable, str(script), *words])
    factory = load_target(f"exec:{command}")("simulated", BUILTIN)
    assert isinstance(factory, ProcessFactory)
    return factory


@pytest.fixture(scope="module")
def ours() -> Iterator[ProcessFactory]:
    subject = served(ROOT / "examples" / "served_runtime.py")
    yield subject
    subject.close()


def script(folder: Path, answers: str) -> Path:
    """A target that answers each line with what ``answers``, some Python, makes of it."""
    path = folder / "target.py"
    path.write_text(
        "import os, sys, time\n"
        "print('ready {\"refuses\": false}', flush=True)\n"
        "sys.stdin.readline()\n"
        "for line in sys.stdin:\n"
        f"    {answers}\n"
        "    sys.stdout.flush()\n",
        encoding="utf-8",
    )
    return path


def test_our_runtime_is_as_sound_in_another_process(ours: ProcessFactory) -> None:
    setting = CaseSettings(
        device="simulated",
        limits=ours.limits,
        presets=("ring",),
        schedulers=("late",),
        promises=ours.capabilities,
    )
    for number in range(40):
        program = case_for(5, number, setting).program
        failure = judge(
            Case(program=program, policy=PRESETS["eager"], device=SIMULATED), ours
        ).failure
        assert failure is None, f"{failure}\n{program}"


def test_what_it_promises_is_what_the_runtime_does(ours: ProcessFactory) -> None:
    assert ours.capabilities == replace(
        RuntimeTarget.capabilities,
        delivery=Arrival.TICKET,
        host_arrays=True,
        concurrent_syncs=True,
        handles=True,
    )


def test_a_mistake_in_another_process_is_found(tmp_path: Path) -> None:
    path = tmp_path / "overtaking.py"
    path.write_text(
        "import runpy\n"
        "from gpusim import open_device\n"
        "from gpusim.kernels import BUILTIN\n"
        "from properties.targets.serve import serve\n"
        f"made = runpy.run_path({str(ROOT / 'examples' / 'overtaking_write.py')!r})\n"
        "device = open_device('simulated')\n"
        "serve(lambda name: lambda: made['Overtaking'](device, BUILTIN))\n",
        encoding="utf-8",
    )
    subject = served(path)
    failure = judge(CASE, subject).failure
    assert failure is not None
    assert failure.kind == FailureKind.VALUE
    subject.close()


def test_a_process_that_dies_is_a_finding_and_the_next_program_has_another(tmp_path: Path) -> None:
    dies = "if 'write' in line: print('no good', file=sys.stderr); os._exit(7)\n    print('ok')"
    subject = served(script(tmp_path, dies))
    for _ in range(2):
        failure = judge(CASE, subject).failure
        assert failure is not None
        assert "op 2: write" in str(failure)
        assert "ended by exit status 7; its last line was 'ok'; no good" in str(failure)
    subject.close()


def test_a_process_that_goes_silent_is_a_finding_and_ends(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    silent = f"open({str(pids)!r}, 'a').write(f'{{os.getpid()}}\\n'); time.sleep(600)"
    says = "print('waiting for a driver', flush=True)"
    path = script(tmp_path, f"\n    if 'sync' in line: {says}; {silent}\n    print('ok')")
    target = f"exec:{shlex.join([sys.executable, str(path)])}"
    save = tmp_path / "findings"
    asked = Settings(
        device="simulated", target=target, save=save, findings=1, stall=1.0, shrink=0.0
    )
    session = fuzz(asked, lambda _: None)
    (bug,) = session.bugs.met.values()
    assert bug.failure.kind == "hang"
    assert "no progress in 1 s" in bug.summary
    assert "output of the target: waiting for a driver" in bug.summary
    begun = pids.read_text(encoding="utf-8").split()
    assert begun
    assert [pid for pid in begun if not ends(int(pid))] == []


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ("print('value r7 00'); print('ok')", "delivered r7, but no read of that name was sent"),
        ("print('value r0 xyz' if 'read' in line else 'ok')", "not hexadecimal"),
        ("print('error TypeError x is undefined')", "TypeError: x is undefined"),
        ("print('ok')", "the sync was answered without its value"),
    ],
)
def test_what_is_no_answer_is_a_finding(tmp_path: Path, answers: str, words: str) -> None:
    subject = served(script(tmp_path, answers))
    failure = judge(CASE, subject).failure
    assert failure is not None
    assert words in str(failure)
    subject.close()


def test_what_else_it_prints_is_left_alone(tmp_path: Path) -> None:
    answers = (
        "print('warning: slow'); print('value r0 01010101' if 'sync' in line else ''); print('ok')"
    )
    subject = served(script(tmp_path, answers))
    assert judge(CASE, subject).failure is None
    subject.close()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (f"exec:{sys.executable} -c 1/0", "exit status 1; .*ZeroDivisionError"),
        (f"exec:{sys.executable} -c 'print(\"ready 1\")'", "JSON object"),
    ],
)
def test_a_command_that_gets_nowhere_says_why(command: str, words: str) -> None:
    with pytest.raises(NoDevice, match=rf"(?s)cannot judge .* does not get ready .*({words})"):
        load_target(command)("simulated", BUILTIN)


@pytest.mark.parametrize("command", ["gpusim-has-no-such-command", f"{sys.executable} 'unclosed"])
def test_a_command_that_cannot_be_started_is_refused_before_anything_runs(command: str) -> None:
    with pytest.raises(ProgramError, match=f"cannot start target exec:{command} because"):
        load_target(f"exec:{command}")


@pytest.mark.parametrize(
    "does",
    [
        "import time, os; os.close(1); time.sleep(600)",
        # Another holds the output open until the judge has closed the input.
        "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'open(0).read()'])",
    ],
)
def test_an_output_that_no_line_will_come_from_is_not_waited_for(does: str) -> None:
    # Whoever waits for a line in vain tells that none came, and for how long.
    command = shlex.join([sys.executable, "-c", does])
    with pytest.raises(NoDevice, match=r"closed its input or output|exit status 0"):
        load_target(f"exec:{command}")("simulated", BUILTIN)


def test_one_that_prints_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_factory, "START_SECONDS", 0.5)
    chatty = "while True: print('loading')"
    with pytest.raises(NoDevice, match=r"printed other lines, but in 0\.5 s no 'ready'"):
        load_target(f"exec:{shlex.join([sys.executable, '-c', chatty])}")("simulated", BUILTIN)


def test_one_that_sends_the_greeting_back_is_given_up_at_once() -> None:
    echo = "import sys; [print(line, end='', flush=True) for line in sys.stdin]"
    with pytest.raises(NoDevice, match="it sent 'hello' back") as caught:
        load_target(f"exec:{shlex.join([sys.executable, '-c', echo])}")("simulated", BUILTIN)
    assert len(str(caught.value)) < 400


def test_a_process_that_closes_its_ends_is_a_finding(tmp_path: Path) -> None:
    subject = served(script(tmp_path, "os.close(1); time.sleep(600)"))
    failure = judge(CASE, subject).failure
    assert failure is not None
    assert "the target closed its input or output" in str(failure)
    subject.close()


def test_a_command_that_only_waits_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_factory, "START_SECONDS", 0.5)
    with pytest.raises(NoDevice, match=r"no line came from the target for 0\.5 s"):
        load_target(f"exec:{sys.executable} -c input();input()")("simulated", BUILTIN)


def test_an_answer_behind_an_unfinished_line_is_understood(tmp_path: Path) -> None:
    # The library begins a line at the first op, and one more before each value.
    answers = (
        "\n    if 'alloc' in line: print('INFO: a slow driver', end='')"
        "\n    if 'sync' in line: print('INFO: map', end=''); print('value r0 01010101')"
        "\n    print('ok')"
    )
    factory = served(script(tmp_path, answers))
    assert judge(CASE, factory).failure is None
    factory.close()


def test_a_library_that_says_ok_itself_gives_no_answer(tmp_path: Path) -> None:
    answers = (
        "\n    if 'dispatch' in line: print('compiling: ok', flush=True); time.sleep(0.2)"
        "\n    print('value r0 01010101' if 'sync' in line else ''); print('ok')"
    )
    factory = served(script(tmp_path, answers))
    assert judge(CASE, factory).failure is None
    factory.close()


def test_a_crash_in_another_process_is_kept_whole(tmp_path: Path) -> None:
    answers = (
        "print('detail KeyError: a\\ndetail   at f (x.js:3)\\nerror KeyError a' "
        "if 'write' in line else 'ok')"
    )
    factory = served(script(tmp_path, answers))
    failure = judge(CASE, factory).failure
    assert failure is not None
    assert failure.signature == ("crash", "KeyError")
    assert dict(failure.sides)["got"] == "KeyError: a"
    assert failure.details == "KeyError: a\n  at f (x.js:3)"
    factory.close()


NODE_SAYS = (
    "Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'webgpu' imported from n.mjs\n"
    "    at f (node:internal)\n  code: 'ERR_MODULE_NOT_FOUND'\n}\n\nNode.js v20.20.2"
)


@pytest.mark.parametrize(
    ("does", "words"),
    [
        ("print('error TypeError no adapter'); input(); input()", "with TypeError: no adapter"),
        ("print('detail at x.js:3\\nerror E no'); input(); input()", r"with E: no\nat x\.js:3"),
        (
            f"import sys; sys.exit({NODE_SAYS!r})",
            r"probably `npm install webgpu` beside its script\).*Cannot find package 'webgpu'",
        ),
        ("import no_such_package_here", "probably no_such_package_here is to be installed"),
        ("print('Dawn: slow. ready [1]')", "exit status 0.*its last line was 'Dawn: slow"),
    ],
)
def test_why_a_target_does_not_get_ready_is_told_at_once(does: str, words: str) -> None:
    command = shlex.join([sys.executable, "-uc", does])
    with pytest.raises(NoDevice, match=f"(?s){words}"):
        load_target(f"exec:{command}")("simulated", BUILTIN)


def test_ready_behind_an_unfinished_line_is_understood() -> None:
    does = "print('Dawn: slow path', end=' '); print('ready {\"byte_exact\": false}'); input()"
    command = shlex.join([sys.executable, "-uc", does])
    factory = load_target(f"exec:{command}")("simulated", BUILTIN)
    assert factory.capabilities.write_size_bytes == 4
    assert isinstance(factory, ProcessFactory)
    factory.close()


def test_a_served_runtime_that_does_not_start_says_why(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text(
        "from properties.targets.serve import serve\n"
        "def start(name):\n    return {}[name]\nserve(start)\n",
        encoding="utf-8",
    )
    with pytest.raises(NoDevice, match=r"(?s)with KeyError: 'simulated'.*in start"):
        served(path)

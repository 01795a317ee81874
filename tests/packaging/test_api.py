"""The pages made of docstrings: everything public, and every file, with what its docstring says."""

import ast
from pathlib import Path

import pytest

from tools import api


def public() -> list[tuple[str, str]]:
    return [(module, name) for module in api.MODULES for name in api.public_names(module)]


@pytest.mark.parametrize(("module", "name"), public())
def test_everything_public_says_what_it_is(module: str, name: str) -> None:
    node, below = api.definition(module, name)
    documented = isinstance(node, ast.ClassDef | ast.FunctionDef)
    assert ast.get_docstring(node) if documented else below  # type: ignore[arg-type]
    assert f"\n### {name}\n" in api.page()


def test_a_name_that_is_not_there_is_named() -> None:
    with pytest.raises(LookupError, match=r"cannot find Nobody because gpusim does not define it"):
        api.definition("gpusim", "Nobody")


def test_signatures_sections_and_code_of_a_docstring_are_shown() -> None:
    page = api.page()
    assert "### check_program\n\n```python\ncheck_program(target: Adapter, " in page
    assert "    examples: int | None = None,\n" in page
    assert "Raises:\n\n- `TargetFailed`: the finding still fails.\n- `Untrusted`: " in page
    assert "```python\nclass MyRuntime(Adapter): ...  # one method an op\n\ndef test_my" in page


def test_a_page_that_is_not_current_is_seen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(api, "PAGE", tmp_path / "API.md")
    written, _, _ = api.ARCHITECTURE.read_text(encoding="utf-8").partition("## Every file")
    monkeypatch.setattr(api, "ARCHITECTURE", tmp_path / "ARCHITECTURE.md")
    api.ARCHITECTURE.write_text(written, encoding="utf-8")
    assert api.main(["--check"]) == 1
    error = capsys.readouterr().err
    assert error == "not current: API.md, ARCHITECTURE.md (write with python -m tools.api)\n"
    assert api.main([]) == 0
    assert api.main(["--check"]) == 0
    assert api.ARCHITECTURE.read_text(encoding="utf-8").startswith(written)


def test_every_file_says_what_lives_in_it() -> None:
    files = api.architecture().partition("## Every file")[2]
    assert "\n- `recorder.py`: The only place that acts: records commands in the open" in files
    assert "\n- `rules.js`: The sanitizer's rules over events, " in files
    assert "`: \n" not in files

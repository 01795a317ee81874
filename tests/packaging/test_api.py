"""The page made of docstrings: everything public is on it, with what its docstring says."""

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
    assert "Raises:\n\n- `TargetFailed`: it still fails.\n- `Untrusted`: " in page
    assert "```python\nclass MyRuntime(Adapter): ...  # one method an op\n\ndef test_my" in page


def test_a_page_that_is_not_current_is_seen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(api, "PAGE", tmp_path / "API.md")
    assert api.main(["--check"]) == 1
    assert "python -m tools.api" in capsys.readouterr().err
    assert api.main([]) == 0
    assert api.main(["--check"]) == 0

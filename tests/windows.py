"""How wide a page is in windows of Chromium, as on a phone, a tablet and a desk."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

_WIDTHS = (360, 768, 1280)
_CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
_MEASURE = "<script>document.title=document.documentElement.scrollWidth+' of '+innerWidth</script>"
_MEASURED = r"(\d+) of (\d+);"

needs_chromium = pytest.mark.skipif(_CHROMIUM is None, reason="no Chromium is on the PATH")


def widths_of(text: str, folder: Path) -> dict[int, int]:
    """The width of a page by that of its window; what is wider is to be scrolled."""
    file, frame = folder / "page.html", folder / "frame.html"
    file.write_text(text.replace("</body>", f"{_MEASURE}</body>"), encoding="utf-8")
    windows = [
        f'<iframe src="{file.name}" style="width:{width}px;height:2000px;border:0" '
        "onload=\"document.title+=this.contentDocument.title+';'\"></iframe>"
        for width in _WIDTHS
    ]
    frame.write_text("".join(windows), encoding="utf-8")
    command = [
        str(_CHROMIUM), "--headless=new", "--no-sandbox", "--allow-file-access-from-files",
        f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=2000", "--dump-dom",
        frame.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    measured = {int(window): int(page) for page, window in re.findall(_MEASURED, done.stdout)}
    assert sorted(measured) == [*_WIDTHS], done.stdout[:500]
    return measured

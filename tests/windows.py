"""How wide a page is in a window of Chromium, as on a phone, a tablet and a desk."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

WIDTHS = (360, 768, 1280)
_CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
_MEASURE = "<script>document.title=document.documentElement.scrollWidth+' of '+innerWidth</script>"

needs_chromium = pytest.mark.skipif(_CHROMIUM is None, reason="no Chromium is on the PATH")


def width_of(text: str, width: int, folder: Path) -> int:
    """The width of a page whose window is so wide; what is wider is to be scrolled."""
    file, frame = folder / "page.html", folder / "frame.html"
    file.write_text(text.replace("</body>", f"{_MEASURE}</body>"), encoding="utf-8")
    frame.write_text(
        f'<iframe src="{file.name}" style="width:{width}px;height:2000px;border:0" '
        'onload="document.title=this.contentDocument.title"></iframe>',
        encoding="utf-8",
    )
    command = [
        str(_CHROMIUM), "--headless=new", "--no-sandbox", "--allow-file-access-from-files",
        f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=2000", "--dump-dom",
        frame.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    measured = re.search(r"<title>(\d+) of (\d+)", done.stdout)
    assert measured is not None, done.stdout[:500]
    assert int(measured[2]) == width
    return int(measured[1])

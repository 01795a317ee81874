"""Runs every reproduction in Chromium, and with --changes every change on every reproduction.

    python targets/onnxruntime/reproductions/all.py [--changes]

Needs gpusim, and ``npm --prefix targets/onnxruntime install``.  Exits with 1 if a reproduction
shows nothing any more, which is to say that it was mended, or if a change does not mend its own
reproduction and that one only.
"""

import json
import subprocess
import sys
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent
_PAGE = _FOLDER.parent / "reproductions.html"
_NAMES = sorted(path.stem for path in _FOLDER.glob("*.diff"))
_RIGHT = "nothing wrong"


class _Reproductions:
    """The page, which answers a line with what is wrong."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "properties.targets.browser", str(_PAGE)]
        pipe = subprocess.PIPE
        self._page = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)

    def outcome(self, *words: str) -> str:
        """What a reproduction shows, on the package as it is or with a change."""
        assert self._page.stdin is not None
        assert self._page.stdout is not None
        print(*words, file=self._page.stdin, flush=True)
        answer = self._page.stdout.readline().strip()
        if not answer:
            sys.exit(f"{' '.join(words)}: the page has ended")
        return answer


def _is_as_reported(reproductions: _Reproductions) -> bool:
    outcomes = {name: reproductions.outcome(name) for name in _NAMES}
    for name, outcome in outcomes.items():
        state = "MENDED UPSTREAM" if outcome == _RIGHT else f"still wrong: {outcome}"
        print(f"{name}: {state}", flush=True)
    return _RIGHT not in outcomes.values()


def _mends(reproductions: _Reproductions, change: str) -> bool:
    mended = [name for name in _NAMES if reproductions.outcome(name, change) == _RIGHT]
    print(f"{change}.diff mends {', '.join(mended) or 'nothing'}", flush=True)
    return mended == [change]


def main(words: list[str]) -> int:
    """Run them; the exit status."""
    manifest = _FOLDER.parent / "node_modules" / "onnxruntime-web" / "package.json"
    print(f"onnxruntime-web {json.loads(manifest.read_text('utf-8'))['version']}", flush=True)
    reproductions = _Reproductions()
    outcomes = [_is_as_reported(reproductions)]
    if "--changes" in words:
        outcomes += [_mends(reproductions, change) for change in _NAMES]
    return 0 if all(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

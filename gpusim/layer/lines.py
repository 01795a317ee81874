"""The text form of events: JSON, one event a line, the same in every language.

    {"kind": "unmap", "about": {"buffer": 1}, "site": "step.py:12"}

Nothing here knows the kinds; docs/SANITIZE.md lists them.
"""

import json

from gpusim.trace import Event, frozen


def write_event(event: Event) -> str:
    """One line, without its end."""
    about = {name: value for name, value in event.about.items() if name != "site"}
    site = {"site": event["site"]} if event.about.get("site") else {}
    return json.dumps({"kind": event.kind, "about": about, **site})


def parse_event(line: str) -> Event:
    """Read what ``write_event`` wrote, in this language or another.

    Raises:
        ValueError: ``line`` is no event.
    """
    read = json.loads(line)
    try:
        kind, about = str(read["kind"]), dict(read["about"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"cannot read event {line!r:.80} because it has no kind or no details (probably it is "
            "a line of another file)"
        ) from error
    plain = {name: frozen(value) for name, value in about.items()}
    return Event(kind, {**plain, "site": str(read.get("site", ""))})

"""A thing with some of its methods replaced: what a broken driver or device is made of."""

from typing import Any


class Overlay:
    """Everything that ``inner`` is, but for what a subclass does itself."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

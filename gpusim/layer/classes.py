"""Stands between a program and its device: gives each object a class that reports its calls.

The object stays the same.  Only its class becomes a subclass, made here for one device.  The
subclass's methods emit the call as an event and then make it.  So ``isinstance`` holds, wgpu's own
code finds its fields, and nothing is wrapped or unwrapped.  No class of wgpu's is changed.  Which
details the event of a call has is in ``calls.py``.  Nothing here decides what is wrong.
"""

from collections.abc import Callable
from functools import wraps
from itertools import count
from traceback import clear_frames
from typing import Any

from gpusim.layer.calls import Call
from gpusim.layer.commands import CALLS, KINDS_OF_CLASSES
from gpusim.layer.watch import Watch, kind_of

Disturb = Callable[[str, Callable[..., Any]], Callable[..., Any]]
"""Gives the native method ``Class.method``, or another in its place."""

_UNREADABLE = (AttributeError, KeyError, OverflowError, TypeError, ValueError)
"""The errors that ``about`` raises for arguments that the device will refuse itself."""
_FORGOTTEN_EARLY = ("GPUComputePassEncoder", "GPURenderPassEncoder")
"""Passes are forgotten when they end, so their collection is no event."""
_device_numbers = count(1)


def undisturbed(name: str, native: Callable[..., Any]) -> Callable[..., Any]:
    """Returns the native method itself, so that no call is disturbed."""
    return native


def stand_between(device: Any, watch: Watch, disturb: Disturb = undisturbed) -> "Between":
    """Watch a wgpu-py device, or one with its interface, from now on.

    Raises:
        TypeError: ``device`` is no device.
        ValueError: ``device`` is watched already.
    """
    if not hasattr(device, "create_command_encoder") or isinstance(device, type):
        raise TypeError(
            f"cannot watch {device!r} because it is no device (probably it is an adapter, whose "
            "request_device_sync() makes a device)"
        )
    if hasattr(type(device), "_watch"):
        raise ValueError(
            f"cannot watch {device!r} because it is watched already (probably sanitize() is "
            "called twice)"
        )
    return Between(device, watch, disturb)


def when_fulfilled(promise: Any, take: Callable[[Any], None]) -> None:
    """Call ``take`` with a promise's value before anyone else gets it."""
    native = promise._handler

    def handler(value: Any) -> Any:
        made = value if native is None else native(value)
        take(made)
        return made

    promise._handler = handler


class Between:
    """What stands between a program and one device: the classes of the device's objects."""

    def __init__(self, device: Any, watch: Watch, disturb: Disturb) -> None:
        self.watch = watch
        self.number = next(_device_numbers)
        self._disturb = disturb
        self._classes: dict[type, type] = {}
        self._owners = (device, getattr(device, "_state", None))
        self.stand(device)
        self.stand(device.queue)
        watch.emit("create_device", {"device": self.number})

    def stand(self, thing: Any) -> Any:
        """Give an object of the device its watching class; returns the object."""
        base = type(thing)
        made = self._classes.get(base)
        if made is None:
            if hasattr(base, "_watch"):
                return thing
            made = self._classes[base] = self._class_of(base)
        thing.__class__ = made
        return thing

    def number_of(self, thing: Any) -> int:
        """The number of an object; an object whose making was not seen gets one now."""
        seen = getattr(type(thing), "_watch", None) is self.watch
        number: int | None = self.watch.numbers.get(thing.uid) if seen else None
        return self._adopt(thing) if number is None else number

    def settles(self, promise: Any, kind: str, about: dict[str, Any]) -> None:
        """Emit an event when a promise settles."""
        promise._handler = Settle(self.watch, kind, about, promise._handler)
        self.stand(promise)

    def _adopt(self, thing: Any) -> int:
        watch, uid = self.watch, thing.uid
        kind = KINDS_OF_CLASSES.get(type(thing).__name__, "")
        if not kind:
            raise TypeError(f"{thing!r} has no number")
        if uid in watch.numbers:
            return watch.numbers[uid]
        number = watch.next_number(kind)
        is_own = thing._device in self._owners
        watch.know(self.stand(thing) if is_own else thing, number)
        about = {kind: number, "device": self.number if is_own else 0, "label": thing.label}
        if kind == "buffer":
            about |= {"size_bytes": thing.size, "usage": [], "mapped_at_creation": False}
            watch.emit("create_buffer", about)
        elif kind == "encoder":
            watch.emit("create_encoder", about)
        else:
            watch.emit("finish", {**about, "encoder": 0})
        return number

    def _class_of(self, base: type) -> type:
        name = base.__name__
        body: dict[str, Any] = {
            "__slots__": (),
            "__doc__": base.__doc__,
            "__module__": base.__module__,
            "_watch": self.watch,
            "_watched": self.number,
            "_number": staticmethod(self.number_of),
            "_stand": staticmethod(self.stand),
            "_settles": staticmethod(self.settles),
            "_when_fulfilled": staticmethod(when_fulfilled),
        }
        for method, call in CALLS.get(name, {}).items():
            native = getattr(base, method, None)
            if native is not None:
                native = self._disturb(f"{name}.{method}", native)
                body[method] = self._method(native, call)
        if hasattr(base, "_take_value") or hasattr(base, "_resolve"):
            step = "_take_value" if hasattr(base, "_take_value") else "_resolve"
            body[step] = _settling(getattr(base, step))
        elif name not in _FORGOTTEN_EARLY:
            body["__del__"] = _collected(KINDS_OF_CLASSES.get(name, ""), base)
        return type(name, (base,), body)

    def _method(self, native: Callable[..., Any], call: Call) -> Callable[..., Any]:
        if call.sets is not None:
            return _setting(native, call.sets)
        return _watched(native, call, bool(call.kind) and self.watch.wants(call.kind))


def _watched(native: Callable[..., Any], call: Call, is_told: bool) -> Callable[..., Any]:
    """The method that emits the call's event if ``is_told``, makes the call, and runs ``after``."""
    kind, about_of, after = call.kind, call.about, call.after

    @wraps(native)
    def method(self: Any, *arguments: Any, **named: Any) -> Any:
        watch = self._watch
        try:
            about = about_of(watch, self, *arguments, **named)
        except _UNREADABLE:
            return native(self, *arguments, **named)
        number = watch.emit(kind, about) if is_told else 0
        try:
            result = native(self, *arguments, **named)
        except Exception as error:
            # wgpudawn makes a cycle of an error and the frames that it passed.  If Python collected
            # that cycle later, the process could end, so the frames are cleared here.
            clear_frames(error.__traceback__)
            if is_told:
                watch.failed(error, number)
            raise
        if after is None:
            return result
        instead = after(watch, self, about, result, *arguments, **named)
        return result if instead is None else instead

    return method


def _setting(native: Callable[..., Any], sets: Callable[..., None]) -> Callable[..., Any]:
    """The method that makes the call, then runs ``sets``."""

    @wraps(native)
    def method(self: Any, *arguments: Any, **named: Any) -> Any:
        result = native(self, *arguments, **named)
        sets(self._watch, self, *arguments, **named)
        return result

    return method


def _collected(kind: str, base: type) -> Callable[[Any], None]:
    """The finalizer that notes the collection, then runs the finalizer that the object had."""
    native = getattr(base, "__del__", None)

    def finalize(self: Any) -> None:
        self._watch.collected(kind, self.uid)
        if native is not None:
            native(self)

    return finalize


class Settle:
    """The handler of a watched promise: runs the device's own handler, then emits the event."""

    __slots__ = ("_about", "_is_told", "_kind", "_native", "_watch")

    def __init__(self, watch: Watch, kind: str, about: dict[str, Any], native: Any) -> None:
        self._watch, self._kind, self._about = watch, kind, about
        self._native, self._is_told = native, False

    def __call__(self, value: Any) -> Any:
        """Returns the promise's value, which the device's own handler makes of ``value``."""
        try:
            result = value if self._native is None else self._native(value)
        except Exception as error:
            self.tell(error)
            raise
        self.tell(None)
        return result

    def tell(self, error: Exception | None) -> None:
        """Emit, once, that the promise has settled."""
        if not self._is_told:
            self._is_told = True
            said = None if error is None else f"{kind_of(error)}: {error}"
            self._watch.emit(self._kind, {**self._about, "error": said})


def _settling(native: Callable[..., Any]) -> Callable[..., Any]:
    """The step with which a promise takes its value; it emits an event if that is an error."""

    @wraps(native)
    def step(self: Any) -> Any:
        settle = self._handler
        try:
            result = native(self)
        except Exception as error:
            if isinstance(settle, Settle):
                settle.tell(error)
            raise
        if isinstance(settle, Settle) and isinstance(self._value, Exception):
            settle.tell(self._value)
        return result

    return step

"""The floats that WGSL allows an operation to give, as intervals over arrays.

A Span holds the least and the greatest value allowed for each lane, in double precision; a lane is
``free`` where anything is allowed.  ``Floats`` has the arithmetic of one float type: correct
rounding up or down, errors in units of the last place, and flushes of subnormals to zero.
Source: WGSL specification, 15.7 "Floating Point Evaluation" (15.7.2 "Floating Point Rounding and
Overflow", 15.7.3 "Floating Point Accuracy").
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = Any


@dataclass(frozen=True, slots=True)
class Span:
    """For each lane the least and the greatest value, and whether anything goes."""

    low: Array
    high: Array
    free: Array

    def holds(self, values: Array) -> Array:
        """Where a value of the same lane is allowed; zeros of either sign are equal."""
        wide = np.asarray(values, np.float64)
        return self.free | ((self.low <= wide) & (wide <= self.high))


class Floats:
    """The arithmetic of f32 or f16."""

    def __init__(self, name: str) -> None:
        self.name = name
        types: dict[str, Any] = {"f32": np.float32, "f16": np.float16}
        self.type = types[name]
        info = np.finfo(self.type)
        self.most, self.tiny = float(info.max), float(info.smallest_normal)
        self.digits = info.nmant
        self.exponent = 126 if name == "f32" else 14
        self.largest: Array = np.float64(0)
        """The largest value that an operation gave in each lane."""

    def given(self, values: Array) -> Span:
        """Inputs: infinities and NaN free the lane, and subnormals may be zero."""
        wide = np.asarray(values, np.float64)
        return self._flushed(wide, wide, ~np.isfinite(wide))

    def constant(self, value: float) -> Span:
        """A number rounded to the type, up or down."""
        wide = np.float64(value)
        return self.rounded(wide, wide, np.bool_(False))

    def _flushed(self, low: Array, high: Array, free: Array) -> Span:
        low = np.where((low > 0) & (low < self.tiny), 0.0, low)
        high = np.where((high < 0) & (high > -self.tiny), 0.0, high)
        return Span(low, high, free)

    def rounded(self, low: Array, high: Array, free: Array) -> Span:
        """An exact interval rounded outwards to the type."""
        low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
        with np.errstate(all="ignore"):
            free = free | ~(high <= self.most) | ~(low >= -self.most)
            self._note(np.where(free, 0.0, np.maximum(np.abs(low), np.abs(high))))
            down, up = low.astype(self.type), high.astype(self.type)
            down = np.where(down > low, np.nextafter(down, self.type(-np.inf)), down)
            up = np.where(up < high, np.nextafter(up, self.type(np.inf)), up)
        return self._flushed(down.astype(np.float64), up.astype(np.float64), free)

    def _note(self, sizes: Array) -> None:
        self.largest = np.maximum(
            self.largest, sizes.max(-1, keepdims=True) if sizes.ndim else sizes
        )

    def reassociated(self, span: Span) -> Span:
        """The same in another order, which may round the largest value once more."""
        by = self.ulp(self.largest)
        return self.rounded(span.low - by, span.high + by, span.free)

    def ulp(self, values: Array) -> Array:
        """The unit in the last place of each value."""
        with np.errstate(all="ignore"):
            exponent = np.frexp(np.maximum(np.abs(values), self.tiny))[1]
            exponent = np.where(np.isfinite(values), exponent, 0)
            return np.ldexp(1.0, exponent - 1 - self.digits)

    def off_ulps(self, low: Array, high: Array, free: Array, ulps: Array) -> Span:
        """An interval with an error in units of the last place."""
        return self.rounded(low - ulps * self.ulp(low), high + ulps * self.ulp(high), free)

    def union(self, one: Span, other: Span) -> Span:
        """What either allows."""
        low, high = np.minimum(one.low, other.low), np.maximum(one.high, other.high)
        return Span(low, high, one.free | other.free)

    def add(self, a: Span, b: Span) -> Span:
        """``a + b``."""
        low, high = _inexact(a.low + b.low, -1), _inexact(a.high + b.high, 1)
        low = np.where(self._exact(a.low, b.low), a.low + b.low, low)
        high = np.where(self._exact(a.high, b.high), a.high + b.high, high)
        return self.rounded(low, high, a.free | b.free)

    def _exact(self, a: Array, b: Array) -> Array:
        total = a + b
        part = total - a
        return (a - (total - part)) + (b - part) == 0

    def neg(self, a: Span) -> Span:
        """``-a``."""
        return Span(-a.high, -a.low, a.free)

    def sub(self, a: Span, b: Span) -> Span:
        """``a - b``."""
        return self.add(a, self.neg(b))

    def mul(self, a: Span, b: Span) -> Span:
        """``a * b``."""
        low, high = _corners(np.multiply, a, b)
        return self.rounded(low, high, a.free | b.free)

    def div(self, a: Span, b: Span) -> Span:
        """``a / b``: 2.5 units of the last place for divisors of a moderate size."""
        limit = 2.0**self.exponent
        least, most = _sizes(b)
        free = a.free | b.free | (least < 1 / limit) | (most > limit)
        low, high = _corners(np.divide, a, b)
        return self.off_ulps(low, high, free, 2.5)

    def rem(self, a: Span, b: Span) -> Span:
        """``a % b``, as ``a - b * trunc(a / b)``."""
        return self.sub(a, self.mul(b, self.exactly(np.trunc, self.div(a, b))))

    def exactly(self, compute: Callable[[Array], Array], a: Span) -> Span:
        """A function that never falls, correctly rounded."""
        return self.rounded(compute(a.low), compute(a.high), a.free)

    def absolute(self, a: Span) -> Span:
        """``abs(a)``."""
        return Span(*_sizes(a), a.free)

    def least(self, a: Span, b: Span) -> Span:
        """``min(a, b)``."""
        low, high = np.minimum(a.low, b.low), np.minimum(a.high, b.high)
        return Span(low, high, a.free | b.free)

    def greatest(self, a: Span, b: Span) -> Span:
        """``max(a, b)``."""
        low, high = np.maximum(a.low, b.low), np.maximum(a.high, b.high)
        return Span(low, high, a.free | b.free)

    def clamp(self, a: Span, low: Span, high: Span) -> Span:
        """``min(max(a, low), high)``, or the middle one of the three."""
        middle = self.greatest(self.least(self.greatest(a, low), high), self.least(a, low))
        return self.union(self.least(self.greatest(a, low), high), middle)

    def rising(
        self, compute: Callable[[Array], Array], a: Span, ulps: Callable[[Array], Array]
    ) -> Span:
        """A function that never falls, with an error in units of the last place."""
        with np.errstate(all="ignore"):
            low, high = compute(a.low), compute(a.high)
        count = np.maximum(ulps(a.low), ulps(a.high))
        return self.off_ulps(_inexact(low, -1), _inexact(high, 1), a.free, count)

    def exp(self, a: Span) -> Span:
        """``exp(a)``."""
        return self.rising(np.exp, a, self._growing)

    def exp2(self, a: Span) -> Span:
        """``exp2(a)``."""
        return self.rising(np.exp2, a, self._growing)

    def _growing(self, values: Array) -> Array:
        return (3 if self.name == "f32" else 1) + 2 * np.abs(values)

    def log(self, a: Span, compute: Callable[[Array], Array] = np.log) -> Span:
        """``log(a)`` or ``log2(a)``."""
        free = a.free | (a.low <= 0)
        with np.errstate(all="ignore"):
            low, high = compute(a.low), compute(a.high)
        by_ulps = self.off_ulps(low, high, free, 3.0)
        by = 2.0**-21 if self.name == "f32" else 2.0**-7
        near = (a.low <= 2.0) & (a.high >= 0.5)
        absolute = self.rounded(low - by, high + by, free)
        both = self.union(by_ulps, absolute)
        return Span(
            np.where(near, both.low, by_ulps.low),
            np.where(near, both.high, by_ulps.high),
            by_ulps.free,
        )

    def wave(self, compute: Callable[[Array], Array], a: Span) -> Span:
        """``sin`` or ``cos``: an absolute error between minus pi and pi."""
        free = a.free | (_sizes(a)[1] > np.pi)
        by = (2.0**-11 if self.name == "f32" else 2.0**-7) + (a.high - a.low) / 2
        with np.errstate(all="ignore"):
            middle = compute((a.low + a.high) / 2)
        return self.rounded(middle - by, middle + by, free)

    def inverse_sqrt(self, a: Span) -> Span:
        """``inverseSqrt(a)``."""
        with np.errstate(all="ignore"):
            low, high = 1 / np.sqrt(a.high), 1 / np.sqrt(a.low)
        return self.off_ulps(low, high, a.free | (a.low <= 0), 2.0)

    def sqrt(self, a: Span) -> Span:
        """``sqrt(a)``, as ``1.0 / inverseSqrt(a)``."""
        return self.div(self.constant(1.0), self.inverse_sqrt(a))

    def atan(self, a: Span) -> Span:
        """``atan(a)``."""
        ulps = 4096.0 if self.name == "f32" else 5.0
        return self.rising(np.arctan, a, lambda values: np.full(np.shape(values), ulps))

    def atan2(self, y: Span, x: Span) -> Span:
        """``atan2(y, x)``; free where its accuracy is not specified."""
        limit = 2.0**self.exponent
        least, most = _sizes(x)
        small = _sizes(y)[0] < self.tiny
        free = y.free | x.free | (least < 1 / limit) | (most > limit) | small
        low, high = _corners(np.arctan2, y, x)
        return self.off_ulps(low, high, free, 4096.0 if self.name == "f32" else 5.0)

    def dot(self, a: Span, b: Span) -> Span:
        """The sum of the products of the last axis, in any order and fused or not."""
        low, high = _corners(np.multiply, a, b)
        count = low.shape[-1]
        with np.errstate(all="ignore"):
            sizes = np.maximum(np.abs(low), np.abs(high)).sum(-1, keepdims=True)
            by = sizes * 2.0**-self.digits * (count + 1) + count * self.tiny
        free = (a.free | b.free).any(-1, keepdims=True) | (sizes > self.most)
        down, up = low.sum(-1, keepdims=True), high.sum(-1, keepdims=True)
        return self.rounded(down - by, up + by, free)

    def worse(self, span: Span, exact: Array, by: float) -> Span:
        """An interval, or an absolute error about the exact value: what either allows."""
        return self.union(span, self.rounded(exact - by, exact + by, np.isnan(exact)))


def _sizes(a: Span) -> tuple[Array, Array]:
    """The least and the greatest absolute value of each lane."""
    ends = np.abs(a.low), np.abs(a.high)
    across = (a.low <= 0) & (a.high >= 0)
    return np.where(across, 0.0, np.minimum(*ends)), np.maximum(*ends)


def _inexact(values: Array, towards: int) -> Array:
    """Double precision rounds too: the next value outwards."""
    with np.errstate(all="ignore"):
        return np.nextafter(values, towards * np.inf)


def _corners(compute: Callable[[Array, Array], Array], a: Span, b: Span) -> tuple[Array, Array]:
    with np.errstate(all="ignore"):
        found = [compute(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
    return np.minimum.reduce(found), np.maximum.reduce(found)

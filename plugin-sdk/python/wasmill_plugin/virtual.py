"""Clock and randomness of a plugin: virtual, so that a replay of the same records gives the same output.

Both depend on the record at hand and on nothing else. The clock stands at the record's event time where the rule reads it (a field
of type `Time`), else at the start of 1970, and moves by a microsecond a look. Random numbers are seeded from what the rule reads of
the record: good for samples, useless for secrets. In a rule over columns the record at hand is a batch's first, so there
both depend on where batches are cut.
"""

from __future__ import annotations

import datetime
import os
import random
import time
from typing import Any

_NS_PER_MS, _NS_PER_LOOK = 1_000_000, 1_000


class _Turn:
    """The record at hand, and what was asked for it so far."""

    def __init__(self) -> None:
        self.batch: Any = None
        self.out: Any = None
        self.row = -1
        self.looks = 0
        self.base_ns = 0
        self.numbers = _REAL(0)

    def begin(self) -> None:
        """Begins again where the record is another than at the last look."""
        if self.out is None or self.row == self.out._at.row:
            return
        self.row, self.looks, self.base_ns = self.out._at.row, 0, 0
        self.numbers.seed(self.batch.fingerprint(self.row))
        for field, raw in zip(self.batch._fields, self.batch._raw):
            if field.slot.place == "time":
                self.base_ns = (raw.int_at(self.row) or 0) * _NS_PER_MS

    def now_ns(self) -> int:
        self.begin()
        self.looks += 1
        return self.base_ns + self.looks * _NS_PER_LOOK


_REAL = random.Random
_turn = _Turn()


def follow(batch: Any, out: Any) -> None:
    """From here on the record at hand is the row of `batch` that `out` is at."""
    _turn.batch, _turn.out, _turn.row = batch, out, -1


class _Replayed(_REAL):
    """Where the functions of `random` draw from."""

    def random(self) -> float:
        _turn.begin()
        return _turn.numbers.random()

    def getrandbits(self, bits: int) -> int:
        _turn.begin()
        return _turn.numbers.getrandbits(bits)


class _Seeded(_REAL):
    """A `random.Random`: the real one asks the system for a seed where it is given none."""

    def __new__(cls, x=None):
        return super().__new__(cls, 0)

    def seed(self, a=None, version=2) -> None:
        super().seed(_random_bytes(16) if a is None else a, version)


def _random_bytes(size: int) -> bytes:
    _turn.begin()
    return _turn.numbers.randbytes(size)


def install() -> None:
    """Puts the virtual clock and randomness in place of the real ones, before any module of the author is loaded."""
    shared = _Replayed()
    random._inst = shared  # type: ignore[attr-defined]
    for name in random.__all__:
        if not isinstance(getattr(random, name), type) and name not in ("seed", "getstate", "setstate"):
            setattr(random, name, getattr(shared, name))
    _Seeded.__name__ = _Seeded.__qualname__ = "Random"
    random.Random = _Seeded  # type: ignore[misc]
    random._urandom = os.urandom = _random_bytes  # type: ignore[attr-defined]
    _install_clock()


def _install_clock() -> None:
    for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time"):
        setattr(time, name, lambda: _turn.now_ns() / 1e9)
        setattr(time, f"{name}_ns", _turn.now_ns)
    for name in ("gmtime", "localtime", "ctime"):
        setattr(time, name, _at_now(getattr(time, name)))
    strftime = time.strftime
    time.strftime = lambda form, t=None: strftime(form, time.gmtime() if t is None else t)
    datetime.date, datetime.datetime = _Date, _DateTime  # type: ignore[misc]


def _at_now(real: Any) -> Any:
    return lambda seconds=None: real(_turn.now_ns() / 1e9 if seconds is None else seconds)


class _Like(type):
    """A stand-in's class: what the real one made is one of its own."""

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, cls.__mro__[1])

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(other, cls.__mro__[1])


class _Date(datetime.date, metaclass=_Like):
    @classmethod
    def today(cls):
        return cls.fromtimestamp(_turn.now_ns() // 10**9)


class _DateTime(datetime.datetime, metaclass=_Like):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(_turn.now_ns() / 1e9, tz)

    @classmethod
    def today(cls):
        return cls.now()

    @classmethod
    def utcnow(cls):
        return cls.now(datetime.timezone.utc).replace(tzinfo=None)


for _stand_in, _name in ((_Date, "date"), (_DateTime, "datetime")):
    _stand_in.__name__ = _stand_in.__qualname__ = _name
    _stand_in.__module__ = "datetime"
